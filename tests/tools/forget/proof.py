"""Forget a person of the demo corpus, and show without the tool's own search that they are gone.

`python -m tests.tools.forget.proof` makes a copy of the project and in it the demo dataset, every
stage sealed in DVC's cache; notes what shows one speaker (`traces`); runs `spfem-data forget`;
and looks for all of it in every file that is left, unpacked and decoded, DVC's cache included.
Beside it the same dataset is made of a corpus that never had the person: all bytes must be equal.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from pipeline import params
from pipeline.stages import STAGES
from tests.builders.digests import digests
from tests.builders.small_run import write_params
from tests.tools.forget import traces
from tests.tools.forget.traces import Traces

REPOSITORY = Path(__file__).resolve().parents[3]
_COPIED = (".dvc/config", "dvc.yaml", "pipeline", "cli", "pyproject.toml")
_LISTS = ("params.yaml", "dvc.lock")
"""They keep the id under `forgotten`, and the demo's own under `demo.speakers`: parameters, which
say whom to leave out and whom to draw. These two lists are passed over, nothing else."""
_PASSED_OVER = ("forgotten", "speakers")
_MEMORY_OF_DVC = ("tmp",)
"""Of DVC's folder: its state database remembers paths; the tool says that it leaves it."""


@dataclass
class Proof:
    """What was found after forgetting; every list must be empty."""

    files: int = 0
    named: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    numbered: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    nearest: float = np.inf
    compared: int = 0

    @property
    def left(self) -> list[str]:
        """All that is wrong."""
        return [
            *self.named, *self.shown, *self.heard, *self.numbered, *self.alike, *self.unequal,
            *self.touched,
        ]  # fmt: skip


def make_project(folder: Path, values: params.Params) -> Path:
    """A project of DVC's with this code and these parameters, and its own data folder."""
    for name in _COPIED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    run(folder, sys.executable, "-m", "dvc", "config", "--local", "core.no_scm", "true")
    write_params(folder / "params.yaml", values)
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a command in a project, with the project's own code; its output."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


def spfem(folder: Path, *words: str) -> str:
    """Run a command of the tool in a project."""
    return run(folder, sys.executable, "-m", "cli.main", *words)


def run_way(folder: Path, stages: tuple[str, ...]) -> None:
    """Run stages, each once; those that have run say so quickly."""
    for stage in stages:
        began = time.monotonic()
        spfem(folder, stage, "--dataset", "demo")
        print(f"  {folder.name}: {stage} {time.monotonic() - began:.0f} s", flush=True)


def without_person(project: Path, other: Path, speaker: str) -> int:
    """Lay the corpus of a project below another, but for a person's files; how many were left."""
    mine, left = re.compile(rf"(?<![A-Za-z0-9]){speaker}(?![A-Za-z0-9])", re.IGNORECASE), 0
    actor = re.compile(rf"-{int(speaker):02d}\.\w+$") if speaker.isdecimal() else None
    for part in ("corpus", "demo"):
        for path in sorted((project / "data/demo" / part).rglob("*")):
            name = path.relative_to(project).as_posix()
            if not path.is_file():
                continue
            if part == "corpus" and (mine.search(name) or (actor and actor.search(name))):
                left += 1
                continue
            target = other / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return left


def look(project: Path, speaker: str, known: Traces) -> Proof:
    """Search every file of a project for what is known of a person."""
    proof = Proof()
    others = (project / "data/demo/corpus", project / "data/demo/demo", project / "pipeline",
              project / "cli", *(project / ".dvc" / name for name in _MEMORY_OF_DVC))  # fmt: skip
    name = re.compile(rf"(?<![A-Za-z0-9]){re.escape(speaker)}(?![A-Za-z0-9])", re.IGNORECASE)
    is_number = speaker.isdecimal()  # then it stands in texts for other things, too
    name = re.compile(rf"(?<![A-Za-z0-9]){speaker}_[a-z]") if is_number else name
    matrix = np.stack(known.small)
    for path in traces.files_below(project, others):
        proof.files += 1
        where = path.relative_to(project).as_posix()
        told = [_without_list(path)] if where in _LISTS else traces.texts(path)
        if name.search(where) or any(name.search(text) for text in told):
            proof.named.append(f"named in {where}")
        _look_at_media(proof, path, where, known, matrix)
        if traces.is_table(path):
            rows = (n for row in traces.rows_of(path) for n in traces.number_rows(row))
            if not known.numbers.isdisjoint(rows):
                proof.numbered.append(f"numbers of theirs in {where}")
    return proof


