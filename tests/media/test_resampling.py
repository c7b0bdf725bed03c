"""Streaming resampling gives the bytes of resampling at once."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import media
from pipeline.media.resampling import BLOCK, Kept


def _pieces(samples: np.ndarray, seed: int) -> list[np.ndarray]:
    rng, found, at = np.random.default_rng(seed), [], 0
    while at < len(samples):
        n = int(rng.choice((1, 960, 1024, 4096, 30_000)))
        found.append(samples[at : at + n])
        at += n
    return found


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000, 655_350])
@pytest.mark.parametrize("padding", [0, 1, 1023, 4095])
def test_pieces_give_the_bytes_of_the_whole(rate_hz: int, padding: int) -> None:
    rng = np.random.default_rng(rate_hz)
    samples = rng.normal(0, 0.4, BLOCK + BLOCK // 2 + 17).astype(np.float32)
    kept = Kept(16_000, 4096)
    for piece in _pieces(samples, padding):
        kept.take(piece, rate_hz)
    length = len(samples) - padding
    found = kept.whole(length)
    wanted = media.resample(samples[:length], rate_hz, 16_000)
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted)
    assert kept.heard == length
    assert kept.peak == np.abs(samples[:length]).max()
    assert kept.full == np.count_nonzero(np.abs(samples[:length]) >= 0.999)


def test_a_audio_of_padding_alone_is_none() -> None:
    kept = Kept(16_000, 4096)
    kept.take(np.ones(100, np.float32), 48_000)
    assert len(kept.whole(0)) == kept.heard == 0
