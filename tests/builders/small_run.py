"""A run small enough to be broken two hundred times: its files, its commands, its digests."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from pipeline import params
from pipeline.params import Params
from pipeline.runtime.run import Run
from pipeline.stages import STAGES
from tests.builders.dataset import make_inputs, make_run
from tests.builders.digests import digests

MADE_STAGES = ("pose", "shards")
"""The stages that run on made takes, which replace the outputs of extract and align."""


@dataclass(frozen=True)
class Small:
    """A params.yaml, a data folder, and the source files that nothing may touch."""

    params: Path
    data: Path
    dataset: str
    sources: Path
    stages: tuple[str, ...]

    def elsewhere(self, data: Path) -> Small:
        """The same over another data folder."""
        return Small(self.params, data, self.dataset, self.sources, self.stages)

    def command(self, stage: str, *more: str) -> list[str]:
        """The command line of a stage, with the interpreter that runs the tests."""
        return [
            sys.executable, "-m", "cli.main", stage, "--dataset", self.dataset, "--data",
            str(self.data), "--params", str(self.params), "--no-lock", "--workers", "2", *more,
        ]  # fmt: skip


def run_command(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its outputs as text."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, **environment},
    )  # fmt: skip


def write_params(path: Path, values: Params) -> None:
    """A params.yaml of these values."""
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(values.model_dump(mode="json"), text)
    path.write_text(text.getvalue(), encoding="utf-8")


def made(folder: Path) -> Small:
    """Two speakers' made takes, three each: no decoder, no face is looked for."""
    run: Run = make_run(folder / "data")
    make_inputs(run)
    sources = folder / "corpus"
    sources.mkdir()
    (sources / "take.mp4").write_bytes(b"a source file")
    entry = run.params.datasets["made"].model_copy(update={"root": str(sources)})
    write_params(
        folder / "params.yaml", run.params.model_copy(update={"datasets": {"made": entry}})
    )
    return Small(folder / "params.yaml", folder / "data", "made", sources, MADE_STAGES)


def drawn(folder: Path, speakers: Sequence[str] = ("25",)) -> Small:
    """A demo corpus of few speakers and three emotions, and all stages on it."""
    sources = folder / "corpus"
    write_params(folder / "params.yaml", few_of_demo(sources, speakers))
    small = Small(folder / "params.yaml", folder / "data", "demo", sources, STAGES[1:])
    if not sources.is_dir():
        done = run_command(small.command("demo"))
        assert done.returncode == 0, done.stderr
    return small


def few_of_demo(sources: Path, speakers: Sequence[str] = ("25",)) -> Params:
    """Parameters of the demo for few speakers, three emotions and few frames of each take.

    Two emotions have directions, and families of two images are kept.
    """
    base = params.load(None)
    emotions = ["neutral", "happy", "sad"]
    select = base.dataset("demo").select.model_copy(update={"emotions": emotions})
    entry = base.dataset("demo").model_copy(update={"root": str(sources), "select": select})
    rules = {entry.split: base.splits[entry.split].model_copy(update={"assign": {}})}
    few = fewer(base)
    few["invert"] = base.invert  # fewer frames of one actor give no direction
    few["synth"] = base.synth.model_copy(update={"frames_per_take": 1, "tries": 1, "min_images": 2})
    demo = base.demo.model_copy(update={"speakers": list(speakers), "frame_px": 256})
    return base.model_copy(
        update={**few, "datasets": {"demo": entry}, "demo": demo, "splits": rules}
    )


def fewer(base: Params) -> dict[str, object]:
    """Sections of params.yaml that do the same with fewer frames of each take."""
    return {
        "align": base.align.model_copy(update={"min_pairs": 6}),
        "score": base.score.model_copy(update={"frames_per_take": 4}),
        "invert": base.invert.model_copy(update={"frames_per_take": 2}),
        "directions": base.directions.model_copy(
            update={"calibration_frames": 6, "rounds": 1, "readout_frames": 40}
        ),
        "synth": base.synth.model_copy(update={"frames_per_take": 1, "tries": 1}),
    }


def outputs(small: Small) -> dict[str, str]:
    """sha256 of every output of the pipeline."""
    return digests(small.data / small.dataset, without=("demo",))


def touched(small: Small, before: dict[str, str]) -> list[str]:
    """The source files that are not what they were, or are new, or gone."""
    now = digests(small.sources)
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
