from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_table
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from pipeline.stages.shards.rows import spaced
from tests.builders.dataset import make_inputs, make_run


def rows_of(run: Run, split: str = "train") -> list[dict[str, object]]:
    files = sorted((run.folder("shards") / "data/frames").glob(f"{split}-*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def build(data: Path, **frames: object) -> Run:
    base = make_run(data)
    section = base.params.shards.frames.model_copy(update=frames)
    run = make_run(data, frames=section)
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    return run


@pytest.mark.parametrize(
    ("n", "wanted", "found"),
    [(5, 0, [0, 1, 2, 3, 4]), (3, 8, [0, 1, 2]), (10, 2, [2, 7]), (9, 3, [1, 4, 7]), (0, 4, [])],
)
def test_places_are_spread(n: int, wanted: int, found: list[int]) -> None:
    assert spaced(n, wanted) == found


@pytest.mark.slow
def test_frames_are_spread_over_each_take(tmp_path: Path) -> None:
    run = build(tmp_path, per_take=3, framing="head")
    rows = rows_of(run)
    assert [(row["take_id"], row["frame"]) for row in rows] == [
        *(("S1_angry", k) for k in (1, 5, 9)),  # its last three of 14 show no face
        *(("S1_happy", k) for k in (2, 7, 11)),
        *(("S1_neutral", k) for k in (2, 7, 11)),
    ]
    assert {row["sentence"] for row in rows} == {"s1"}
    assert rows[4]["time_s"] == pytest.approx(7.5 / 25)
    stored = read_table(run.items("extract").path("S1/S1_happy", ".frames.parquet"))
    assert rows[4]["mouth_open"] == pytest.approx(stored["mouth_open"][7].as_py())
    assert {row["image_id"] for row in rows_of(run, "test")} == {
        row["image_id"].replace("S1", "S2") for row in rows
    }


@pytest.mark.slow
def test_framing_is_its_own(tmp_path: Path) -> None:
    """Pairs are framed as `shards.framing` says, frames as `shards.frames.framing`."""
    head = rows_of(build(tmp_path / "head", per_take=2, framing="head"))
    ffhq = rows_of(build(tmp_path / "ffhq", per_take=2, framing="ffhq"))
    for a, b in zip(head, ffhq, strict=True):
        assert a["image_id"] == b["image_id"]
        assert not np.allclose(a["frame_to_image"], b["frame_to_image"])
        pixels = [simplejpeg.decode_jpeg(row["image"]["bytes"]) for row in (a, b)]
        assert pixels[0].shape == pixels[1].shape == (128, 128, 3)
    assert all(np.linalg.det(np.reshape(r["frame_to_image"], (2, 3))[:, :2]) > 0 for r in ffhq)
