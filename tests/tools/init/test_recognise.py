"""Corpora are recognised by what their files are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.init import recognise


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_mead_with_several_views(tmp_path: Path) -> None:
    names = [
        f"{who}/video/{view}/happy/level_1/001.mp4"
        for who in ("M003", "W011")
        for view in ("front", "left_30")
    ]
    found = recognise(_touch(tmp_path / "MEAD", *names))
    assert (found.corpus, found.takes, found.speakers) == ("mead", 4, 2)
    assert found.views == ("front",)


def test_takes_without_video_are_not_left_out(tmp_path: Path) -> None:
    front = ["M003/video/front/happy/level_1/001.mp4", "M003/audio/happy/level_1/001.m4a"]
    audio = [f"W011/audio/happy/level_1/{k:03}.m4a" for k in range(1, 33)]
    one = recognise(_touch(tmp_path / "one", *front, *audio))
    assert (one.takes, one.views) == (33, ())
    left = "M003/video/left_30/happy/level_1/001.mp4"
    two = recognise(_touch(tmp_path / "two", *front, left, *audio))
    assert (two.takes, two.views) == (34, ("front", "none"))


def test_no_view_is_selected_that_would_leave_out_a_speaker(tmp_path: Path) -> None:
    names = [f"M003/video/{view}/happy/level_1/001.mp4" for view in ("front", "left_30")]
    found = recognise(_touch(tmp_path, *names, "W011/video/left_30/happy/level_1/001.mp4"))
    assert (found.takes, found.speakers, found.views) == (3, 2, ())


def test_ravdess(tmp_path: Path) -> None:
    root = _touch(tmp_path / "R", "Actor_01/01-01-03-01-01-01-01.mp4")
    found = recognise(root)
    assert (found.corpus, found.takes, found.speakers, found.views) == ("ravdess", 1, 1, ())
    assert found.root == root


def test_a_manifest(tmp_path: Path) -> None:
    _touch(tmp_path, "a.mp4")
    manifest = tmp_path / "takes.csv"
    manifest.write_text("path,speaker,emotion,sentence\na.mp4,Ann,happy,hello\n")
    found = recognise(manifest)
    assert (found.corpus, found.takes, found.root) == ("custom", 1, manifest)
    with pytest.raises(PipelineError, match=r"if takes\.csv is its manifest, name that file"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["notes.txt"], "holds no known corpus: MEAD has <actor>/video"),
        (
            ["a/Actor_01/01-01-03-01-01-01-01.mp4", "b/M003/video/front/happy/level_1/001.mp4"],
            "holds 1 takes of mead and 1 takes of ravdess; name the folder of each separately",
        ),
    ],
)
def test_what_is_not_one_corpus(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(said)):
        recognise(_touch(tmp_path / "x", *names))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="does not exist; name the folder of a corpus"):
        recognise(tmp_path / "absent")
