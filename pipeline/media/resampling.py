"""Resample audio, all at once or as a stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

Samples = NDArray[np.float32]
BLOCK = 1 << 20
"""Samples processed at a time."""
_FULL_SCALE = 0.999


class Kept:
    """Resample audio as it is decoded: two hours at a file's native rate take gigabytes.

    The last samples are held back until it is known which of them are padding. `heard` counts
    native samples, `full` those at full scale.
    """

    def __init__(self, rate_hz: int, held_back: int) -> None:
        self._rate_hz, self._held_back = rate_hz, held_back
        self._made: list[Samples] = []
        self._waiting: list[Samples] = []
        self._n_waiting = 0
        self._change: Callable[[Samples, bool], Samples] | None = None
        self.heard = self.full = 0
        self.peak = 0.0

    def take(self, piece: Samples, from_hz: int) -> None:
        """Append samples at the native rate."""
        if self._change is None:
            self._change = _changing(from_hz, self._rate_hz)
        self._waiting.append(piece)
        self._n_waiting += len(piece)
        if self._n_waiting >= BLOCK:
            ready = np.concatenate(self._waiting)
            self._waiting = [ready[-self._held_back :]]
            self._n_waiting = self._held_back
            self._hear(ready[: -self._held_back], last=False)

    def whole(self, length: int) -> Samples:
        """All resampled audio; of the native samples the first `length` are not padding."""
        if self._waiting:
            self._hear(np.concatenate(self._waiting)[: length - self.heard], last=True)
        return _joined(self._made)

    def _hear(self, native: Samples, *, last: bool) -> None:
        if len(native):
            loud = np.abs(native)
            self.peak = max(self.peak, float(loud.max()))
            self.full += int(np.count_nonzero(loud >= _FULL_SCALE))
        self.heard += len(native)
        assert self._change is not None
        self._made.append(self._change(native, last))


def _joined(pieces: list[Samples]) -> Samples:
    """Concatenate the pieces, freeing each as it is copied; the list is left empty."""
    whole = np.empty(sum(map(len, pieces)), np.float32)
    at = 0
    for k, piece in enumerate(pieces):
        whole[at : at + len(piece)] = piece
        at += len(piece)
        pieces[k] = piece[:0].copy()
    pieces.clear()
    return whole


def _changing(from_hz: int, to_hz: int) -> Callable[[Samples, bool], Samples]:
    """A streaming resampler; its output equals that of `resample`."""
    if from_hz == to_hz:
        return lambda piece, last: piece
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    return lambda piece, last: np.asarray(stream.resample_chunk(piece, last=last), np.float32)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample without shifting time, by soxr's linear-phase high-quality filter."""
    if from_hz == to_hz:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), dtype=np.float32)
