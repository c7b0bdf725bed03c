"""Benchmarks never change the state of a dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.dataset_view import dataset_view
from pipeline.records import PosedPair
from pipeline.runtime.run import Options
from pipeline.stages.pose import stage as pose
from tests.builders.dataset import make_inputs, make_run


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_a_stage_in_a_view_leaves_the_dataset_unchanged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "data")
    make_inputs(run)
    pose.run(run)
    dataset = run.data / run.dataset
    before = files_of(dataset)
    with dataset_view(dataset, ["pose"]) as folder:
        forced = replace(run, data=folder, options=Options(engine="serial", force=True))
        assert pose.run(forced).done == 2
        forced.unfinished("pose").parent.mkdir(parents=True, exist_ok=True)
        forced.unfinished("pose").write_bytes(b"")  # as after a part or an interruption
    assert files_of(dataset) == before
    assert not run.unfinished("pose").exists()
    assert len(run.need("pose", "pose_pairs", PosedPair)) == 4
