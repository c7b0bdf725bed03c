"""Rows in numbers and in images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from pipeline.errors import ParameterError, TableError
from pipeline.tools.inspect.sheet import contact_sheet, write_image
from pipeline.tools.inspect.show import Shown, condition, conditions, show
from spfem_data.reader import Shards
from tests.builders.finished_shards import PAIRS


def test_rows_are_spread_over_all_that_meet_the_conditions(built: Path) -> None:
    found = show(built, "pairs", "train", [("confidence", ">", 0.4)], 3)
    wanted = [
        row["sample_id"]
        for row in Shards(built, "pairs", "train").rows(["sample_id", "confidence"])
        if row["confidence"] > 0.4
    ]
    assert found.found == len(wanted) == 9
    shown = [row["sample_id"] for row in found.rows]
    assert shown == [wanted[0], wanted[4], wanted[8]]
    assert all("source" not in row for row in found.rows)
    assert [len(row) for row in found.images] == [2, 2, 2]


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (["short", "x" * 50], ["short", "x" * 41 + "..."]),
        (
            [f"Actor_25_neutral_1_front_01-01--Actor_25_sad_2_front_01-01/{k:06d}" for k in (1, 2)],
            [f"Actor_25_neutral_1_f...2_front_01-01/{k:06d}" for k in (1, 2)],
        ),
        (
            [f"{'a' * 45}{middle}{'b' * 45}" for middle in "12"],
            [f"{'a' * 45}{middle}{'b' * 45}" for middle in "12"],
        ),
    ],
)  # fmt: skip
def test_shortened_ids_stay_different(ids: list[str], shown: list[str]) -> None:
    rows = [{"sample_id": name} for name in ids]
    _, _, [line] = Shown("pairs", "train", 2, rows, []).table()
    assert line == ["sample_id", *shown]
    assert len(set(line)) == 3


def test_git_lfs_pointers_are_named(folder: Path) -> None:
    (folder / PAIRS).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(TableError, match="is a Git LFS pointer, not the file itself; run: git lfs"):
        show(folder, "pairs", "train", [], 3)


def test_images_are_the_rows_own(built: Path) -> None:
    found = show(built, "pairs", None, [], 99)
    assert (found.split, len(found.rows)) == ("train", 18)
    rows = list(Shards(built, "pairs", "train").rows(["source"]))
    first = simplejpeg.decode_jpeg(rows[0]["source"]["bytes"], "RGB")
    np.testing.assert_array_equal(found.images[0][0], first)


def test_windows_show_the_film_of_both_takes(built: Path) -> None:
    found = show(built, "sequences", "train", [], 2)
    assert [len(row) for row in found.images] == [8, 8]
    ids = found.rows[1]["sample_ids"]
    rows = {r["sample_id"]: r for r in Shards(built, "pairs", "train").rows()}
    last = simplejpeg.decode_jpeg(rows[ids[-1]]["target"]["bytes"], "RGB")
    np.testing.assert_array_equal(found.images[1][-1], last)


def test_takes_have_no_image(built: Path) -> None:
    found = show(built, "takes", "test", [], 2)
    assert found.images == [[], []]
    with pytest.raises(ParameterError, match="no image in 2 rows of takes"):
        found.sheet(64)


def test_sheet_lies_row_under_row_with_numbers() -> None:
    red, blue = (np.full((8, 8, 3), c, np.uint8) for c in ((255, 0, 0), (0, 0, 255)))
    sheet = contact_sheet([[red, blue], [blue]], 40)
    assert sheet.shape == (2 * 44 + 4, 32 + 2 * 44 + 4, 3)
    assert sheet[10, 40].tolist() == [255, 0, 0]
    assert sheet[10, 90].tolist() == [0, 0, 255]
    assert sheet[60, 40].tolist() == [0, 0, 255]
    assert sheet[60, 90].tolist() == [255, 255, 255]
    dark = (sheet[:, :30] == 0).all(axis=2)
    assert dark[:44].any()  # a 1
    assert dark[44:].sum() > dark[:44].sum()  # a 2 has more ink


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_sheet_opens_elsewhere(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    write_image(tmp_path / name, image)
    opened = np.asarray(Image.open(tmp_path / name))
    assert opened.shape == image.shape
    if name.endswith("png"):
        np.testing.assert_array_equal(opened, image)


def test_other_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"expected a name that ends in \.png or \.jpg"):
        write_image(tmp_path / "sheet.gif", np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mouth_agreement > 0.8", ("mouth_agreement", ">", 0.8)),
        ("frame_a<=12", ("frame_a", "<=", 12)),
        ("emotion_b = happy", ("emotion_b", "==", "happy")),
        ("emotion_b in happy, sad", ("emotion_b", "in", ["happy", "sad"])),
        ("pair_id != a > b", ("pair_id", "!=", "a > b")),
    ],
)
def test_conditions_as_people_type_them(text: str, wanted: tuple) -> None:
    assert condition("pairs", text) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mouth_agreement", "expected COLUMN, one of"),
        ("mouth_agreement > ", "expected COLUMN, one of"),
        ("mood > 1", "pairs has no column 'mood'"),
        ("frame_a > 0.5", "'0.5' is no int32"),
        ("affine > 1", "columns of type .* are not compared"),
    ],
)
def test_what_is_no_condition_is_told(text: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        conditions("pairs", [text])


def test_truth_is_a_condition() -> None:
    assert condition("takes", "sentence_verified = True") == ("sentence_verified", "==", True)
    with pytest.raises(ParameterError, match="'maybe' is no bool"):
        condition("takes", "sentence_verified = maybe")


def test_damaged_image_names_verify(folder: Path) -> None:
    content = (folder / PAIRS).read_bytes()
    start = content.index(b"\xff\xd8\xff")
    (folder / PAIRS).write_bytes(content[:start] + bytes(2000) + content[start + 2000 :])
    with pytest.raises(TableError, match="see: spfem-data verify"):
        show(folder, "pairs", "train", [], 99)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config", "faces"], "no config 'faces'; the configs are: pairs"),
        (["--split", "validation"], "no file of the split 'validation'"),
        (["--where", "mood > 1"], "pairs has no column 'mood'"),
    ],
)
def test_command_tells_what_is_not_there(
    call, built: Path, arguments: list[str], says: str
) -> None:
    code, _, err = call("show", built, *arguments)
    assert code == 1
    assert says in err
    assert "Traceback" not in err


def test_command_writes_rows_and_sheet(call, built: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "s.png"
    code, out, err = call("show", built, "--n", 2, "--out", sheet, "--thumb-px", 32)
    assert code == 0
    assert out.startswith("pairs train: 2 of 18 rows\n")
    assert "see:" in err
    assert Image.open(sheet).size == (32 + 2 * 36 + 4, 2 * 36 + 4)
    value = json.loads(call("show", built, "--n", 2, "--json")[1])
    assert [row["speaker"] for row in value["rows"]] == ["S1", "S1"]


def test_folder_without_shards_is_told(call, tmp_path: Path) -> None:
    code, _, err = call("show", tmp_path / "nothing")
    assert code == 1
    assert "has no config 'pairs'; is it a shards folder?" in err
