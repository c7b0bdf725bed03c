"""Every parser of outside text or bytes, fuzzed: `python -m tests.hostile.parsers --seconds 60`.

Inputs are audio ones (`targets`, `binaries`) spoilt at random. Each ends in a value or in one line;
the counts are printed. `tests.hostile.fuzz` does the same led by coverage.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pipeline.errors import PipelineError, Reject
from tests.hostile.binaries import PARSERS
from tests.hostile.mutate import MUTATORS, mutant
from tests.hostile.reshape import reshaped

SLOW = ("params.yaml", "CLIP network", "shard")
WORDS = (
    b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 3000,
    b"{" * 3000, b"9" * 5000, b"1e999", b"NaN", b"-1", b"null", b"true", b"\\u0000", b"\\ud800",
    b"!!python/object/apply:os.system ['id']", b"&a [*a]", b"*a", b"<<: *a", b"../", b"/dev/zero",
    b"=1+1", b"<script>", b" in ", b"==", b">" * 50, "ü".encode(), "\u2028".encode(), b"|", b": ",
    b"__proto__", b"path", b"speaker", b"sentence", b"%s%n", b"\x1b[2J", b"{}", b"[]", b'""',
)  # fmt: skip
"""Pieces that are put in."""


def spoilt(rng: random.Random, raw: bytes, seed: int) -> bytes:
    """An input spoilt: in its shape, by a mutator, or with pieces put in, taken out or repeated."""
    shaped = reshaped(rng, raw) if rng.random() < 0.5 else None
    if shaped is not None:
        return shaped
    if rng.random() < 0.3 and raw:
        return mutant(rng.choice(list(MUTATORS)), seed, raw)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        length = rng.choice((0, 0, 1, 4, 30))
        raw = raw[:at] + rng.choice(WORDS) + raw[at + length :]
    return raw


def attempt(name: str, folder: Path, raw: bytes) -> str:
    """Read one input: `value` or `one line`; other errors than the two kinds pass.

    Raises
    ------
    AssertionError
        Where a message is none, of several lines, or longer than can be read.
    """
    try:
        PARSERS[name].parse(folder, raw)
    except (PipelineError, Reject) as error:
        lines = str(error).splitlines()
        if len(lines) != 1 or len(lines[0]) > 4000 + 8 * len(raw):
            raise AssertionError(f"not one line: {error!r:.500}") from error
        return "one line"
    return "value"


def fuzz(name: str, seconds: float, most: int, seed: int = 0) -> Counter[str]:
    """Try one parser for so long or so often; an error that must not be passes with its input."""
    seeds, ends = PARSERS[name].seeds(), Counter[str]()
    folder = Path(tempfile.mkdtemp(prefix="spfem-parsers-"))
    until, rng = time.monotonic() + seconds, random.Random(f"{name} {seed}")
    try:
        while time.monotonic() < until and ends.total() < most:
            raw = spoilt(rng, rng.choice(seeds), rng.getrandbits(32))
            try:
                ends[attempt(name, folder, raw)] += 1
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__} on {raw[:2000]!r}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ends


def main() -> int:
    """Fuzz them one after the other; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given, bad = parser.parse_args(), 0
    for name in PARSERS:
        try:
            ends = fuzz(name, given.seconds, 10**9, given.seed)
            print(f"  {name:26s} {ends.total():8d} tried  {dict(ends)}", flush=True)
        except AssertionError as error:
            bad += 1
            print(f"  BAD {error!s:.3000} because {error.__cause__!r:.300}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
