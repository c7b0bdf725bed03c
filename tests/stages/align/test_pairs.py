"""Sentences and pairs of one speaker, from recordings that only the test knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline import params
from pipeline.params import Align, AlignSameRecording, SplitRule
from pipeline.records import Clip, Sentence
from pipeline.stages.align.pairs import Candidate, PairMaker, candidates
from pipeline.stages.align.sentences import name_sentences
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings, group
from tests.builders.speech import RATE_HZ, speak
from tests.builders.spoken_clips import (
    made_pairs,
    mouth_track,
    read_speech,
    spoken_clip,
)


@pytest.fixture(scope="module")
def section() -> Align:
    """The default; made speech, whose timing repeats, does not count as a copy."""
    loaded = params.load(None).align
    none = AlignSameRecording(sure_score=1e-9, max_score=1e-9, min_straight=1.0)
    return loaded.model_copy(update={"same_recording": none})


@pytest.fixture
def rule() -> SplitRule:
    return params.load(None).splits["by_speaker"]


def _sentences(clips: list[Clip], section: Align, rule: SplitRule) -> list[Sentence]:
    recordings = Recordings(read_speech, section.features)
    return name_sentences(group(clips), recordings, section, rule)


@pytest.mark.slow
def test_shifted_numbers_are_resolved_from_the_audio(section: Align, rule: SplitRule) -> None:
    neutral = [spoken_clip("neutral", f"{n:03d}", (n, 1.0, 120.0)) for n in (1, 2, 3, 31)]
    # the first clip was lost: what was 002 is now 001, and so on; 003 is a sentence of its own
    happy = [spoken_clip("happy", f"{n:03d}", (n + 1, 1.15, 150.0)) for n in (1, 2)]
    own = spoken_clip("happy", "003", (77, 1.15, 150.0))
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
        spoken_clip("neutral", "a", (1, 1.0, 120.0), **named),
        spoken_clip("angry", "b", (1, 0.8, 180.0), **named),
    ]
    made, rejects = made_pairs(clips, section, rule)
    assert rejects == {}
    assert (made[0].emotion_a, made[0].emotion_b) == ("neutral", "angry")
    assert made[0].sentence_method == "name"
    assert made[0].sentence_score < section.max_score


def test_the_map_follows_the_tempo(section: Align, rule: SplitRule) -> None:
    clips = [
        spoken_clip("neutral", "001", (1, 1.0, 120.0)),
        spoken_clip("sad", "001", (1, 0.8, 120.0)),
    ]
    pair = made_pairs(clips, section, rule)[0][0]
    knots_a, knots_b = np.array(pair.knots_a_s), np.array(pair.knots_b_s)
    times_a = np.linspace(0.4, knots_a[-1] - 0.4, 20)
    expected = 0.2 + (times_a - 0.2) / 0.8
    assert np.abs(np.interp(times_a, knots_a, knots_b) - expected).max() < 0.03
    assert np.median(pair.slope) == pytest.approx(1.25, abs=0.15)


def test_a_audio_that_starts_late_moves_the_frames(section: Align, rule: SplitRule) -> None:
    a = spoken_clip("neutral", "001", (1, 1.0, 120.0))
    b = spoken_clip("sad", "001", (1, 1.0, 121.0))
    late = replace(b, audio_start_s=0.4, audio_end_s=b.audio_end_s + 0.4)

    def shifted(clip: Clip) -> Track:
        track = mouth_track(clip)
        return replace(track, instants_s=track.instants_s - clip.audio_start_s)

    recordings = Recordings(read_speech, section.features)
    rows = name_sentences(group([a, late]), recordings, section, rule)
    maker = PairMaker(recordings, shifted, section, {r.utterance_id: "train" for r in rows})
    pair = maker.make(next(candidates(group([a, late]), rows, section)))
    assert np.median(np.array(pair.frame_b) - np.array(pair.frame_a)) == 10
    assert pair.knots_b_s[0] - pair.knots_a_s[0] == pytest.approx(0.4, abs=0.03)


def test_every_reason_is_given(section: Align, rule: SplitRule) -> None:
    said = {"sentence": "s1", "sentence_source": "manifest"}
    neutral = spoken_clip("neutral", "n", (1, 1.0, 120.0), **said)
    wrong = spoken_clip("happy", "wrong", (50, 1.0, 150.0), **said)
    alone = spoken_clip(
        "happy", "alone", (2, 1.0, 150.0), sentence="s2", sentence_source="manifest"
    )
    slow = spoken_clip("sad", "slow", (1, 0.3, 120.0), **said)
    torn = spoken_clip("fear", "torn", (1, 1.1, 120.0), **said)
    _, rejects = made_pairs([neutral, wrong, alone, slow, torn], section, rule, torn="validation")
    short = section.model_copy(update={"min_pairs": 10_000})
    fine = spoken_clip("angry", "fine", (1, 1.1, 120.0), **said)
    _, few = made_pairs([neutral, fine], short, rule)
    reasons = {item.rsplit("_", 1)[1]: reason for item, reason in {**rejects, **few}.items()}
    assert reasons == {
        "wrong": "wrong_sentence", "alone": "no_partner", "slow": "length_ratio",
        "torn": "straddles_split", "fine": "few_pairs",
    }  # fmt: skip


@pytest.mark.slow
def test_a_take_beyond_the_longest_is_not_compared(section: Align, rule: SplitRule) -> None:
    """Neither heard, where nothing names it, nor paired, where a name does."""
    said = {"sentence": "s1", "sentence_source": "manifest"}
    short, slow = (1, 1.0, 120.0), (1, 0.6, 120.0)
    limit = (len(speak(*short)) + len(speak(*slow))) / 2 / RATE_HZ
    tight = section.model_copy(update={"max_duration_s": limit})
    clips = [
        spoken_clip("neutral", "n", short, **said), spoken_clip("neutral", "long", slow, **said),
        spoken_clip("happy", "fine", (1, 1.1, 150.0), **said),
        spoken_clip("sad", "named", slow, **said),
        spoken_clip("fear", "unnamed", slow), spoken_clip("angry", "heard", (1, 1.1, 120.0)),
    ]  # fmt: skip
    made, rejects = made_pairs(clips, tight, rule)
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
        spoken_clip("neutral", "001", (1, 1.0, 120.0)),
        spoken_clip("happy", "001", (1, 1.2, 150.0)),
    )
    clips = [neutral, happy, view(neutral, "top"), view(happy, "top"), view(happy, "down")]
    made, rejects = made_pairs(clips, section, rule)
    assert [pair.view for pair in made] == ["front", "top"]
    assert made[0].knots_b_s == made[1].knots_b_s
    assert rejects == {"M003_happy_3_down_001": "no_partner"}


@pytest.mark.slow
def test_all_pairs_every_two_emotions(section: Align, rule: SplitRule) -> None:
    clips = [
        spoken_clip(e, "001", (1, 1.0 + k / 10, 120.0))
        for k, e in enumerate(("neutral", "happy", "sad"))
    ]
    everything = section.model_copy(update={"pairs": "all"})
    made, _ = made_pairs(clips, everything, rule)
    assert sorted((p.emotion_a, p.emotion_b) for p in made) == [
        ("happy", "sad"), ("neutral", "happy"), ("neutral", "sad"),
    ]  # fmt: skip


def test_a_candidate_without_a_partner_carries_the_clips_id(
    rule: SplitRule, section: Align
) -> None:
    clip = spoken_clip("happy", "001", (1, 1.0, 120.0))
    row = _sentences([clip], section, rule)[0]
    assert Candidate(clip, None, row).id == clip.take_id


def test_a_recording_under_two_labels_is_no_pair(rule: SplitRule) -> None:
    section = params.load(None).align
    named = {"sentence": "s1", "sentence_source": "manifest"}
    neutral = spoken_clip("neutral", "n", (1, 1.0, 120.0), **named)
    copy = spoken_clip("happy", "copy", (1, 1.0, 120.0), **named)
    again = spoken_clip("sad", "again", (1, 1.0, 120.0), **named)
    again = replace(again, audio_sha256=f"{again.audio_sha256} ")  # the same audio, coded anew
    made, rejects = made_pairs([neutral, copy, again], section, rule)
    assert made == []
    assert set(rejects.values()) == {"same_recording"}
    assert len(rejects) == 2
