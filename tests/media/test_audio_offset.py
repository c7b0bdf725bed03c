"""Offset and drift between two signals of one recording, and different recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline import media
from pipeline.media.audio_offset import SAME_RECORDING
from tests.builders.findings import babble
from tests.builders.media_files import AUDIO_HZ

RATE_HZ = 16000


def audio(samples: np.ndarray, start_s: float = 0.0) -> media.Audio:
    return media.Audio(np.asarray(samples, np.float32), RATE_HZ, start_s, 0.5, 0.0, 0, 0.0)


def speech(duration_s: float = 4.0, seed: int = 0, cut_hz: float = 3000.0) -> np.ndarray:
    return media.resample(babble(duration_s, seed, cut_hz), AUDIO_HZ, RATE_HZ)


@pytest.mark.parametrize("samples", [0, 1, -1, 777, -12345, 31000])
def test_the_offset_is_exact(samples: int) -> None:
    whole = speech(6.0)
    one, other = whole[max(0, -samples) :], whole[max(0, samples) :]
    found = media.match(audio(one), audio(other))
    assert found.offset_s * RATE_HZ == pytest.approx(samples, abs=1e-6)
    assert found.quality == pytest.approx(1.0, abs=1e-4)
    assert found.drift_s == pytest.approx(0, abs=1e-4)


def test_starts_count() -> None:
    whole = speech()
    found = media.match(audio(whole, 0.5), audio(whole, 0.2))
    assert found.offset_s == pytest.approx(0.3)


@pytest.mark.parametrize("share", [-1e-3, -3e-4, 3e-4, 1e-3])
def test_a_drift_is_measured(share: float) -> None:
    whole = speech(20.0, cut_hz=400.0)
    found = media.match(
        audio(whole), audio(media.resample(whole, 100000, round(1e5 * (1 - share))))
    )
    assert found.quality > SAME_RECORDING
    assert found.drift_s == pytest.approx(20.0 * share, abs=1e-3)


def test_noise_lowers_the_quality_and_not_the_place() -> None:
    whole = speech()
    noise = np.random.default_rng(1).normal(0, whole.std() * 10**-0.5, len(whole))
    found = media.match(audio(whole), audio(np.roll(whole, 160) + noise))
    assert SAME_RECORDING < found.quality < 0.95
    assert found.offset_s == pytest.approx(-0.01, abs=1e-3)


def test_other_recordings_do_not_match() -> None:
    qualities = [
        media.match(audio(speech(4, i)), audio(speech(3, i + 10))).quality for i in range(8)
    ]
    assert max(qualities) < SAME_RECORDING
    silence = replace(audio(speech()), samples=np.zeros(64000, np.float32))
    assert media.match(audio(speech()), silence).quality == 0
    assert media.match(silence, audio(speech()[:1])).quality == 0


def test_real_files_match_their_tracks(shared: object) -> None:
    root = shared / "real" / "mead"  # type: ignore[operator]
    for video in sorted(root.glob("*/video/front/*/*/*.mp4")):
        emotion, level = video.parts[-3:-1]
        file = video.parents[4] / "audio" / emotion / level / f"{video.stem}.m4a"
        track, beside = (media.decode_audio(path, RATE_HZ, 60.0) for path in (video, file))
        assert track is not None
        assert beside is not None
        found = media.match(track, beside)
        assert found.quality > 0.999
        assert abs(found.offset_s) < 1e-3
