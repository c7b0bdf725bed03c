import numpy as np
import pytest

from pipeline.alignment.features import mel_features, speech_mask, take_features
from pipeline.params import Align
from tests.builders.babble import SAMPLE_RATE, babble


@pytest.mark.parametrize("n_samples", [1, 100, 159, 160, 399, 400, 16000])
@pytest.mark.parametrize("level", [0.0, 0.5, np.nan])
def test_any_audio_gives_finite_cells(n_samples: int, level: float, params: Align) -> None:
    features = mel_features(np.full(n_samples, level, dtype=np.float32), params.features)
    assert features.shape == (1 + n_samples // 160, 120)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_silence_is_zero_and_speechless(params: Align) -> None:
    take = take_features(np.zeros(8000, dtype=np.float32), params.features)
    assert not take.mel.any()
    assert not take.speech.any()


def test_not_finite_samples_count_as_silence(params: Align) -> None:
    audio = babble(4, 0.2)
    holed = audio.copy()
    holed[3000:3100] = np.nan
    silenced = audio.copy()
    silenced[3000:3100] = 0
    np.testing.assert_array_equal(
        mel_features(holed, params.features), mel_features(silenced, params.features)
    )


def test_loudness_does_not_matter(params: Align) -> None:
    audio = babble(6, 0.2)
    quiet, loud = (mel_features(gain * audio, params.features) for gain in (0.05, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=2e-3)


def test_speech_mask_finds_the_speech(params: Align) -> None:
    noise = 1e-4 * np.random.default_rng(1).standard_normal(SAMPLE_RATE)
    audio = np.concatenate([noise, babble(5, 0.2), noise])
    speaks = speech_mask(audio, params.features)
    truth = np.zeros(speaks.size, dtype=bool)
    truth[100:200] = True
    assert (speaks == truth).mean() > 0.98


def test_cells_are_centred_on_their_hop(params: Align) -> None:
    click = np.zeros(SAMPLE_RATE, dtype=np.float32)
    click[50 * 160] = 1.0
    loudness = mel_features(click, params.features)[:, :40].sum(axis=1)
    heard = np.flatnonzero(loudness > loudness.max() / 2)
    assert heard.mean() == pytest.approx(50, abs=0.51)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 100))])
def test_refuses_what_is_not_a_mono_audio(samples: np.ndarray, params: Align) -> None:
    with pytest.raises(ValueError, match="mono and not empty"):
        mel_features(samples, params.features)
