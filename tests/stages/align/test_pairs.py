"""Sentences and pairs of one speaker, from sounds that only the test knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline import params
from pipeline.errors import Reject
from pipeline.params import Align, AlignSameRecording, SplitRule
from pipeline.records import Clip, Pair, Sentence
from pipeline.stages.align.pairs import Candidate, PairMaker, Track, candidates
from pipeline.stages.align.sentences import name_sentences
from pipeline.stages.align.utterances import Sounds, group
from tests.speech import RATE_HZ, speak

FPS = 25.0
Speech = tuple[int, float, float]
"""Sentence, tempo, pitch of a take."""


@pytest.fixture(scope="module")
def section() -> Align:
    """The default; made speech, whose timing repeats, does not count as a copy."""
    loaded = params.load(None).align
    none = AlignSameRecording(sure_score=1e-9, max_score=1e-9, min_straight=1.0)
    return loaded.model_copy(update={"same_recording": none})


@pytest.fixture
def rule() -> SplitRule:
    return params.load(None).splits["by_speaker"]


def _clip(emotion: str, take: str, speech: Speech, **changes: Any) -> Clip:
    sound = speak(*speech)
    level = 1 if emotion == "neutral" else 3
    values: dict[str, Any] = {
        "take_id": f"M003_{emotion}_{level}_front_{take}",
        "utterance_id": f"M003_{emotion}_{level}_{take}",
        "dataset": "made", "speaker": "M003", "emotion": emotion, "level": level, "view": "front",
        "take": take, "sentence": None, "sentence_source": None, "video_path": "v.mp4",
        "video_member": None, "audio_path": None, "audio_member": None, "split": None,
        "width_px": 100, "height_px": 100, "fps": FPS, "n_frames": 50, "n_found": 50,
        "video_start_s": 0.0, "video_end_s": 2.0, "audio_start_s": 0.0,
        "audio_end_s": len(sound) / RATE_HZ, "audio_from": "container", "crop_x_px": 0.0,
        "crop_y_px": 0.0, "crop_side_px": 100.0, "crop_px": 100, "interocular_px": 30.0,
        "frames_sha256": "f", "audio_sha256": repr(speech), "findings": (),
    }  # fmt: skip
    return Clip(**{**values, **changes})


def _read(clip: Clip) -> Any:
    return speak(*eval(clip.audio_sha256))


def _track(clip: Clip) -> Track:
    instants = (np.arange(int(clip.audio_end_s * FPS)) + 0.5) / FPS
    return Track(instants, np.abs(np.sin(7 * instants)))


def _sentences(clips: list[Clip], section: Align, rule: SplitRule) -> list[Sentence]:
    sounds = Sounds(_read, section.features)
    return name_sentences(group(clips), sounds, section, rule)


def _pairs(
    clips: list[Clip], section: Align, rule: SplitRule, **splits: str
) -> tuple[list[Pair], dict[str, str]]:
    sounds = Sounds(_read, section.features)
    sentences = name_sentences(group(clips), sounds, section, rule)
    known = {row.utterance_id: splits.get(row.take, row.split) for row in sentences}
    maker = PairMaker(sounds, _track, section, known)
    made, rejects = [], {}
    for candidate in candidates(group(clips), sentences, section):
        try:
            made.append(maker.make(candidate))
        except Reject as reject:
            rejects[candidate.id] = reject.reason
    return made, rejects


def test_shifted_numbers_are_resolved_from_the_sound(section: Align, rule: SplitRule) -> None:
    neutral = [_clip("neutral", f"{n:03d}", (n, 1.0, 120.0)) for n in (1, 2, 3, 31)]
    # the first clip was lost: what was 002 is now 001, and so on; 003 is a sentence of its own
    happy = [_clip("happy", f"{n:03d}", (n + 1, 1.15, 150.0)) for n in (1, 2)]
    own = _clip("happy", "003", (77, 1.15, 150.0))
    rows = {r.utterance_id: r for r in _sentences([*neutral, *happy, own], section, rule)}
    assert rows["M003_happy_3_001"].anchor == "M003_neutral_1_002"
    assert rows["M003_happy_3_001"].sentence == rows["M003_neutral_1_002"].sentence == "c02"
    assert rows["M003_happy_3_002"].sentence == "c03"
    assert rows["M003_happy_3_002"].verified
    assert rows["M003_happy_3_003"].sentence is None
    assert not rows["M003_happy_3_003"].verified


def test_a_named_sentence_is_kept_and_pairs(section: Align, rule: SplitRule) -> None:
    named = {"sentence": "ravdess-01", "sentence_source": "name"}
    clips = [
        _clip("neutral", "a", (1, 1.0, 120.0), **named),
        _clip("angry", "b", (1, 0.8, 180.0), **named),
    ]
    made, rejects = _pairs(clips, section, rule)
    assert rejects == {}
    assert (made[0].emotion_a, made[0].emotion_b) == ("neutral", "angry")
    assert made[0].sentence_method == "name"
    assert made[0].sentence_score < section.max_score


def test_the_map_follows_the_tempo(section: Align, rule: SplitRule) -> None:
    clips = [_clip("neutral", "001", (1, 1.0, 120.0)), _clip("sad", "001", (1, 0.8, 120.0))]
    pair = _pairs(clips, section, rule)[0][0]
    knots_a, knots_b = np.array(pair.knots_a_s), np.array(pair.knots_b_s)
    times_a = np.linspace(0.4, knots_a[-1] - 0.4, 20)
    expected = 0.2 + (times_a - 0.2) / 0.8
    assert np.abs(np.interp(times_a, knots_a, knots_b) - expected).max() < 0.03
    assert np.median(pair.slope) == pytest.approx(1.25, abs=0.15)


def test_a_sound_that_starts_late_moves_the_frames(section: Align, rule: SplitRule) -> None:
    a = _clip("neutral", "001", (1, 1.0, 120.0))
    b = _clip("sad", "001", (1, 1.0, 121.0))
    late = replace(b, audio_start_s=0.4, audio_end_s=b.audio_end_s + 0.4)

    def shifted(clip: Clip) -> Track:
        track = _track(clip)
        return Track(track.instants_s - clip.audio_start_s, track.mouth_open)

    sounds = Sounds(_read, section.features)
    rows = name_sentences(group([a, late]), sounds, section, rule)
    maker = PairMaker(sounds, shifted, section, {r.utterance_id: "train" for r in rows})
    pair = maker.make(next(candidates(group([a, late]), rows, section)))
    assert np.median(np.array(pair.frame_b) - np.array(pair.frame_a)) == 10
    assert pair.knots_b_s[0] - pair.knots_a_s[0] == pytest.approx(0.4, abs=0.03)


def test_every_reason_is_given(section: Align, rule: SplitRule) -> None:
    said = {"sentence": "s1", "sentence_source": "manifest"}
    neutral = _clip("neutral", "n", (1, 1.0, 120.0), **said)
    wrong = _clip("happy", "wrong", (50, 1.0, 150.0), **said)
    alone = _clip("happy", "alone", (2, 1.0, 150.0), sentence="s2", sentence_source="manifest")
    slow = _clip("sad", "slow", (1, 0.3, 120.0), **said)
    torn = _clip("fear", "torn", (1, 1.1, 120.0), **said)
    _, rejects = _pairs([neutral, wrong, alone, slow, torn], section, rule, torn="validation")
    short = section.model_copy(update={"min_pairs": 10_000})
    fine = _clip("angry", "fine", (1, 1.1, 120.0), **said)
    _, few = _pairs([neutral, fine], short, rule)
    reasons = {item.rsplit("_", 1)[1]: reason for item, reason in {**rejects, **few}.items()}
    assert reasons == {
        "wrong": "wrong_sentence", "alone": "no_partner", "slow": "length_ratio",
        "torn": "straddles_split", "fine": "few_pairs",
    }  # fmt: skip


def test_a_take_beyond_the_longest_is_not_compared(section: Align, rule: SplitRule) -> None:
    """Neither heard, where nothing names it, nor paired, where a name does."""
    said = {"sentence": "s1", "sentence_source": "manifest"}
    short, slow = (1, 1.0, 120.0), (1, 0.6, 120.0)
    limit = (len(speak(*short)) + len(speak(*slow))) / 2 / RATE_HZ
    tight = section.model_copy(update={"max_duration_s": limit})
    clips = [
        _clip("neutral", "n", short, **said), _clip("neutral", "long", slow, **said),
        _clip("happy", "fine", (1, 1.1, 150.0), **said), _clip("sad", "named", slow, **said),
        _clip("fear", "unnamed", slow), _clip("angry", "heard", (1, 1.1, 120.0)),
    ]  # fmt: skip
    made, rejects = _pairs(clips, tight, rule)
    assert {p.take_a[-1] + p.take_b.rsplit("_", 1)[1] for p in made} == {"nfine", "nheard"}
    reasons = {tuple(w.rsplit("_", 1)[1] for w in k.split("--")): v for k, v in rejects.items()}
    assert reasons == {
        ("long", "fine"): "too_long", ("long", "heard"): "too_long",
        ("named",): "too_long", ("unnamed",): "too_long",
    }  # fmt: skip
    rows = {row.take: row for row in _sentences(clips, tight, rule)}
    assert rows["unnamed"].score is None
    assert rows["heard"].verified


def test_views_share_one_warp_and_pair_inside_a_view(section: Align, rule: SplitRule) -> None:
    def view(clip: Clip, name: str) -> Clip:
        return replace(clip, view=name, take_id=clip.take_id.replace("front", name))

    neutral, happy = (
        _clip("neutral", "001", (1, 1.0, 120.0)),
        _clip("happy", "001", (1, 1.2, 150.0)),
    )
    clips = [neutral, happy, view(neutral, "top"), view(happy, "top"), view(happy, "down")]
    made, rejects = _pairs(clips, section, rule)
    assert [pair.view for pair in made] == ["front", "top"]
    assert made[0].knots_b_s == made[1].knots_b_s
    assert rejects == {"M003_happy_3_down_001": "no_partner"}


def test_all_pairs_every_two_emotions(section: Align, rule: SplitRule) -> None:
    clips = [
        _clip(e, "001", (1, 1.0 + k / 10, 120.0)) for k, e in enumerate(("neutral", "happy", "sad"))
    ]
    everything = section.model_copy(update={"pairs": "all"})
    made, _ = _pairs(clips, everything, rule)
    assert sorted((p.emotion_a, p.emotion_b) for p in made) == [
        ("happy", "sad"), ("neutral", "happy"), ("neutral", "sad"),
    ]  # fmt: skip


def test_a_candidate_without_a_partner_carries_the_clips_id(
    rule: SplitRule, section: Align
) -> None:
    clip = _clip("happy", "001", (1, 1.0, 120.0))
    row = _sentences([clip], section, rule)[0]
    assert Candidate(clip, None, row).id == clip.take_id


def test_a_recording_under_two_labels_is_no_pair(rule: SplitRule) -> None:
    section = params.load(None).align
    named = {"sentence": "s1", "sentence_source": "manifest"}
    neutral = _clip("neutral", "n", (1, 1.0, 120.0), **named)
    copy = _clip("happy", "copy", (1, 1.0, 120.0), **named)
    again = _clip("sad", "again", (1, 1.0, 120.0), **named)
    again = replace(again, audio_sha256=f"{again.audio_sha256} ")  # the same sound, coded anew
    made, rejects = _pairs([neutral, copy, again], section, rule)
    assert made == []
    assert set(rejects.values()) == {"same_recording"}
    assert len(rejects) == 2
