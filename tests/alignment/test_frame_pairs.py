import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment.align import Alignment, align, judge_frames, pair_frames
from pipeline.alignment.features import take_features
from pipeline.params import Align, AlignFrames
from tests.builders.babble import babble, make_params


def aligned(a: np.ndarray, b: np.ndarray, params: Align) -> Alignment:
    return align(take_features(a, params.features), take_features(b, params.features), params)


def instants(seconds: float, fps: float) -> np.ndarray:
    return (np.arange(int(seconds * fps)) + 0.5) / fps


def test_a_take_pairs_with_itself_frame_by_frame(params: Align) -> None:
    audio = babble(10, 0.2)
    pairs = pair_frames(aligned(audio, audio, params), instants(2, 25), instants(2, 25), params)
    np.testing.assert_array_equal(pairs.frame_a, pairs.frame_b)
    np.testing.assert_allclose(pairs.residual_s, 0, atol=1e-9)
    assert len(pairs) >= 48
    assert (pairs.error_s < 0.04).mean() > 0.9


def test_video_that_starts_late_is_paired_by_the_clock_of_the_audio(params: Align) -> None:
    audio = babble(10, 0.2)
    late = instants(2, 25)[5:]
    pairs = pair_frames(aligned(audio, audio, params), instants(2, 25), late, params)
    np.testing.assert_array_equal(pairs.frame_a - pairs.frame_b, 5)


def test_frames_outside_the_audio_are_not_paired(params: Align) -> None:
    audio = babble(10, 0.2)
    beyond = np.concatenate([[-0.1, -0.05], instants(3, 25)])
    pairs = pair_frames(aligned(audio, audio, params), beyond, beyond, params)
    assert pairs.frame_a[0] >= 2
    assert pairs.frame_a[-1] < 53


def test_twice_as_slow_gives_slope_two_and_one_to_one_frames(params: Align) -> None:
    fast, slow = babble(10, 0.2, seed=3), babble(10, 0.4, seed=3)
    pairs = pair_frames(aligned(fast, slow, params), instants(2, 25), instants(4, 25), params)
    assert np.median(pairs.slope) == pytest.approx(2.0, abs=0.1)
    error = (pairs.frame_b + 0.5) - 2 * (pairs.frame_a + 0.5)
    assert (np.abs(error) <= 1).mean() > 0.9


def test_rates_may_differ_and_vary(params: Align) -> None:
    audio = babble(10, 0.2)
    uneven = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 45))
    pairs = pair_frames(aligned(audio, audio, params), instants(2, 30), uneven, params)
    gap = np.abs(instants(2, 30)[pairs.frame_a] - uneven[pairs.frame_b])
    assert gap.max() <= 0.06


@pytest.mark.slow
@given(st.integers(0, 50), st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(5, 60))
@settings(max_examples=40)
def test_frames_strictly_increase(seed: int, a_s: float, b_s: float, fps: float) -> None:
    rng = np.random.default_rng(seed)
    params = make_params()
    a, b = (rng.standard_normal(int(s * 16000)).astype(np.float32) for s in (a_s, b_s))
    pairs = pair_frames(aligned(a, b, params), instants(a_s, fps), instants(b_s, fps), params)
    assert (np.diff(pairs.frame_a) > 0).all()
    assert (np.diff(pairs.frame_b) > 0).all()
    assert ((pairs.confidence >= 0) & (pairs.confidence <= 1)).all()
    assert all(np.isfinite(column).all() for column in vars(pairs).values())


@pytest.mark.parametrize("n_samples", [1, 200, 16000])
def test_silence_and_scraps_give_no_error(n_samples: int, params: Align) -> None:
    silence = np.zeros(n_samples, dtype=np.float32)
    found = aligned(silence, babble(5, 0.2), params)
    pairs = pair_frames(found, instants(1, 25), instants(1, 25), params)
    assert np.isfinite(pairs.error_s).all()
    assert found.score == 9.0


def test_no_frames_no_pairs(params: Align) -> None:
    found = aligned(babble(3, 0.2), babble(3, 0.2), params)
    assert len(pair_frames(found, [], instants(1, 25), params)) == 0
    assert len(pair_frames(found, [5.0, 6.0], instants(1, 25), params)) == 0


