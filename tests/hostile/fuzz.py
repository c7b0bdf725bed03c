"""Every parser of outside text or bytes, fuzzed under coverage: needs the extra `fuzz` (atheris).

`python -m tests.hostile.fuzz --seconds 180` gives each parser of `binaries.PARSERS` so long, in a
process of its own that begins with the parser's audio inputs. Inputs that reach new code are kept
and spoilt further. Counted are executions, branches reached at first and at last, and findings: an
error that is none of ours, a message of several lines, an input that takes longer than `LIMIT_S`
or more memory than `LIMIT_MB`, code that ran, a connection, a file written elsewhere.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import MissingExtraError
from tests.hostile.reshape import reshaped

LIMIT_S = 10
LIMIT_MB = 2048
MOST_BYTES = 16 << 10
"""Longest input; audio ones may be longer."""
_PROGRESS = re.compile(r"#\d+\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)")
_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")


@dataclass
class Figures:
    """What came of one parser."""

    name: str
    executions: int = 0
    first: int = 0
    last: int = 0
    corpus: int = 0
    peak_mb: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)

    def line(self) -> str:
        """The figures as text."""
        return (
            f"  {self.name:26s} {self.executions:9d} inputs, branches {self.first} to {self.last}, "
            f"{self.corpus} kept, {self.peak_mb} MB, {len(self.findings)} findings"
        )


def fuzz(name: str, seconds: int, folder: Path, seed: int = 1) -> Figures:
    """Fuzz one parser in a process of its own.

    Raises
    ------
    MissingExtraError
        Where atheris is not installed.
    """
    if importlib.util.find_spec("atheris") is None:
        raise MissingExtraError("atheris", "fuzz")
    place = Path(tempfile.mkdtemp(dir=folder, prefix=re.sub(r"\W+", "-", name)))
    command = [
        sys.executable, "-m", "tests.hostile.fuzz", "--child", name, "--folder", str(place),
        "--seconds", str(seconds), "--seed", str(seed),
    ]  # fmt: skip
    work = place / "work"
    work.mkdir()
    with (place / "said").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "TMPDIR": str(work)},
        )  # fmt: skip
        try:
            code: int | None = process.wait(seconds + 30 * LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    return _read(name, place, code)


def _read(name: str, place: Path, code: int | None) -> Figures:
    text = (place / "said").read_text(encoding="utf-8", errors="replace")
    seen = [tuple(map(int, found)) for found in _PROGRESS.findall(text)] or [(0, 0)]
    numbers = {key: int(value) for key, value in _STATISTIC.findall(text)}
    figures = Figures(
        name, numbers.get("number_of_executed_units", 0), seen[0][0], seen[-1][0], seen[-1][1],
        numbers.get("peak_rss_mb", 0),
    )  # fmt: skip
    log = place / "findings"
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        figures.findings.append(json.loads(line))
    if code != 0:
        left = next(iter(sorted(place.glob("artifact-*"))), None)
        raw = left.read_bytes() if left else b""
        how = "was ended from outside" if code is None else f"exit {code}: {_last(text)}"
        figures.findings.append({"what": how, "input": repr(raw[:4000]), "where": text[-2000:]})
    return figures


def _last(text: str) -> str:
    told = [line for line in text.splitlines() if "ERROR: libFuzzer" in line]
    return (told or text.splitlines() or ["it said nothing"])[-1].strip()


def drive(name: str, place: Path, seconds: int, seed: int) -> None:
    """Fuzz one parser in this process; never returns."""
    import atheris

    with atheris.instrument_imports(include=["pipeline", "zipfile", "pickletools"]):
        from tests.hostile import binaries, parsers
    from tests.hostile.watching import Watch

    corpus = place / "corpus"
    corpus.mkdir()
    seeds = binaries.seeds_of(name)
    for number, raw in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(raw)
    words = "".join(f'"{_quoted(word)}"\n' for word in parsers.WORDS)
    (place / "words").write_text(words, encoding="ascii")
    work = place / "work"
    watch = Watch(work, place / "findings", lambda raw: parsers.attempt(name, work, raw))

    def mutate(raw: bytes, most: int, number: int) -> bytes:
        shaped = reshaped(random.Random(number), raw) if number % 2 else None
        return shaped[:most] if shaped is not None else atheris.Mutate(raw, most)

    longest = max(MOST_BYTES, *(len(raw) for raw in seeds))
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", f"-timeout={LIMIT_S}", f"-seed={seed}",
         f"-rss_limit_mb={LIMIT_MB}", f"-max_len={longest}", f"-dict={place / 'words'}",
         f"-artifact_prefix={place}/artifact-", "-print_final_stats=1", "-len_control=0",
         str(corpus)],
        watch.one, custom_mutator=mutate,
    )  # fmt: skip
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word[:64])


def main() -> int:
    """Fuzz them one after the other and print the figures; 1 on any finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="a parser by name; may be given again")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        drive(given.child, given.folder, given.seconds, given.seed)
    from tests.hostile.binaries import PARSERS

    unknown = sorted(set(given.only or ()) - set(PARSERS))
    if unknown:
        parser.error(f"no parser {unknown[0]!r}; there are: {', '.join(PARSERS)}")
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="spfem-fuzz-") as folder:
        try:
            every = _all(given.only or list(PARSERS), given, Path(folder))
        except MissingExtraError as error:
            sys.exit(str(error))
    total = sum(figures.executions for figures in every)
    bad = sum(len(figures.findings) for figures in every)
    print(f"{len(every)} parsers, {total} inputs, {bad} findings")
    return int(bad > 0)


def _all(names: list[str], given: Any, folder: Path) -> list[Figures]:
    every = []
    for name in names:
        every.append(fuzz(name, given.seconds, folder, given.seed))
        print(every[-1].line(), flush=True)
        for finding in every[-1].findings:
            print(f"    BAD {finding['what']}\n      on {finding['input']}\n{finding['where']}")
    return every


if __name__ == "__main__":
    sys.exit(main())
