"""Find a pair by its id and draw it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair, PosedPair
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, read_table
from pipeline.stages.report.pair_view import CardJob, PoseFiles, pair_view
from pipeline.tools.show_pair.pair_sheet import pair_sheet


def find_dataset(data: Path, datasets: Iterable[str], pair_id: str) -> str:
    """The dataset of `datasets` whose pairs include this one.

    Raises
    ------
    PipelineError
        If no dataset has it; the message names the closest pair.
    """
    known: list[str] = []
    for name in sorted(datasets):
        path = data / name / "align" / "tables" / "pairs.parquet"
        ids = read_table(path, columns=["pair_id"])["pair_id"].to_pylist() if path.is_file() else []
        if pair_id in ids:
            return name
        known += ids
    near = difflib.get_close_matches(pair_id, known, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else f" ({len(known)} pairs in {data})"
    raise PipelineError(f"no dataset has a pair {pair_id}{hint}")


def draw_pair(run: Run, pair_id: str) -> bytes:
    """The pair as PNG, without poses if that stage has not run.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    PipelineError
        When the dataset has no such pair, or extract no longer has its takes.
    """
    pairs = {pair.pair_id: pair for pair in run.need("align", "pairs", Pair)}
    if pair_id not in pairs:
        raise PipelineError(_unknown(run, pair_id, sorted(pairs)))
    pair = pairs[pair_id]
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    missing = sorted({pair.take_a, pair.take_b} - set(clips))
    if missing:
        raise PipelineError(
            f"pair {pair_id} names take {missing[0]} that extract no longer has; rerun align"
        )
    posed = _posed(run, pair_id)
    poses = run.items("pose").path(pair.speaker, ".poses.parquet") if posed else None
    job = CardJob(
        pair, clips[pair.take_a], clips[pair.take_b], run.items("extract").folder, poses,
        run.params.report, run.params.align.audio_fps, (), False, close_ups=True,
    )  # fmt: skip
    return pair_sheet(pair, posed, pair_view(PoseFiles(), job))


def _posed(run: Run, pair_id: str) -> PosedPair | None:
    path = run.table("pose", "pose_pairs")
    rows = read_rows(path, PosedPair) if path.is_file() else []
    return next((row for row in rows if row.pair_id == pair_id), None)


def _unknown(run: Run, pair_id: str, known: list[str]) -> str:
    near = difflib.get_close_matches(pair_id, known, 1, 0.5)
    if near:
        return f"{run.dataset} has no pair {pair_id}; did you mean {near[0]}?"
    where = run.table("align", "pairs")
    return f"{run.dataset} has no pair {pair_id}; the {len(known)} that it has are in {where}"
