"""Freezes, repeated frames and cuts in made series of differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.media import Audio, FrameChanges, change_findings

N = 50
STEP_S = 0.04


def changes(
    images: dict[int, float] | None = None,
    scenes: dict[int, float] | None = None,
    surroundings: dict[int, float] | None = None,
    moves: dict[int, float] | None = None,
    heads: dict[int, float] | None = None,
    late_s: dict[int, float] | None = None,
) -> FrameChanges:
    """Fifty frames that differ by 1 level and 0.01, except for what is given by frame."""
    series = []
    levels, paths = (images, scenes, surroundings), (moves, heads)
    for usual, given in (*((1.0, g) for g in levels), *((0.01, g) for g in paths)):
        values = [np.inf] + [usual] * (N - 1)
        for k, value in (given or {}).items():
            values[k] = value
        series.append(values)
    steps_s = [STEP_S + (late_s or {}).get(k, 0.0) for k in range(N)]
    times_s = (np.cumsum(steps_s) - steps_s[0]).tolist()
    return FrameChanges(times_s, times_s[-1] + STEP_S, *series)


def still(first: int, last: int) -> FrameChanges:
    """Frames from first to last repeat the one before."""
    frames = range(first, last + 1)
    return changes(
        dict.fromkeys(frames, 0.1), dict.fromkeys(frames, 0.1),
        moves=dict.fromkeys(frames, 0.0004),
    )  # fmt: skip


def speech(start_s: float, end_s: float) -> Audio:
    """Two seconds of audio, loud from start to end and 40 dB softer elsewhere."""
    rng = np.random.default_rng(0)
    t = np.arange(32000) / 16000
    level = np.where((t >= start_s) & (t < end_s), 0.1, 0.001)
    samples = (level * rng.normal(0, 1, len(t))).astype(np.float32)
    return Audio(samples, 16000, 0.0, 0.4, 0.0, 0, 0.0)


def test_the_share_of_speech() -> None:
    audio = speech(0.5, 1.5)
    assert audio.speech_share(0.5, 1.5) == pytest.approx(1, abs=0.03)
    assert audio.speech_share(0.0, 1.0) == pytest.approx(0.5, abs=0.03)
    assert audio.speech_share(1.5, 2.0) == pytest.approx(0, abs=0.06)
    assert audio.speech_share(1.0, 3.0) == pytest.approx(0.25, abs=0.03)  # beyond the end is silent
    assert audio.speech_share(-3.0, -1.0) == 0
    steady = Audio(audio.samples[8000:24000], 16000, 0.0, 0.4, 0.0, 0, 0.0)
    assert steady.speech_share(0.0, 1.0) == 1


def test_a_freeze_counts_while_the_voice_goes_on() -> None:
    frozen = still(20, 29)
    assert frozen.frozen_s() == [pytest.approx((19 * STEP_S, 30 * STEP_S))]
    assert change_findings(frozen, speech(0.2, 1.8)) == {"frozen_video"}
    assert change_findings(frozen, speech(0.2, 0.6)) == set()


def test_stillness_of_the_image_alone_is_no_freeze() -> None:
    coded_low = changes(images=dict.fromkeys(range(20, 30), 0.1))  # the landmarks move on
    assert coded_low.frozen_s() == []
    assert change_findings(coded_low, speech(0.2, 1.8)) == set()


def test_a_short_freeze_does_not_count() -> None:
    assert still(20, 22).frozen_s() == []
    assert len(still(20, 23).frozen_s()) == 1


def test_single_repeated_frames_are_doubled() -> None:
    assert changes(images=dict.fromkeys((10, 20, 30), 0.0)).doubled()
    assert not changes(images=dict.fromkeys((10, 20), 0.0)).doubled()


@pytest.mark.parametrize(
    ("scenes", "cuts"),
    [
        ({25: 4.1}, [25]),
        ({25: 3.9}, []),
        ({10: 20.0, 30: 20.0}, [10, 30]),
        ({25: 20.0, 26: 20.0}, []),  # a flash: there and back
        ({24: 4.0, 25: 9.0, 26: 4.0}, []),  # a fast movement
        ({k: np.inf for k in range(21, 29)} | {25: 30.0}, []),  # too few neighbours with a face
        ({25: np.inf}, []),
    ],
)
def test_a_cut_stands_out_from_its_neighbours(scenes: dict[int, float], cuts: list[int]) -> None:
    assert changes(scenes=scenes).cuts() == cuts


@pytest.mark.parametrize(
    ("scene", "surroundings", "head", "cuts"),
    [
        (2.8, 2.4, 0.03, [25]),
        (1.9, 1.5, 0.04, []),  # product of the ratios 7.1
        (3.9, 1.0, 0.01, []),  # a hand before the face
        (1.2, 1.1, 0.06, []),  # a nod
        (2.8, np.inf, 0.03, []),  # a face that fills the crop
    ],
)
def test_a_jump_cut_moves_scene_surroundings_and_head(
    scene: float, surroundings: float, head: float, cuts: list[int]
) -> None:
    made = changes(scenes={25: scene}, surroundings={25: surroundings}, heads={25: head})
    assert made.cuts() == cuts


def test_a_jump_among_movements_of_its_size_is_none() -> None:
    at = {25: 3.0, 31: 3.0}
    one = changes(scenes=at, surroundings=at, heads={25: 0.03, 31: 0.03})
    assert one.cuts() == []
    far = {15: 3.0, 31: 3.0}
    assert changes(scenes=far, surroundings=far, heads={15: 0.03, 31: 0.03}).cuts() == [15, 31]


def test_a_cut_in_a_still_scene_needs_more_than_noise() -> None:
    quiet = {k: 0.1 for k in range(1, N)}
    assert changes(scenes=quiet | {25: 1.1}).cuts() == []
    assert changes(scenes=quiet | {25: 1.3}).cuts() == [25]


def test_a_gap_or_the_end_of_a_freeze_is_no_cut() -> None:
    assert changes(scenes={25: 9.0}, late_s={25: 0.2}).cuts() == []
    frozen = still(20, 24)
    scenes = [*frozen.scenes]
    scenes[25] = 9.0
    jump = replace(frozen, scenes=scenes)
    assert jump.cuts() == []
    assert change_findings(changes(scenes={25: 9.0}), speech(0.2, 1.8)) == {"cut"}