def _without_list(path: Path) -> str:
    """A YAML file's text but for its two lists of speakers."""
    return str(_stripped(YAML(typ="safe", pure=True).load(path)))


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(held) for key, held in value.items() if key not in _PASSED_OVER}
    return [_stripped(held) for held in value] if isinstance(value, list) else value


def _look_at_media(proof: Proof, path: Path, where: str, known: Traces, matrix: np.ndarray) -> None:
    for content in traces.everything(path):
        if traces._digest(content) in known.content:
            proof.shown.append(f"bytes of theirs in {where}")
        image = traces.decoded_image(content)
        if image is not None:
            proof.compared += 1
            if traces._digest(image.tobytes()) in known.pixels:
                proof.shown.append(f"pixels of theirs in {where}")
            proof.nearest = min(proof.nearest, traces.nearest(traces.small(image), matrix))
        elif any(traces._digest(s) in known.samples for s in traces.decoded_audio(content)):
            proof.heard.append(f"a audio of theirs in {where}")


def prove(work: Path, speaker: str, values: params.Params) -> tuple[Proof, Proof, Traces]:
    """Forget a person in one project; the same dataset without them in another.

    Returns
    -------
    What was found after forgetting; the same search in the dataset that never had the person, whose
    nearest image is how alike two people's are; and what was looked for.
    """
    one = make_project(work / "one", values)
    run_way(one, STAGES)
    outputs = one / "data" / "demo"
    sources = digests(outputs / "corpus")
    skipped = (outputs / "corpus", outputs / "demo")
    known = traces.gather(outputs, speaker, skipped)
    print(f"of {speaker} there are: {known.counts()}", flush=True)
    before = look(one, speaker, known)
    print(f"before: {len(before.left)} traces in {before.files} files", flush=True)
    assert before.named
    assert before.shown
    assert before.heard
    assert before.numbered
    never = make_project(work / "never", values)
    n = without_person(one, never, speaker)
    print(f"{n} of {len(sources)} source files are {speaker}'s", flush=True)
    print(spfem(one, "forget", "--speaker", speaker), flush=True)
    run_way(never, STAGES[1:])
    proof = look(one, speaker, known)
    now = digests(outputs / "corpus")
    proof.touched = sorted(k for k in {*now, *sources} if now.get(k) != sources.get(k))
    mine = digests(outputs, without=("corpus", "demo"))
    theirs = digests(never / "data/demo", without=("corpus", "demo"))
    proof.unequal = sorted(
        f"unequal: {k}" for k in {*mine, *theirs} if mine.get(k) != theirs.get(k)
    )
    print(f"{len(theirs)} outputs of a dataset that never had {speaker}", flush=True)
    return proof, look(never, speaker, known), known


def main() -> int:
    """Prove it, and print the figures; 1 where anything is left, unequal or touched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speaker", default="M901")
    parser.add_argument("--speakers", nargs="*", help="those of the corpus; else the demo's six")
    parser.add_argument("--emotions", nargs="*", default=[], help="of the dataset; else all")
    parser.add_argument("--frame-px", type=int, help="of the corpus; else the demo's")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    told = parser.parse_args()
    base = params.load(None)
    changes = {"speakers": told.speakers, "frame_px": told.frame_px}
    demo = base.demo.model_copy(update={k: v for k, v in changes.items() if v})
    entry = base.dataset("demo")
    select = entry.select.model_copy(update={"emotions": told.emotions})
    values = base.model_copy(
        update={"demo": demo, "datasets": {"demo": entry.model_copy(update={"select": select})}}
    )
    with tempfile.TemporaryDirectory(dir=told.folder, prefix="spfem-forget-") as name:
        proof, never, known = prove(Path(name), told.speaker, values)
    print(
        f"forgotten {told.speaker} ({known.counts()}): {proof.files} files searched, named in "
        f"{len(proof.named)}, shown {len(proof.shown)}, heard {len(proof.heard)}, numbers "
        f"{len(proof.numbered)}; {proof.compared} images compared, the most alike differs by "
        f"{proof.nearest:.1f} of 255 a pixel (in a dataset without them {never.nearest:.1f}); "
        f"outputs unequal {len(proof.unequal)}; sources touched {len(proof.touched)}"
    )
    for line in proof.left[:40]:
        print(f"  {line}")
    return int(bool(proof.left) or proof.nearest < never.nearest)


if __name__ == "__main__":
    sys.exit(main())
