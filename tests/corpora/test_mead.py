"""MEAD from names alone: trees, tars, and problems with both."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora import inventory, skipped_notes
from pipeline.corpora.listing import Utterance
from pipeline.corpora.mead import EMOTIONS, VIEWS, parse, view_of
from pipeline.corpora.mead_sentences import prior_labels
from pipeline.corpora.scan import Found
from pipeline.errors import PipelineError
from pipeline.records import Source

VIDEO = "video/front/angry/level_3/016.mp4"
AUDIO = "audio/angry/level_3/016.m4a"


def test_a_tree(takes_of: Any, make_tree: Any) -> None:
    root = make_tree([f"M003/{VIDEO}", f"M003/{AUDIO}", "M003/video/left_30/angry/level_3/016.mp4"])
    front, left = takes_of("mead", root).takes
    assert (front.take_id, front.utterance_id) == ("M003_angry_3_front_016", "M003_angry_3_016")
    assert (front.speaker, front.emotion, front.level) == ("M003", "angry", 3)
    assert (front.view, front.take) == ("front", "016")
    assert (front.sentence, front.sentence_source) == (None, None)
    assert front.video == Source(f"M003/{VIDEO}")
    assert left.take_id == "M003_angry_3_left_30_016"
    assert front.audio == left.audio == Source(f"M003/{AUDIO}")


@pytest.mark.parametrize(
    "path",
    [
        f"M003/1/{VIDEO[6:]}",
        f"M003/video/video/{VIDEO[6:]}",
        f"deep/er/M003/extra/{VIDEO}",
        "m003/Video/FRONT/Anger/Level_3/16.MP4",
        f"M003_part1/{VIDEO}",
        f"W011/M003/{VIDEO}",
    ],
)
def test_folders_differ_between_actors(takes_of: Any, make_tree: Any, path: str) -> None:
    (take,) = takes_of("mead", make_tree([path])).takes
    assert take.take_id == "M003_angry_3_front_016"


def test_the_root_may_be_the_actor_or_an_archive(
    takes_of: Any, make_tree: Any, make_tar: Any, tmp_path: Path
) -> None:
    root = make_tree([f"M003/{VIDEO}"]) / "M003"
    assert takes_of("mead", root).takes[0].take_id == "M003_angry_3_front_016"
    tar = make_tar(tmp_path / "W009_video.tar", {VIDEO: b"v"})
    (take,) = takes_of("mead", tar).takes
    assert (take.take_id, take.video_path) == ("W009_angry_3_front_016", "W009_video.tar")


@pytest.mark.parametrize("tar", ["M003/video.tar", "M003/1.tar", "M003_video.tar", "x/M003-b.TAR"])
def test_untouched_tars(takes_of: Any, make_tree: Any, make_tar: Any, tar: str) -> None:
    root = make_tree([])
    make_tar(root / tar, {VIDEO: b"v", AUDIO: b"a"})
    (take,) = takes_of("mead", root).takes
    assert take.take_id == "M003_angry_3_front_016"
    assert take.video == Source(tar, VIDEO)
    assert take.audio == Source(tar, AUDIO)


def test_split_tars_are_one_actor(takes_of: Any, make_tree: Any, make_tar: Any) -> None:
    root = make_tree([])
    make_tar(root / "M003/video_1.tar", {VIDEO: b"v"})
    make_tar(root / "M003/video_2.tar", {VIDEO.replace("016", "017"): b"v"})
    make_tar(root / "M003/audio.tar", {AUDIO: b"a", AUDIO.replace("016", "017"): b"a"})
    takes = takes_of("mead", root).takes
    assert [take.take for take in takes] == ["016", "017"]
    assert [take.audio_path for take in takes] == ["M003/audio.tar"] * 2


def test_a_take_in_tree_and_tar_is_taken_from_the_tree(
    takes_of: Any, make_tree: Any, make_tar: Any, reasons: Any
) -> None:
    root = make_tree([f"M003/z/{VIDEO}"])
    make_tar(root / "M003/a.tar", {VIDEO: b"v"})
    listing = takes_of("mead", root)
    assert [take.video_path for take in listing.takes] == [f"M003/z/{VIDEO}"]
    assert reasons(listing) == {f"M003/a.tar!{VIDEO}": "duplicate_take"}
    assert "M003_angry_3_front_016 is M003/z/" in listing.rejected[0].detail


def test_numbers_differently_written_are_one_take(
    takes_of: Any, make_tree: Any, reasons: Any
) -> None:
    root = make_tree([f"M003/{VIDEO}", f"M003/{VIDEO.replace('016', '16')}"])
    listing = takes_of("mead", root)
    assert [take.take for take in listing.takes] == ["016"]
    assert list(reasons(listing).values()) == ["duplicate_take"]


def test_a_audio_without_image_is_told(takes_of: Any, make_tree: Any, holes: Any) -> None:
    root = make_tree([f"M003/{VIDEO}", "M003/audio/angry/level_3/017.m4a"])
    listing = takes_of("mead", root)
    assert [take.take_id for take in listing.takes] == ["M003_angry_3_front_016"]
    found = holes(listing)
    assert found["audio_without_video", "M003", "angry 3"] == (1, "017")
    assert found["no_audio_file", "M003", "angry 3"] == (1, "016")


def test_an_actor_without_images_has_takes_of_audio(takes_of: Any, make_tree: Any) -> None:
    root = make_tree([f"M003/{VIDEO}", f"W009/{AUDIO}"])
    _, audio = takes_of("mead", root).takes
    assert audio.take_id == "W009_angry_3_none_016"
    assert (audio.view, audio.video, audio.audio) == ("none", None, Source(f"W009/{AUDIO}"))


def test_a_take_whose_only_file_is_cut_off_is_lost(
    takes_of: Any, make_tree: Any, make_tar: Any, reasons: Any, holes: Any
) -> None:
    root = make_tree([])
    second = VIDEO.replace("016", "017")
    tar = make_tar(root / "M003/video.tar", {VIDEO: b"v" * 600, second: b"w" * 6000})
    os.truncate(tar, 4096)
    listing = takes_of("mead", root)
    assert [take.take for take in listing.takes] == ["016"]
    assert reasons(listing) == {
        "M003_angry_3_front_017": "truncated",
        "M003/video.tar": "truncated",
    }
    assert "17: truncated" in holes(listing)["gap", "M003", "angry 3"][1]


def test_a_damaged_copy_gives_way_to_a_good_one(
    takes_of: Any, make_tree: Any, make_tar: Any, reasons: Any
) -> None:
    root = make_tree([])
    tar = make_tar(root / "M003/a.tar", {VIDEO: b"v" * 6000})
    os.truncate(tar, 4096)
    make_tar(root / "M003/b.tar", {VIDEO: b"v" * 6000})
    listing = takes_of("mead", root)
    assert [take.video_path for take in listing.takes] == ["M003/b.tar"]
    assert reasons(listing) == {"M003/a.tar": "truncated", f"M003/a.tar!{VIDEO}": "truncated"}


def test_a_audio_that_cannot_be_read_leaves_the_image(
    takes_of: Any, make_tree: Any, holes: Any
) -> None:
    root = make_tree([f"M003/{VIDEO}"])
    audio = root / "M003" / AUDIO
    audio.parent.mkdir(parents=True)
    audio.symlink_to("nowhere.m4a")
    listing = takes_of("mead", root)
    assert listing.takes[0].audio is None
    assert holes(listing)["bad_audio_file", "M003", "angry 3"] == (1, "016")


def test_a_lost_audio_of_an_actor_without_images(
    takes_of: Any, make_tree: Any, reasons: Any
) -> None:
    audio = make_tree([f"W009/{AUDIO}"]) / "W009/audio/angry/level_3/017.m4a"
    audio.symlink_to("nowhere.m4a")
    listing = takes_of("mead", audio.parents[4])
    assert len(listing.takes) == 1
    assert reasons(listing) == {"W009_angry_3_none_017": "missing_file"}


def test_what_cannot_be_parsed_is_told(takes_of: Any, make_tree: Any, holes: Any) -> None:
    odd = [
        "M003/video/front/angry/016.mp4",
        "M003/video/front/angry/level_3/take.mp4",
        "M003/video/behind/angry/level_3/016.mp4",
        f"nobody/{VIDEO}",
        f"M003_M005/{VIDEO}",
        f"M0033/{VIDEO}",
        "M003/video/front/furious/level_1/001.mp4",
    ]
    listing = takes_of("mead", make_tree([f"W009/{VIDEO}", "W009/notes.txt", *odd]))
    assert len(listing.takes) == 1
    assert len(listing.rejected) == 0
    counts = {
        where: hole[0] for (kind, _, where), hole in holes(listing).items() if kind == "unparsed"
    }
    assert counts == {
        "it is in no folder <emotion>/level_<k>": 2,
        "its name is not a number": 1,
        "it is in no folder of a view such as front": 1,
        "its path names no actor such as M003": 3,
    }


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("left60", "left_60"), ("left-30", "left_30"), ("Right_30", "right_30"),
        ("front_view", "front"), ("RIGHT 60 deg", "right_60"), ("Front-Camera", "front"),
        ("left_45", None), ("video", None), ("", None),
    ],
)  # fmt: skip
def test_views_in_other_spellings(name: str, view: str | None) -> None:
    assert view_of(name) == view


def test_the_tar_of_a_view_counts_as_its_folder(
    takes_of: Any, make_tree: Any, make_tar: Any
) -> None:
    root = make_tree([])
    make_tar(root / "M003" / "video" / "left60.tar", {"angry/level_3/016.mp4": b"v"})
    (take,) = takes_of("mead", root).takes
    assert take.take_id == "M003_angry_3_left_60_016"


def test_another_version_of_an_audio_file_is_no_copy(
    takes_of: Any, make_tree: Any, holes: Any
) -> None:
    root = make_tree([f"M003/{VIDEO}", f"M003/{AUDIO}", f"M003/more/{AUDIO}", f"M003/same/{AUDIO}"])
    (root / "M003/same" / AUDIO).write_bytes((root / "M003" / AUDIO).read_bytes())
    listed = holes(takes_of("mead", root))
    assert listed["other_version", "M003", "angry 3"] == (1, "016")
    assert listed["duplicate_audio", "M003", "angry 3"] == (1, "016")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("M003/video.tar.gz", r"\(M003/video\.tar\.gz: compressed archives or parts"),
        ("M003/all.rar", r"\(M003/all\.rar: compressed archives or parts"),
    ],
)
def test_a_compressed_archive_is_named(takes_of: Any, make_tree: Any, name: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        takes_of("mead", make_tree([name]))


def test_a_nested_archive_is_named(takes_of: Any, make_tree: Any, make_zip: Any) -> None:
    root = make_tree([])
    make_zip(root / "M003.zip", {"M003/video.tar": b"tar"})
    with pytest.raises(
        PipelineError, match=r"\(M003\.zip!M003/video\.tar: archives inside archives"
    ):
        takes_of("mead", root)


def test_skipped_files_are_one_line_a_kind(takes_of: Any, make_tree: Any) -> None:
    odd = [f"M003/video/left_45/angry/level_3/{n:03d}.mp4" for n in (1, 2, 3)]
    listing = takes_of("mead", make_tree([f"M003/{VIDEO}", "M003/audio.tar.gz", *odd]))
    assert skipped_notes(listing) == [
        "1 skipped, compressed archives or parts of archives; unpack or join them: "
        "M003/audio.tar.gz",
        f"3 skipped, media files whose names do not identify a take: {odd[0]}",
    ]


def test_hidden_files_are_no_takes(takes_of: Any, make_tree: Any, holes: Any) -> None:
    hidden = ["M003/video/front/angry/level_3/._016.mp4", f"M003/__MACOSX/{VIDEO}"]
    listing = takes_of("mead", make_tree([f"M003/{VIDEO}", *hidden]))
    assert len(listing.takes) == 1
    assert holes(listing)["hidden_file", "", ""] == (1, hidden[0])


def test_holes_of_the_numbering_and_the_views(takes_of: Any, make_tree: Any, holes: Any) -> None:
    paths = [f"M003/video/front/happy/level_1/{i:03d}.mp4" for i in range(1, 33) if i not in (4, 5)]
    paths += ["M003/video/top/happy/level_1/001.mp4", "W017/video/down/happy/level_2/001.mp4"]
    found = holes(takes_of("mead", make_tree(paths)))
    assert found["gap", "M003", "happy 1"] == (2, "004-005")
    assert found["gap", "W017", "happy 2"] == (29, "002-030")
    assert found["no_level", "M003", ""] == (1, "happy 2")
    others = "angry, contempt, disgusted, fear, neutral, sad, surprised"
    assert found["no_emotion", "M003", ""] == (7, others)
    assert found["no_view", "M003", "down"] == (30, "")
    assert found["view_gap", "M003", "top"][0] == 29
    assert found["no_view", "W017", "front"] == (1, "")


def test_selection(takes_of: Any, make_tree: Any) -> None:
    paths = [
        f"{actor}/video/{view}/{emotion}/level_{level}/001.mp4"
        for actor in ("M003", "W009")
        for view in ("front", "top")
        for emotion in ("angry", "fear")
        for level in (1, 2)
    ]
    root = make_tree(paths)
    assert len(takes_of("mead", root).takes) == 16
    chosen = takes_of(
        "mead", root, speakers=["M003"], emotions=["fearful"], levels=[2], views=["top"]
    )
    assert [take.take_id for take in chosen.takes] == ["M003_fear_2_top_001"]
    assert {promise.speaker for promise in chosen.promises} == {"M003"}


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            {"speakers": ["M003", "M999"]},
            r"select.speakers: the corpus has no 'M999'; it has: 'M003'",
        ),
        ({"emotions": ["happy"]}, r"select.emotions: .* no 'happy'; it has: 'angry'"),
        ({"emotions": ["angri"]}, r"'angri' is not an emotion; did you mean angry"),
        ({"levels": [7]}, r"select.levels: .* no 7; it has: 3"),
        ({"views": ["back"]}, r"select.views: .* no 'back'; it has: 'front', 'top'"),
        ({"speakers": ["M003"], "views": ["top"]}, r"each name exists, but never together"),
    ],
)
def test_a_selection_that_matches_nothing_is_an_error(
    takes_of: Any, make_tree: Any, select: dict[str, Any], message: str
) -> None:
    root = make_tree([f"M003/{VIDEO}", "M005/video/top/angry/level_3/001.mp4"])
    with pytest.raises(PipelineError, match=message):
        takes_of("mead", root, **select)


def test_rejects_of_others_are_left_out_by_the_selection(
    takes_of: Any, make_tree: Any, reasons: Any
) -> None:
    double = VIDEO.replace("016", "16")
    root = make_tree([f"{a}/{v}" for a in ("M003", "M005") for v in (VIDEO, double)])
    listing = takes_of("mead", root, speakers=["M005"])
    assert len(reasons(takes_of("mead", root))) == 2
    assert list(reasons(listing)) == [f"M005/{double}"]


def test_a_root_that_is_not_there_or_holds_something_else(takes_of: Any, make_tree: Any) -> None:
    root = make_tree(["film/holiday.mp4"])
    with pytest.raises(PipelineError, match=r"'set' does not exist: .*; set datasets\.set\.root"):
        takes_of("mead", root / "absent")
    with pytest.raises(
        PipelineError, match=r"holds no take of mead \(film/holiday.mp4: .*expected"
    ):
        takes_of("mead", root)


def test_links_between_folders_end(
    takes_of: Any, make_tree: Any, tmp_path: Path, holes: Any
) -> None:
    root = make_tree([f"M003/{VIDEO}"])
    elsewhere = tmp_path / "disk2" / "W009" / VIDEO
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(b"v")
    (root / "W009").symlink_to(tmp_path / "disk2" / "W009")
    (root / "M003" / "loop").symlink_to(root)
    (root / "A_first").symlink_to(root / "M003")
    (root / "self").symlink_to("self")
    listing = takes_of("mead", root)
    assert [take.take_id for take in listing.takes] == [
        "M003_angry_3_front_016",
        "W009_angry_3_front_016",
    ]
    assert holes(listing)["linked_twice", "", ""] == (2, "A_first, M003/loop")


def test_a_pipe_is_never_opened(takes_of: Any, make_tree: Any, reasons: Any) -> None:
    root = make_tree([f"M003/{VIDEO}"])
    os.mkfifo(root / "M003" / VIDEO.replace("016", "017"))
    os.mkfifo(root / "M003" / "video.tar")
    assert reasons(takes_of("mead", root)) == {
        "M003_angry_3_front_017": "unreadable",
        "M003/video.tar": "unreadable",
    }


def test_names_that_are_not_utf8_are_set_aside(takes_of: Any, make_tree: Any, reasons: Any) -> None:
    root = make_tree([f"M003/{VIDEO}"])
    name = os.fsencode(root) + b"/M003/\xff.mp4"
    os.close(os.open(name, os.O_CREAT))
    assert reasons(takes_of("mead", root)) == {"M003/\\udcff.mp4": "unreadable"}


def test_a_folder_that_cannot_be_read_is_told(
    takes_of: Any, make_tree: Any, reasons: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree([f"M003/{VIDEO}", f"M005/{VIDEO}"])
    scandir: Callable[..., Any] = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "M005":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("pipeline.corpora.scan.os.scandir", refusing)
    listing = takes_of("mead", root)
    assert reasons(listing) == {"M005": "unreadable"}
    assert listing.rejected[0].detail == "Permission denied"


def test_the_inventory_as_tables(takes_of: Any, make_tree: Any) -> None:
    root = make_tree([f"M003/{VIDEO}", f"M003/{AUDIO}", f"M003/{VIDEO.replace('016', '16')}"])
    listing = takes_of("mead", root)
    takes, holes, aside = inventory(listing).tables()
    assert takes == (
        "takes",
        ["speaker", "view", "level", "angry", "all"],
        [["M003", "front", "3", "1", "1"]],
    )
    assert {len(row) for row in holes[2]} == {5}
    assert aside[2][0][:2] == ["duplicate_take", "1"]
    (cell,) = inventory(listing).cells
    assert (cell.takes, cell.with_audio_file) == (1, 1)


def test_real_takes(takes_of: Any, shared: Path) -> None:
    listing = takes_of("mead", shared / "mead")
    assert [take.take_id for take in listing.takes] == [
        "M003_disgusted_1_front_015",
        "M003_happy_1_front_024",
        "M024_surprised_2_front_010",
        "M030_angry_3_front_016",
        "M030_sad_3_front_001",
        "W015_neutral_1_front_030",
        "W023_surprised_2_front_010",
    ]
    assert all(take.audio is not None for take in listing.takes)
    assert listing.rejected == ()


@pytest.mark.slow
@given(
    st.from_regex(r"[MWF]\d{3}", fullmatch=True),
    st.sampled_from(EMOTIONS),
    st.integers(1, 3),
    st.sampled_from(VIEWS),
    st.integers(0, 9999),
    st.lists(st.sampled_from(["video", "1", "2", "MEAD", "part_2", "ä ö"]), max_size=3),
)
def test_names_parse_and_print_back(
    actor: str, emotion: str, level: int, view: str, number: int, between: list[str]
) -> None:
    folders = "/".join([actor, *between, view, emotion, f"level_{level}"])
    parsed = parse(Found(Source(f"{folders}/{number:03d}.mp4")), "root")
    assert parsed == (Utterance(actor, emotion, level, f"{number:03d}"), view)


@given(st.text(max_size=60).filter(lambda text: text.strip("/") != ""))
def test_any_name_parses_or_says_why(text: str) -> None:
    parsed = parse(Found(Source(text)), "root")
    assert isinstance(parsed, str | tuple)


@pytest.mark.parametrize(
    ("emotion", "number", "expected"),
    [
        ("neutral", 1, [("c01", "common_first")]),
        ("neutral", 4, [("neutral-o01", "common_first")]),
        ("neutral", 30, [("neutral-o27", "common_first")]),
        ("neutral", 31, [("g01", "common_first")]),
        ("neutral", 40, [("g10", "common_first")]),
        ("angry", 3, [("c03", "common_first")]),
        ("angry", 20, [("angry-o17", "common_first")]),
        ("angry", 21, [("g01", "common_first")]),
        ("angry", 30, [("g10", "common_first")]),
        ("disgusted", 18, [("disgusted-o15", "common_first"), ("g01", "common_last")]),
        ("disgusted", 30, [("g10", "common_first"), ("c03", "common_last")]),
        ("angry", 31, []),
        ("angry", 0, []),
        ("angry", "016", [("angry-o13", "common_first")]),
        ("angry", "01-02", []),
        ("angry", "²", []),
    ],
)
def test_the_tables_of_sentences(
    emotion: str, number: int | str, expected: list[tuple[str, str]]
) -> None:
    assert list(prior_labels(emotion, number)) == expected


def test_a_lost_clip_moves_the_numbers() -> None:
    # M003 contempt and M030 angry: generic is 20-29.
    labels = [prior_labels("contempt", number, lost=1)[0][0] for number in (20, 29)]
    assert labels == ["g01", "g10"]
    assert prior_labels("contempt", 1, lost=-1) == ()


def test_thirteen_sentences_are_parallel() -> None:
    def said(emotion: str) -> set[str]:
        return {label for n in range(1, 41) for label, _ in prior_labels(emotion, n)}

    common = set.intersection(*(said(emotion) for emotion in EMOTIONS))
    assert len(common) == 13
    assert len(said("neutral")) == 40
    assert len(said("angry")) == 30
