import numpy as np
import pytest

from pipeline.alignment.align import align
from pipeline.alignment.features import take_features
from pipeline.alignment.word_mismatch import OddSpan
from pipeline.params import Align
from tests.builders.babble import SAMPLE_RATE, babble


def oddest(a: np.ndarray, b: np.ndarray, params: Align) -> OddSpan:
    takes = (take_features(audio, params.features) for audio in (a, b))
    return align(*takes, params).odd_span


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def test_the_same_reading_is_no_alarm(params: Align) -> None:
    assert oddest(babble(10, 0.2), babble(10, 0.26), params).score < 1


def test_a_word_that_was_cut_out_is_found_where_it_was(params: Align) -> None:
    audio = babble(12, 0.2)
    cut = np.concatenate([audio[: at(0.8)], audio[at(1.1) :]])
    for a, b, kind in ((audio, cut, "only_in_a"), (cut, audio, "only_in_b")):
        span = oddest(a, b, params)
        assert span.score >= 1
        assert span.kind == kind
        assert span.start_s == pytest.approx(0.8, abs=0.1)
        assert span.stop_s == pytest.approx(1.1, abs=0.1)


def test_a_word_that_was_said_twice_is_found(params: Align) -> None:
    audio = babble(12, 0.2)
    doubled = np.concatenate([audio[: at(1.1)], audio[at(0.8) :]])
    span = oddest(audio, doubled, params)
    assert span.score >= 1
    assert span.kind in ("twice_in_b", "only_in_b")
    assert 0.7 < span.start_s < span.stop_s < 1.5


def test_a_pause_is_no_alarm(params: Align) -> None:
    audio = babble(10, 0.2)
    silence = 1e-3 * np.random.default_rng(5).standard_normal(at(0.5))
    paused = np.concatenate([audio[: at(1)], silence, audio[at(1) :]])
    assert oddest(audio, paused, params).score < 1


@pytest.mark.parametrize("n_samples", [1, 500, 16000])
def test_silence_is_no_alarm(n_samples: int, params: Align) -> None:
    assert oddest(np.zeros(n_samples), np.zeros(8000), params).score == 0
