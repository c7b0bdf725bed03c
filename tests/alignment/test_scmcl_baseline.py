import numpy as np
import pytest

from pipeline.alignment.scmcl_baseline import _filters, compat_features, compat_map, compat_pairs
from tests.builders.babble import babble


def test_the_filters_are_triangles_between_whole_bins() -> None:
    filters = _filters()
    assert filters.shape == (26, 257)
    np.testing.assert_allclose(filters[0, :5], [0, 0.5, 1, 0.5, 0])
    np.testing.assert_allclose(filters.max(axis=1), 1)


def test_a_tone_has_the_log_energy_of_its_spectrum() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    features = compat_features(tone, hop_s=1 / 30)
    assert features.shape == (31, 13)
    # Pre-emphasis has a gain of 0.3854 at 1 kHz; half of the spectrum holds half of the energy.
    assert features[5, 0] == pytest.approx(np.log(400 * 0.3854**2 / 4), abs=0.01)


def test_a_take_with_itself_is_the_diagonal() -> None:
    audio = babble(10, 0.2)
    frame_a, frame_b = compat_pairs(audio, audio, fps=30, backend="librosa")
    np.testing.assert_array_equal(frame_a, frame_b)


def test_a_slower_take_repeats_frames() -> None:
    frame_a, frame_b = compat_pairs(babble(10, 0.2), babble(10, 0.4), fps=30, backend="dtw-python")
    assert len(frame_a) > len(np.unique(frame_a))
    assert (np.diff(frame_b) >= 0).all()


@pytest.mark.parametrize("n_samples", [1, 400, 401])
def test_short_and_silent_recordings_are_finite(n_samples: int) -> None:
    assert np.isfinite(compat_features(np.zeros(n_samples), hop_s=1 / 30)).all()


def test_each_take_has_its_own_rate_and_the_map_is_in_seconds() -> None:
    audio = babble(10, 0.2)
    found = compat_map(audio, audio, fps_a=25, fps_b=50, backend="librosa")
    ratio = (found.cells_b[-1] + 1) / (found.cells_a[-1] + 1)
    assert ratio == pytest.approx(2, abs=0.05)
    assert np.abs(found.knots[:, 0] - found.knots[:, 1]).max() < 0.041
    assert found.knots[0] == pytest.approx([0.0125, 0.0125], abs=0.021)
    assert (np.diff(found.knots, axis=0) > 0).all()
