"""RAVDESS from names alone: folders and zips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora import skipped_notes
from pipeline.corpora.listing import Utterance
from pipeline.corpora.ravdess import EMOTIONS, parse
from pipeline.corpora.scan import Found
from pipeline.errors import PipelineError
from pipeline.records import Source

AV, IMAGE, AUDIO = (f"Actor_01/0{m}-01-05-02-02-01-01" for m in (1, 2, 3))
ID = "Actor_01_angry_2_front_02-01"


def test_a_name_says_everything(takes_of: Any, make_tree: Any) -> None:
    (take,) = takes_of("ravdess", make_tree([f"{AV}.mp4"])).takes
    assert (take.take_id, take.utterance_id) == (ID, "Actor_01_angry_2_02-01")
    assert (take.speaker, take.emotion, take.level) == ("Actor_01", "angry", 2)
    assert (take.view, take.take) == ("front", "02-01")
    assert (take.sentence, take.sentence_source) == ("ravdess-02", "name")
    assert (take.video, take.audio) == (Source(f"{AV}.mp4"), None)


@pytest.mark.parametrize(
    ("files", "video", "audio"),
    [
        ([f"{AV}.mp4", f"{IMAGE}.mp4", f"{AUDIO}.wav"], f"{AV}.mp4", f"{AUDIO}.wav"),
        ([f"{AV}.mp4", f"{IMAGE}.mp4"], f"{AV}.mp4", None),
        ([f"{IMAGE}.mp4", f"{AUDIO}.wav"], f"{IMAGE}.mp4", f"{AUDIO}.wav"),
        ([f"{AUDIO}.WAV"], None, f"{AUDIO}.WAV"),
    ],
)
def test_the_files_of_a_trial_are_one_take(
    takes_of: Any, make_tree: Any, files: list[str], video: str | None, audio: str | None
) -> None:
    listing = takes_of("ravdess", make_tree(files))
    (take,) = listing.takes
    assert (take.video_path, take.audio_path) == (video, audio)
    assert take.view == ("front" if video else "none")
    assert listing.rejected == ()


def test_a_image_without_audio_is_set_aside(takes_of: Any, make_tree: Any, reasons: Any) -> None:
    listing = takes_of("ravdess", make_tree([f"{IMAGE}.mp4"]))
    assert listing.takes == ()
    assert reasons(listing) == {ID: "no_audio"}


def test_untouched_zips(takes_of: Any, make_tree: Any, make_zip: Any) -> None:
    root = make_tree([])
    make_zip(root / "Video_Speech_Actor_01.zip", {f"{AV}.mp4": b"v", f"{IMAGE}.mp4": b"p"})
    make_zip(root / "Audio_Speech_Actors_01-24.zip", {f"{AUDIO}.wav": b"s"})
    (take,) = takes_of("ravdess", root).takes
    assert take.video == Source("Video_Speech_Actor_01.zip", f"{AV}.mp4")
    assert take.audio == Source("Audio_Speech_Actors_01-24.zip", f"{AUDIO}.wav")


def test_doubles(takes_of: Any, make_tree: Any, make_zip: Any, reasons: Any, holes: Any) -> None:
    root = make_tree([f"{AV}.mp4", f"{AUDIO}.wav", f"{IMAGE}.mp4"])
    (root / "copy" / "Actor_01").mkdir(parents=True)
    (root / "copy" / f"{AUDIO}.wav").write_bytes((root / f"{AUDIO}.wav").read_bytes())
    make_zip(root / "Video_Speech_Actor_01.zip", {f"{AV}.mp4": b"v"})
    listing = takes_of("ravdess", root)
    assert [take.video_path for take in listing.takes] == [f"{AV}.mp4"]
    assert reasons(listing) == {f"Video_Speech_Actor_01.zip!{AV}.mp4": "duplicate_take"}
    found = holes(listing)
    assert found["duplicate_audio", "Actor_01", "angry 2"] == (1, "02-01")
    assert found["spare_video", "Actor_01", "angry 2"] == (1, "02-01")
    assert found["other_version", "Actor_01", "angry 2"] == (1, "02-01")  # the zip's differs


def test_another_version_of_an_audio_file_is_no_copy(
    takes_of: Any, make_tree: Any, holes: Any
) -> None:
    root = make_tree([f"{AUDIO}.wav", f"archive/{AUDIO}.wav"])  # unlike contents
    listing = takes_of("ravdess", root)
    assert [take.audio_path for take in listing.takes] == [f"{AUDIO}.wav"]
    assert holes(listing)["other_version", "Actor_01", "angry 2"] == (1, "02-01")
    assert not [key for key in holes(listing) if key[0] == "duplicate_audio"]
    assert skipped_notes(listing) == [
        "1 skipped, other versions of a take, not copies: compare them, and keep one: "
        f"archive/{AUDIO}.wav"
    ]


def test_a_file_in_another_actor_s_folder_is_rejected(
    takes_of: Any, make_tree: Any, reasons: Any, holes: Any
) -> None:
    misfiled = f"{AUDIO}.wav".replace("Actor_01", "Actor_05")
    root = make_tree([misfiled, f"{AV}.mp4"])
    listing = takes_of("ravdess", root)
    assert [take.take_id for take in listing.takes] == [ID]
    assert reasons(listing) == {misfiled: "misfiled"}
    assert listing.rejected[0].detail == "it is in a folder of Actor_05, its name says Actor_01"
    assert holes(listing)["misfiled", "Actor_01", "angry 2"] == (1, "02-01")


def test_a_damaged_file_gives_way_to_image_and_audio(
    takes_of: Any, make_tree: Any, reasons: Any
) -> None:
    root = make_tree([f"{IMAGE}.mp4", f"{AUDIO}.wav"])
    (root / f"{AV}.mp4").symlink_to("nowhere.mp4")
    listing = takes_of("ravdess", root)
    assert [take.video_path for take in listing.takes] == [f"{IMAGE}.mp4"]
    assert reasons(listing) == {f"{AV}.mp4": "missing_file"}


def test_a_trial_whose_only_file_is_damaged_is_lost(
    takes_of: Any, make_tree: Any, make_tar: Any, reasons: Any, holes: Any
) -> None:
    root = make_tree([f"{AV[:-5]}01-01.mp4".replace("-02-01", "-01-01")])
    tar = make_tar(root / "Actor_01.tar", {f"{AV}.mp4": b"v" * 9000})
    os.truncate(tar, 2048)
    listing = takes_of("ravdess", root)
    assert reasons(listing) == {"Actor_01.tar": "truncated", ID: "truncated"}


def test_song_and_odd_names_are_told(takes_of: Any, make_tree: Any, holes: Any) -> None:
    odd = {
        "there is no modality 04": "04-01-01-01-01-01-01.mp4",
        "there is no emotion 09": "01-01-09-01-01-01-01.mp4",
        "there is no intensity 03": "01-01-02-03-01-01-01.mp4",
        "there is no statement 03": "01-01-02-01-03-01-01.mp4",
        "modality 03 is no .mp4 file": "03-01-02-01-01-01-01.mp4",
        "modality 01 is no .wav file": "01-01-02-01-01-01-01.wav",
        "its name is not seven numbers joined by '-'": "holiday.mp4",
    }
    song = "Actor_01/01-02-03-01-01-01-01.mp4"
    listing = takes_of("ravdess", make_tree([f"{AV}.mp4", song, *odd.values()]))
    found = holes(listing)
    assert len(listing.takes) == 1
    assert found["song", "", ""] == (1, song)
    assert {where: found["unparsed", "", where] for where in odd} == {
        where: (1, name) for where, name in odd.items()
    }


def test_any_number_of_an_actor(takes_of: Any, make_tree: Any) -> None:
    root = make_tree(["01-01-01-01-01-01-24.mp4", "01-01-01-01-01-01-99.mp4"])
    speakers = [take.speaker for take in takes_of("ravdess", root).takes]
    assert speakers == ["Actor_24", "Actor_99"]


def test_a_whole_actor_has_sixty_trials_and_no_hole(
    takes_of: Any, make_tree: Any, holes: Any
) -> None:
    cells = [(e, i) for e in EMOTIONS for i in ("01", "02") if (e, i) != ("01", "02")]
    names = [
        f"Actor_07/01-01-{e}-{i}-{s}-{r}-07.mp4"
        for e, i in cells
        for s in ("01", "02")
        for r in ("01", "02")
    ]
    listing = takes_of("ravdess", make_tree(names))
    assert len(listing.takes) == 60
    assert holes(listing) == {}
    listing = takes_of("ravdess", make_tree(names), emotions=["calm"], levels=[2])
    assert len(listing.takes) == 4
    (make_tree([]) / names[0]).unlink()
    assert holes(takes_of("ravdess", make_tree([])))["gap", "Actor_07", "neutral 1"] == (1, "01-01")


def test_real_takes(takes_of: Any, shared: Path) -> None:
    recordings = takes_of("ravdess", shared / "ravdess_audio")
    assert len(recordings.takes) == 64
    assert {take.view for take in recordings.takes} == {"none"}
    assert {take.speaker for take in recordings.takes} == {f"Actor_{i:02d}" for i in range(1, 5)}
    images = takes_of("ravdess", shared / "ravdess_av")
    assert [take.emotion for take in images.takes] == [
        "angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised",
    ]  # fmt: skip
    assert {take.sentence for take in images.takes} == {"ravdess-01"}


def test_the_demo_is_both_in_one(takes_of: Any, make_tree: Any, reasons: Any) -> None:
    clip = "front/angry/level_3/001.mp4"
    root = make_tree(
        [f"mead/M003/video/{clip}", f"mead/M003/video/{clip.replace('001', '1')}",
         f"ravdess/{AV}.mp4", f"truth/M003/video/{clip}"]
    )  # fmt: skip
    listing = takes_of("demo", root)
    assert [take.take_id for take in listing.takes] == [ID, "M003_angry_3_front_001"]
    assert [take.dataset for take in listing.takes] == ["set", "set"]
    assert listing.takes[0].video_path == f"ravdess/{AV}.mp4"
    assert list(reasons(listing).values()) == ["duplicate_take"]
    assert takes_of("demo", root, speakers=["M003"]).takes[0].speaker == "M003"


def test_the_demo_must_be_made_first(takes_of: Any, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"run first: spfem-data demo$"):
        takes_of("demo", tmp_path / "corpus")


@given(
    st.sampled_from(sorted(EMOTIONS)),
    st.sampled_from(["01", "02"]),
    st.sampled_from(["01", "02"]),
    st.sampled_from(["01", "02"]),
    st.integers(0, 999),
)
def test_names_parse_and_print_back(
    emotion: str, intensity: str, statement: str, repetition: str, actor: int
) -> None:
    name = f"01-01-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}.mp4"
    take = f"{statement}-{repetition}"
    trial = Utterance(f"Actor_{actor:02d}", EMOTIONS[emotion], int(intensity), take)
    assert parse(Found(Source(name))) == (trial, "both")
