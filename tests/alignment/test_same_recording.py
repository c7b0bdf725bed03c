"""One recording under two labels: copied, re-encoded, trimmed, at another speed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from pipeline.alignment.align import align
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.alignment.same_recording import straightness
from pipeline.params import Align
from tests.builders.babble import SAMPLE_RATE, babble

Audio = np.ndarray


def _swaying(audio: Audio, depth: float) -> Audio:
    """The same words at a tempo that sways twice within them, as no two performances match."""
    n = len(audio)
    places = np.arange(n) + depth * n / 25 * np.sin(np.linspace(0, 4 * np.pi, n))
    return np.interp(places, np.arange(n), audio).astype(np.float32)


def _noisy(audio: Audio) -> Audio:
    noise = np.random.default_rng(0).standard_normal(len(audio))
    return (audio + 0.05 * float(np.sqrt(np.mean(audio**2))) * noise).astype(np.float32)


COPIES: dict[str, Callable[[Audio], Audio]] = {
    "identical": lambda x: x,
    "quieter": lambda x: 0.3 * x,
    "late": lambda x: np.concatenate([np.zeros(4000, np.float32), x]),
    "trimmed": lambda x: x[2400:-2400],
    "of 8 kHz": lambda x: soxr.resample(soxr.resample(x, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE),
    "PAL speed-up": lambda x: soxr.resample(x, SAMPLE_RATE, SAMPLE_RATE * 24 / 25),
    "noisy": _noisy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_one_recording(how: str, params: Align) -> None:
    audio = babble(14, 0.18, seed=5)
    a, b = (take_features(x, params.features) for x in (audio, COPIES[how](audio)))
    assert align(a, b, params).is_one_recording(params.same_recording)


@pytest.mark.parametrize("depth", [0.2, 0.3])
def test_another_timing_is_another_recording(depth: float, params: Align) -> None:
    audio = babble(14, 0.18, seed=5)
    a, b = (take_features(x, params.features) for x in (audio, _swaying(audio, depth)))
    alignment = align(a, b, params)
    assert alignment.score < 0.8
    assert alignment.straightness < 0.7
    by_score = params.same_recording.model_copy(update={"max_score": 0.8})
    assert not alignment.is_one_recording(by_score)


def test_other_words_are_another_recording(params: Align) -> None:
    a, b = (take_features(babble(14, 0.18, seed=k), params.features) for k in (1, 2))
    assert not align(a, b, params).is_one_recording(params.same_recording)


def test_silence_says_nothing(params: Align) -> None:
    silent = take_features(np.zeros(SAMPLE_RATE, np.float32), params.features)
    path = align(silent, silent, params).warp
    assert straightness(path, silent.speech, silent.speech) == 0.0


@pytest.mark.slow
def test_no_second_performance_of_real_speech_is_a_copy(shared: Path, params: Align) -> None:
    """593 pairs of EmoDB and RAVDESS, 38 of them the same emotion twice."""
    folder = shared / "fixtures" / "real_speech"
    takes: dict[str, TakeFeatures] = {}

    def features(name: str) -> TakeFeatures:
        if name not in takes:
            takes[name] = take_features(soundfile.read(folder / name)[0], params.features)
        return takes[name]

    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    pairs = [align(features(row["a"]), features(row["b"]), params) for row in rows]
    assert not any(pair.is_one_recording(params.same_recording) for pair in pairs)
    alike = [pair.straightness for pair in pairs if pair.score <= params.same_recording.max_score]
    assert max(alike) < 0.81