def test_refuses_instants_that_go_back(params: Align) -> None:
    found = aligned(babble(3, 0.2), babble(3, 0.2), params)
    with pytest.raises(ValueError, match="strictly increasing"):
        pair_frames(found, [0.0, 0.2, 0.1], [0.0], params)


def test_strangers_are_hardly_paired(params: Align) -> None:
    found = aligned(babble(10, 0.2), babble(10, 0.22, seed=9), params)
    few = pair_frames(found, instants(2, 25), instants(2.2, 25), params)
    assert len(few) < 20


def test_the_gate_holds_and_a_lower_one_gives_more(params: Align) -> None:
    found = aligned(babble(10, 0.2), babble(10, 0.3), params)
    counts = []
    for gate in (0.0, 0.85, 0.99):
        frames = params.frames.model_copy(update={"min_confidence": gate})
        gated = params.model_copy(update={"frames": frames})
        pairs = pair_frames(found, instants(2, 25), instants(3, 25), gated)
        assert (pairs.confidence > gate).all()
        counts.append(len(pairs))
    assert counts[0] >= counts[1] >= counts[2]
    assert counts[0] == 50


@pytest.mark.slow
def test_a_pause_that_only_b_has_drops_out(params: Align) -> None:
    audio = babble(10, 0.2)
    silence = 1e-3 * np.random.default_rng(5).standard_normal(8000)
    paused = np.concatenate([audio[:16000], silence, audio[16000:]])
    pairs = pair_frames(aligned(audio, paused, params), instants(2, 25), instants(2.5, 25), params)
    expected = np.where(pairs.frame_a < 25, pairs.frame_a + 0.0, pairs.frame_a + 12.5)
    assert (np.abs(pairs.frame_b - expected) <= 1).mean() > 0.97
    assert len(pairs) >= 44


def test_the_claim_is_above_the_tolerance_only_where_the_confidence_is_low(
    params: Align,
) -> None:
    found = aligned(babble(10, 0.2), babble(10, 0.3), params)
    pairs = pair_frames(found, instants(2, 25), instants(3, 25), params)
    sure = pairs.confidence >= params.frames.certainty
    assert (pairs.error_s[sure] <= params.frames.tolerance_s + 1e-9).all()
    assert (pairs.error_s[~sure] >= params.frames.tolerance_s - 1e-9).all()
    assert ((pairs.error_s >= 0.01) & (pairs.error_s <= 0.5)).all()


def test_take_keeps_the_columns_together(params: Align) -> None:
    audio = babble(10, 0.2)
    pairs = pair_frames(aligned(audio, audio, params), instants(2, 25), instants(2, 25), params)
    some = pairs.take(pairs.frame_a % 2 == 0)
    assert {len(column) for column in vars(some).values()} == {len(some)}
    np.testing.assert_array_equal(some.frame_a % 2, 0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("min_confidence", 1.0, r"min_confidence\n.*less than 1 .*input_value=1.0"),
        ("certainty", -0.1, r"certainty\n.*greater than or equal to 0 .*input_value=-0.1"),
        ("tolerance_s", 0.0, r"tolerance_s\n.*greater than 0 .*input_value=0.0"),
    ],
)
def test_refuses_a_gate_that_cannot_be(
    name: str, value: float, message: str, params: Align
) -> None:
    with pytest.raises(ValueError, match=message):
        AlignFrames.model_validate({**params.frames.model_dump(), name: value})


def test_pairs_of_others_are_judged_as_ours_and_late_ones_are_not_believed(
    params: Align,
) -> None:
    found = aligned(babble(10, 0.2, seed=3), babble(10, 0.2, seed=3), params)
    times = instants(2, 25)
    ours = pair_frames(found, times, times, params)
    same = judge_frames(found, times, times, ours.frame_a, ours.frame_b, params)
    for name in vars(ours):
        np.testing.assert_array_equal(getattr(same, name), getattr(ours, name))
    late = judge_frames(found, times, times, np.arange(40), np.arange(40) + 5, params)
    assert np.median(late.confidence) < 0.1
    np.testing.assert_allclose(late.residual_s, 0.2, atol=1e-9)
    beyond = judge_frames(found, times, instants(3, 25), [3, 3, 4], [3, 4, 70], params)
    assert (beyond.frame_a.tolist(), beyond.frame_b.tolist()) == ([3, 3], [3, 4])
