"""The list of takes and what is planned to be wrong."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pipeline.demo_corpus.make import DemoParams, DemoTake, plan_takes
from pipeline.demo_corpus.sentences import mead_number
from pipeline.demo_corpus.takes import SPEAKERS
from pipeline.errors import ParameterError

PARAMS = DemoParams(seed=7, frame_px=96, fps=25, crf=20, image_offset_ms=200, speakers=SPEAKERS)


def _where(takes: list[DemoTake], **wanted: object) -> list[DemoTake]:
    return [t for t in takes if all(getattr(t, k) == v for k, v in wanted.items())]


def test_plan_is_sorted_unique_and_names_its_files_once() -> None:
    takes = plan_takes(PARAMS)
    ids = [take.id for take in takes]
    assert ids == sorted(set(ids))
    places = [take.video for take in takes]
    assert len(set(places)) == len(places)
    assert 110 <= len(takes) <= 140
    assert plan_takes(PARAMS) == takes
    assert {re.sub(r"\d", "9", take.speaker) for take in takes} == {"M999", "W999", "99"}


def test_a_speaker_can_be_planned_alone() -> None:
    alone = plan_takes(DemoParams(7, 96, 25, 20, 200, ("W904",)))
    assert [t.id for t in alone] == [t.id for t in plan_takes(PARAMS) if t.speaker == "W904"]


def test_sessions_are_out_of_sync_in_one_direction_in_some_speakers() -> None:
    takes = plan_takes(PARAMS)
    sessions = {(t.speaker, t.emotion, t.level): t.image_late_s for t in takes}
    assert {(t.speaker, t.emotion, t.level, t.image_late_s) for t in takes} == {
        (*session, late) for session, late in sessions.items()
    }  # all takes of a session, in all views, share its offset
    off = {session: late for session, late in sessions.items() if late}
    assert (len(sessions), len(off)) == (45, 13)
    assert (min(off.values()), max(off.values())) == pytest.approx((-0.2, 0.2))
    assert all(late > 0 for (who, *_), late in off.items() if who in ("W902", "26"))
    assert all(late < 0 for (who, *_), late in off.items() if who == "M903")
    assert not any(who == "25" for who, *_ in off)
    quiet = DemoParams(**{**vars(PARAMS), "image_offset_ms": 0})
    assert {take.image_late_s for take in plan_takes(quiet)} == {0.0}


def test_every_planned_defect_is_there() -> None:
    defects = Counter(slug for take in plan_takes(PARAMS) for slug in take.defects)
    assert defects == {
        "damaged": 1, "generic_first": 3, "late_audio": 1, "mislabelled": 4, "no_audio_file": 1,
        "no_face": 1, "renumbered": 2,
    }  # fmt: skip
    for take in plan_takes(PARAMS):
        assert ("mislabelled" in take.defects) == (take.emotion != take.shown)


@pytest.mark.parametrize(
    ("sentence", "emotion", "generic_first", "number"),
    [
        ("common_02", "happy", False, 2),
        ("own_happy_01", "happy", False, 4),
        ("generic_01", "happy", False, 21),
        ("generic_02", "neutral", False, 32),
        ("common_01", "disgusted", True, 28),
        ("generic_01", "disgusted", True, 18),
        ("own_disgusted_01", "disgusted", True, 1),
    ],
)
def test_mead_numbers(sentence: str, emotion: str, generic_first: bool, number: int) -> None:
    assert mead_number(sentence, emotion, generic_first=generic_first) == number


def test_a_lost_clip_moves_the_numbers_after_it() -> None:
    happy = _where(plan_takes(PARAMS), speaker="W904", emotion="happy")
    numbers = {take.sentence_id: take.number for take in happy}
    assert numbers == {"common_01": 1, "common_03": 2, "generic_01": 20}


def test_layouts() -> None:
    takes = plan_takes(PARAMS)
    (turned,) = _where(takes, speaker="W902", emotion="happy", view="left_30")
    assert turned.video.path == "mead/W902/video/left_30/happy/level_3/001.mp4"
    assert turned.audio is not None
    assert turned.audio.path == "mead/W902/audio/happy/level_3/001.m4a"
    assert {t.video.path for t in _where(takes, speaker="M903")} == {"mead/M903/video.tar"}
    angry = _where(takes, speaker="26", emotion="angry", number=2)[0]
    assert angry.video.path == "ravdess/Video_Speech_Actor_26.zip"
    assert angry.video.member == "Actor_26/01-01-05-02-02-01-26.mp4"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"frame_px": 97}, "frame_px is 97: even"),
        ({"fps": 0}, "fps is 0"),
        ({"crf": 99}, "crf is 99"),
        ({"speakers": ("M001",)}, "M001"),
    ],
)
def test_parameters_check_themselves(change: dict[str, object], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        DemoParams(**{**vars(PARAMS), **change})
