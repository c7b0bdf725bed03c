"""Frames as Arrow batches: gaps, jumps across batches, measures of the right frames."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.crop import Square
from pipeline.faces.measures import measure
from pipeline.faces.track_stats import TrackStats
from pipeline.faces.tracking import TrackedFrame
from pipeline.records import FRAMES_SCHEMA
from pipeline.stages.extract.frame_rows import batches
from tests.builders.drawn_faces import drawn


def face(shift_px: float = 0.0) -> np.ndarray:
    landmarks = np.zeros((478, 3))
    landmarks[:468, :2] = drawn().landmarks_px
    return landmarks + np.array([shift_px, 0.0, 0.0])


def seen(k: int, landmarks: np.ndarray | None) -> TrackedFrame:
    return TrackedFrame(
        k, k / 25, 1 / 25, landmarks, None if landmarks is None else 5.0, False, b"jpeg"
    )


@pytest.mark.slow
def test_a_jump_between_batches_is_seen_and_one_over_a_gap_is_not() -> None:
    far = 3 * float(measure(face()).interocular_px)
    frames = [seen(k, face(far if k >= 64 else 0)) for k in range(70)]
    frames[30] = seen(30, None)
    frames[31] = seen(31, face(far))
    stats = TrackStats(Square(0, 0, 256, 256))
    groups = list(batches(iter(frames), stats))
    assert [group.num_rows for group in groups] == [64, 6]
    assert all(group.schema.equals(FRAMES_SCHEMA) for group in groups)
    jumped = [flag for group in groups for flag in group["jumped"].to_pylist()]
    assert [k for k, flag in enumerate(jumped) if flag] == [32, 64]
    assert stats.jumps == 2


def test_a_frame_without_a_face_has_no_measures() -> None:
    stats = TrackStats(Square(0, 0, 256, 256))
    frames = [seen(0, face()), seen(1, None), seen(2, face(1.0))]
    (group,) = batches(iter(frames), stats)
    assert group["found"].to_pylist() == [True, False, True]
    for name in ("landmarks", "yaw_deg", "mouth_open", "interocular_px", "sharpness"):
        assert [value is None for value in group[name].to_pylist()] == [False, True, False]
    assert group["landmarks"][2].as_py() == pytest.approx(
        face(1.0).astype(np.float32).ravel().tolist()
    )
    assert stats.interocular_px == pytest.approx([float(measure(face()).interocular_px)] * 2)
