"""The presets: whose frame maps, and what our checks say of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline import params
from pipeline.alignment.scmcl_baseline import compat_pairs
from pipeline.params import Align, AlignSameRecording, SplitRule
from pipeline.records import Pair
from pipeline.stages.align.frame_maps import _shown
from tests.builders.speech import speak
from tests.builders.spoken_clips import FPS, made_pairs, spoken_clip

NAMED = {"sentence": "s1", "sentence_source": "manifest"}


@pytest.fixture(scope="module")
def section() -> Align:
    """The default; made speech, whose timing repeats, does not count as a copy."""
    loaded = params.load(None).align
    none = AlignSameRecording(sure_score=1e-9, max_score=1e-9, min_straight=1.0)
    return loaded.model_copy(update={"same_recording": none})


@pytest.fixture
def rule() -> SplitRule:
    return params.load(None).splits["by_speaker"]


def _made(section: Align, rule: SplitRule, **changes: str) -> tuple[list[Pair], dict[str, str]]:
    clips = [
        spoken_clip("neutral", "n", (1, 1.0, 120.0), **NAMED),
        spoken_clip("sad", "b", (1, 0.8, 150.0), **NAMED),
        spoken_clip("happy", "wrong", (50, 1.0, 150.0), **NAMED),
    ]
    return made_pairs(clips, section.model_copy(update=changes), rule)


def test_the_compat_preset_gives_the_papers_cells_with_our_checks(
    section: Align, rule: SplitRule
) -> None:
    made, rejects = _made(section, rule, preset="compat_scmcl")
    assert rejects == {"M003_neutral_1_front_n--M003_happy_3_front_wrong": "wrong_sentence"}
    a, b = speak(1, 1.0, 120.0), speak(1, 0.8, 150.0)
    cells = np.stack(compat_pairs(a, b, fps=FPS, backend=section.backend), axis=1)
    last = [int(len(audio) / 16000 * FPS) - 1 for audio in (a, b)]
    expected = cells[(cells <= last).all(axis=1)]
    np.testing.assert_array_equal(np.stack([made[0].frame_a, made[0].frame_b], axis=1), expected)
    assert not made[0].is_one_to_one
    assert made[0].sentence_score < 1.0
    confidence = np.array(made[0].confidence)
    assert confidence.min() < 0.5 < np.median(confidence)


def test_the_checks_are_those_of_the_default_preset_where_frames_agree(
    section: Align, rule: SplitRule
) -> None:
    ours = _made(section, rule)[0][0]
    theirs = _made(section, rule, preset="compat_scmcl")[0][0]
    assert ours.is_one_to_one
    assert ours.sentence_score == theirs.sentence_score
    columns = (ours.frame_a, ours.frame_b, ours.confidence, ours.error_ms)
    sure = {(i, j): (c, e) for i, j, c, e in zip(*columns, strict=True)}
    both = 0
    for i, j, c, e in zip(
        theirs.frame_a, theirs.frame_b, theirs.confidence, theirs.error_ms, strict=True
    ):
        if (i, j) in sure:
            both += 1
            assert sure[i, j] == (c, e)
    assert both > 0.5 * len(ours.frame_a)


def test_their_time_map_follows_the_tempo(section: Align, rule: SplitRule) -> None:
    pair = _made(section, rule, preset="compat_scmcl")[0][0]
    times_a = np.linspace(0.5, pair.knots_a_s[-1] - 0.5, 20)
    found = np.interp(times_a, pair.knots_a_s, pair.knots_b_s)
    assert np.median(np.abs(found - (0.2 + (times_a - 0.2) / 0.8))) < 0.04


def test_cells_stand_for_the_frames_shown_then() -> None:
    class Found:
        cells_a = np.array([0, 1, 2, 3, 3])
        cells_b = np.array([0, 0, 1, 2, 3])

    late = (np.arange(4) + 0.5) / 25 + 0.08  # the image begins two frames after the audio
    plain = (np.arange(4) + 0.5) / 25
    frame_a, frame_b = _shown(Found, (25.0, 25.0), late, plain)  # type: ignore[arg-type]
    assert (frame_a.tolist(), frame_b.tolist()) == ([0, 1, 1], [1, 2, 3])


@pytest.mark.parametrize(
    ("levels", "pairs", "kept"),
    [
        ("each", "neutral", {"n--h1", "n--h3", "n--s3"}),
        ("level_3", "neutral", {"n--h3", "n--s3"}),
        ("each", "all", {"n--h1", "n--h3", "n--s3", "h1--s3", "h3--s3"}),
        ("level_3", "all", {"n--h3", "n--s3", "h3--s3"}),
    ],
)
def test_levels_are_a_policy(
    section: Align, rule: SplitRule, levels: str, pairs: str, kept: set[str]
) -> None:
    clips = [
        spoken_clip("neutral", "n", (1, 1.0, 120.0), **NAMED),
        spoken_clip("happy", "h1", (1, 1.1, 150.0), level=1, **NAMED),
        spoken_clip("happy", "h3", (1, 1.1, 160.0), **NAMED),
        spoken_clip("sad", "s3", (1, 0.9, 110.0), **NAMED),
    ]
    clips = [replace(c, take_id=c.take, utterance_id=f"u-{c.take}") for c in clips]
    policy = section.model_copy(update={"levels": levels, "pairs": pairs})
    made, rejects = made_pairs(clips, policy, rule)
    assert {pair.pair_id for pair in made} == kept
    assert rejects == ({} if levels == "each" else {"h1": "level_not_paired"})
