"""Freezes, repeated frames and cuts in made series of differences."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.media import Audio, FrameChanges, change_findings

N = 50
STEP_S = 0.04


def changes(
    images: dict[int, float] | None = None,
    scenes: dict[int, float] | None = None,
    moves: dict[int, float] | None = None,
    late_s: dict[int, float] | None = None,
) -> FrameChanges:
    """Fifty frames that differ by 1 level, 1 level and 0.01, except for what is given by frame."""
    series = []
    for usual, given in ((1.0, images), (1.0, scenes), (0.01, moves)):
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
        dict.fromkeys(frames, 0.1), dict.fromkeys(frames, 0.1), dict.fromkeys(frames, 0.0004)
    )


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


def test_a_cut_in_a_still_scene_needs_more_than_noise() -> None:
    quiet = {k: 0.1 for k in range(1, N)}
    assert changes(scenes=quiet | {25: 1.1}).cuts() == []
    assert changes(scenes=quiet | {25: 1.3}).cuts() == [25]


def test_a_gap_or_the_end_of_a_freeze_is_no_cut() -> None:
    assert changes(scenes={25: 9.0}, late_s={25: 0.2}).cuts() == []
    frozen = still(20, 24)
    scenes = [*frozen.scenes]
    scenes[25] = 9.0
    jump = FrameChanges(frozen.times_s, frozen.end_s, frozen.images, scenes, frozen.moves)
    assert jump.cuts() == []
    assert change_findings(changes(scenes={25: 9.0}), speech(0.2, 1.8)) == {"cut"}
