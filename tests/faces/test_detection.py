"""Finding faces in full frames, small and off-centre ones too."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import media
from pipeline.faces.crop import FaceBox, size_of
from pipeline.faces.detection import faces_in
from pipeline.faces.mesh import FaceFinder
from tests.builders.drawn_faces import SIZE_PX, drawn, rgb
from tests.builders.media_files import write_media


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def scene(places: list[tuple[int, int, int]], height: int = 720, width: int = 1280) -> np.ndarray:
    """Heads pasted into grey at (x, y, side)."""
    image = np.full((height, width, 3), 100, np.uint8)
    for k, (x, y, side) in enumerate(places):
        head = cv2.resize(rgb(drawn(which=k % 3)), (side, side), interpolation=cv2.INTER_AREA)
        image[y : y + side, x : x + side] = head
    return image


def find(
    tmp_path: Path, finder: FaceFinder, image: np.ndarray, thorough: bool = False
) -> list[FaceBox]:
    path = write_media(tmp_path / "a.mp4", [image])
    with media.open_video(path, media.Limits(1 << 24, 60.0)) as video:
        assert video is not None
        return faces_in(next(video.frames()), finder, 640, thorough=thorough)


def middle(face: FaceBox) -> tuple[float, float]:
    return (face[0] + face[2]) / 2, (face[1] + face[3]) / 2


def true_middle(which: int, x: int, y: int, side: int) -> np.ndarray:
    landmarks = drawn(which=which).landmarks_px
    return (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2 * side / SIZE_PX + (x, y)


def test_a_face_is_found_in_full_frame_pixels(tmp_path: Path, finder: FaceFinder) -> None:
    (face,) = find(tmp_path, finder, scene([(700, 200, 400)]))
    assert middle(face) == pytest.approx(true_middle(0, 700, 200, 400), abs=8)


def test_tiles_find_a_face_that_is_small_in_the_frame(tmp_path: Path, finder: FaceFinder) -> None:
    image = scene([(1500, 60, 120)], height=1080, width=1920)
    (face,) = find(tmp_path, finder, image, thorough=True)
    assert middle(face) == pytest.approx(true_middle(0, 1500, 60, 120), abs=5)


@pytest.mark.slow
def test_all_faces_are_found_once_the_largest_first(tmp_path: Path, finder: FaceFinder) -> None:
    image = scene([(40, 200, 240), (400, 100, 400), (950, 200, 240)])
    for thorough in (False, True):
        faces = find(tmp_path, finder, image, thorough)
        assert len(faces) == 3
        assert [size_of(face) for face in faces] == sorted(map(size_of, faces), reverse=True)
        assert middle(faces[0]) == pytest.approx(true_middle(1, 400, 100, 400), abs=8)


def test_a_image_without_a_face_has_none(tmp_path: Path, finder: FaceFinder) -> None:
    assert find(tmp_path, finder, scene([]), thorough=True) == []


def test_a_known_face_is_not_confirmed_again_and_others_are(
    tmp_path: Path, finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_media(tmp_path / "a.mp4", [scene([(100, 150, 400), (800, 200, 300)])])
    with media.open_video(path, media.Limits(1 << 24, 60.0)) as video:
        assert video is not None
        frame = next(video.frames())
        first, second = faces_in(frame, finder, 640, thorough=False)
        asked: list[tuple[int, ...]] = []
        confirm = finder.confirm
        monkeypatch.setattr(
            finder, "confirm", lambda shown: (asked.append(shown.shape), confirm(shown))[1]
        )
        found = faces_in(frame, finder, 640, thorough=False, known=first)
    assert found == [first, second]
    assert len(asked) == 1


def test_a_face_as_wide_as_a_image_that_is_all_width_is_none(tmp_path: Path) -> None:
    class Everywhere:
        """Proposes the whole of what it sees, and confirms all."""

        def propose(self, rgb: np.ndarray) -> list[FaceBox]:
            return [(0.0, 0.0, float(rgb.shape[1]), float(rgb.shape[0]))]

        def confirm(self, rgb: np.ndarray) -> np.ndarray:
            return np.array([[0.0, 0.0, 0.0], [rgb.shape[1], rgb.shape[0], 0.0]])

    for width, n in ((1024, 1), (8192, 0)):
        image = np.full((32, width, 3), 100, np.uint8)
        assert len(find(tmp_path, Everywhere(), image)) == n
