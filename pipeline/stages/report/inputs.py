"""What the report reads of a run: the tables of the stages before it, joined by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import OutOfOrderError, TableError
from pipeline.records import Clip, Pair, PosedPair, Rejected, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.store import ItemStore
from pipeline.runtime.summaries import summaries
from pipeline.stages import OPTIONAL
from pipeline.takes.frame_file import read_columns

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """One dataset as the stages left it. Rejects of all stages are in pipeline order.

    `missing` are optional stages that have not run.
    """

    dataset: str
    clips: Mapping[str, Clip]
    sentences: tuple[Sentence, ...]
    pairs: tuple[Pair, ...]
    posed: Mapping[str, PosedPair]
    rejects: tuple[Rejected, ...]
    summaries: Mapping[str, Mapping[str, Any]]
    extracted: ItemStore
    poses: ItemStore
    missing: tuple[str, ...] = ()

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """All speakers with a clip, sorted."""
        return tuple(sorted({clip.speaker for clip in self.clips.values()}))

    def frames_path(self, clip: Clip) -> Path:
        """The frame file of a clip."""
        return self.extracted.path(item_of(clip), ".frames.parquet")

    def mouth_open(self, clip: Clip) -> F64:
        """Mouth opening (n,) of the frames of a clip, NaN where no face was found."""
        return read_columns(self.frames_path(clip), ["mouth_open"])["mouth_open"]

    def residuals(self, speaker: str) -> dict[str, F64]:
        """`residual_before` and `residual_after` (n,) of all frame pairs of a speaker."""
        names = ("residual_before", "residual_after")
        path = self.poses.path(speaker, ".poses.parquet")
        if not path.is_file():
            return {name: np.empty(0) for name in names}
        return read_columns(path, names)


def item_of(clip: Clip) -> str:
    """The name of a clip's files among extract's items."""
    return f"{clip.speaker}/{clip.take_id}"


def gather(run: Run, stages: Sequence[str]) -> Inputs:
    """Read the tables of the stages that the report covers.

    Raises
    ------
    OutOfOrderError
        When extract, align or pose has not run, or any of the stages was stopped midway. The
        message names the command to run.
    TableError
        When pairs name clips that extract no longer has.
    """
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    pairs = tuple(run.need("align", "pairs", Pair))
    posed = {row.pair_id: row for row in run.need("pose", "pose_pairs", PosedPair)}
    for pair in pairs:
        missing = {pair.take_a, pair.take_b} - set(clips)
        if missing:
            raise TableError(
                f"pair {pair.pair_id} names take {min(missing)} that extract no longer has; "
                "rerun align"
            )
    sentences = tuple(run.need("align", "sentences", Sentence))
    done = _summaries(run, stages)
    return Inputs(
        run.dataset, clips, sentences, pairs, posed, tuple(rejects_of(run, list(done))), done,
        run.items("extract"), run.items("pose"), tuple(s for s in stages if s not in done),
    )  # fmt: skip


def rejects_of(run: Run, stages: Sequence[str]) -> list[Rejected]:
    """The rejects of the stages, in the order given; none of a stage that has not run."""
    return [row for stage in stages for row in run.find(stage, "rejected", Rejected) or ()]


def _summaries(run: Run, stages: Sequence[str]) -> dict[str, dict[str, Any]]:
    done: dict[str, dict[str, Any]] = {}
    for stage, summary in summaries(run, stages).items():
        if summary is not None:
            run.check_finished(stage)
            done[stage] = summary
        elif stage not in OPTIONAL["report"]:
            raise OutOfOrderError(
                f"{run.dataset} has no {stage} yet; run first: "
                f"spfem-data {stage} --dataset {run.dataset}"
            )
    return done
