"""The second landmark backend: agreement with the first, and messages for bad files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.digests import sha256_of
from pipeline.errors import ParameterError
from pipeline.faces.measures import measure
from pipeline.faces.mediapipe_tasks import TaskTracker, read_task
from pipeline.faces.mesh import MeshTracker, SettlingTracker
from pipeline.stages.extract import stage as extract
from tests.builders.drawn_faces import drawn, rgb
from tests.builders.landmarker_bundle import write_bundle
from tests.builders.media_files import tone, write_media
from tests.builders.takes import frames_of, make_run, manifest, run, talking


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("task") / "face_landmarker.task")


@pytest.fixture(scope="module")
def tasks(bundle: Path) -> TaskTracker:
    return TaskTracker(read_task(bundle, sha256_of(bundle)))


def talk(which: int) -> list[np.ndarray]:
    """A head that nods and opens its mouth within three frames."""
    return [
        rgb(drawn(yaw_deg=6 * np.sin(i / 3), jaw=0.4 * (i % 4) / 3, which=which, frame=i))
        for i in range(12)
    ]


def track(tracker: SettlingTracker, images: list[np.ndarray]) -> np.ndarray:
    tracker.restart()
    found = [tracker.track(image) for image in images]
    assert all(landmarks is not None for landmarks in found)
    return np.array(found)


@pytest.mark.slow
def test_both_backends_agree(tasks: TaskTracker) -> None:
    mesh = MeshTracker()
    for which in range(3):
        one, other = track(mesh, talk(which)), track(tasks, talk(which))
        eyes_px = np.median(np.linalg.norm(one[:, 33, :2] - one[:, 263, :2], axis=1))
        apart = np.linalg.norm(one[:, :, :2] - other[:, :, :2], axis=2) / eyes_px
        assert np.median(apart) < 0.015
        assert np.abs(np.median(one - other, axis=(0, 1))[:2]).max() < 0.01 * eyes_px
        opened = np.array([[measure(face).mouth_open for face in take] for take in (one, other)])
        assert np.ptp(opened[1]) > 0.85 * np.ptp(opened[0])
        assert np.corrcoef(opened)[0, 1] > 0.97


@pytest.mark.slow
def test_what_was_seen_before_does_not_matter(tasks: TaskTracker) -> None:
    first = track(tasks, talk(0))
    track(tasks, talk(1))
    assert np.array_equal(track(tasks, talk(0)), first)


def test_a_face_that_is_lost_is_none(tasks: TaskTracker) -> None:
    tasks.restart()
    empty = np.full((320, 320, 3), 100, np.uint8)
    assert tasks.track(empty) is None
    assert tasks.track(talk(0)[0]) is not None
    assert tasks.track(empty) is None


@pytest.mark.slow
def test_the_face_followed_is_kept_in_company(tasks: TaskTracker) -> None:
    tasks.restart()
    beside = [np.hstack([np.full_like(face, 100), face]) for face in talk(0)]
    pair = [np.hstack([other, face]) for face, other in zip(talk(0), talk(1), strict=True)]
    for image in (*beside[:4], *pair[4:]):
        landmarks = tasks.track(image)
        assert landmarks is not None
        assert landmarks[:, 0].min() > 320


@pytest.mark.slow
def test_extract_runs_with_a_task_file(tmp_path: Path, bundle: Path) -> None:
    write_media(tmp_path / "a.mp4", talking(), audio=tone(0.5))
    table = manifest(tmp_path, "a.mp4")
    plain = make_run(table, tmp_path / "data")
    _, (one,), _ = run(plain)
    section = {"landmarker": str(bundle), "landmarker_sha256": sha256_of(bundle)}
    made = make_run(table, tmp_path / "data", **section)
    summary, (other,), _ = run(made)
    assert (summary.done, other.n_found) == (1, 12)
    assert other.frames_sha256 != one.frames_sha256
    assert frames_of(made, other)["landmarks"][0].values.to_numpy().shape == (3 * 478,)
    elsewhere = bundle.with_name("copy.task")
    elsewhere.write_bytes(bundle.read_bytes())
    moved = make_run(table, tmp_path / "data", **{**section, "landmarker": str(elsewhere)})
    assert run(moved)[0].reused == 1


def test_a_file_that_will_not_do_is_said_in_one_line(tmp_path: Path, bundle: Path) -> None:
    text, other = tmp_path / "text.task", tmp_path / "other.task"
    text.write_text("no zip")
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("face_detector.tflite", "")
    with pytest.raises(ParameterError, match=r"absent\.task cannot be read .*or mesh"):
        read_task(tmp_path / "absent.task", "")
    with pytest.raises(ParameterError, match=r"has sha256 [0-9a-f]{64}, expected .*\(none given\)"):
        read_task(bundle, "")
    with pytest.raises(ParameterError, match=r"has sha256 .* expected .* 00000"):
        read_task(bundle, 64 * "0")
    with pytest.raises(ParameterError, match="is not a MediaPipe task file"):
        read_task(text, sha256_of(text))
    with pytest.raises(ParameterError, match=r"lacks face_landmarks_detector\.tflite"):
        read_task(other, sha256_of(other))


def test_models_that_do_not_load_are_said_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.task"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("face_detector.tflite", "no model")
        archive.writestr("face_landmarks_detector.tflite", "no model")
    with pytest.raises(ParameterError, match="MediaPipe cannot load the model: ") as caught:
        TaskTracker(read_task(broken, sha256_of(broken)))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_run_stops_before_any_take(tmp_path: Path) -> None:
    write_media(tmp_path / "a.mp4", talking(), audio=tone(0.5))
    made = make_run(
        manifest(tmp_path, "a.mp4"), tmp_path / "data", landmarker=str(tmp_path / "absent.task")
    )
    with pytest.raises(ParameterError, match="cannot be read"):
        extract.run(made)
    assert not (tmp_path / "data").exists()
