"""Predict mouth openings from audio: a ridge regression that never saw the session it judges.

Mouth openings without the slow part that the expression holds are predicted from a context of mel
bands. Where the prediction of a take fits best is the offset of its image. The regression has to be
learnt on takes whose own offsets are unknown, so it is fitted and applied in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from pipeline.alignment.sync_offsets import LAGS_S, best_lag, log_likelihood
from pipeline.alignment.types import BoolArray, FloatArray

HOP_S = 0.02
_RATE_HZ = 16000
_FFT = 512
_BANDS = 32
_CONTEXT = (-12, -8, -5, -3, -1, 0, 1, 3, 5, 8, 12)
"""Cells around the one that is predicted: a quarter of a second on either side."""
_SLOW_CELLS = 30.0
"""Deviation of the Gaussian whose result is subtracted, 0.6 s."""
_LEAST_CELLS = 25
_ROUNDS = 5
_FLOOR = 1e-7
_SMALL = 1e-6


@dataclass(frozen=True, eq=False)
class SyncTrack:
    """One take for the regression.

    Attributes
    ----------
    mel : float64 [shape=(n, 32)]
        Log-mel bands every 20 ms of the audio, each standardised over the take.
    openings : float64 [shape=(n_lags, n)]
        Mouth opening at each cell plus each of `LAGS_S`, without its slow part; 0 where unknown.
    known : bool [shape=(n_lags, n)]
    """

    mel: FloatArray
    openings: FloatArray
    known: BoolArray

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.mel) * HOP_S

    def context(self) -> FloatArray:
        """The regression's input [shape=(n, 352)]."""
        n = len(self.mel)
        places = np.arange(n)[:, None] + np.array(_CONTEXT)
        return np.asarray(self.mel[places.clip(0, n - 1)].reshape(n, -1))


def sync_track(
    samples: npt.ArrayLike, instants_s: FloatArray, mouth_open: FloatArray
) -> SyncTrack | None:
    """The track of a take; None if the mouth is visible during less than half a second of audio.

    Parameters
    ----------
    samples : float [shape=(n_samples,)], mono, 16 kHz
    instants_s : float [shape=(n_frames,)], strictly increasing
        Middles of the frames on the clock of the audio.
    mouth_open : float [shape=(n_frames,)]
        NaN without a face.
    """
    mel = _mel(np.asarray(samples, np.float32))
    seen = np.isfinite(mouth_open)
    if seen.sum() < 2:
        return None
    shown_s, opening = instants_s[seen], gaussian_filter1d(mouth_open[seen], 0.5)
    at_s = np.arange(len(mel)) * HOP_S + LAGS_S[:, None]
    known = (at_s >= shown_s[0]) & (at_s <= shown_s[-1])
    if known[len(LAGS_S) // 2].sum() < _LEAST_CELLS or np.ptp(opening) == 0:
        return None
    curves = _fast(np.interp(at_s, shown_s, opening))
    return SyncTrack(mel, np.where(known, curves, 0.0), known)


def _mel(samples: npt.NDArray[np.float32]) -> FloatArray:
    spectrum: npt.NDArray[Any] = librosa.stft(
        samples, n_fft=_FFT, win_length=400, hop_length=round(HOP_S * _RATE_HZ)
    )
    power = (_bank() @ (spectrum.real**2 + spectrum.imag**2)).T.astype(np.float64)
    level = np.log10(np.maximum(power, max(power.max() * _FLOOR, 1e-20)))
    return np.asarray((level - level.mean(0)) / (level.std(0) + _SMALL))


@cache
def _bank() -> npt.NDArray[np.float32]:
    bank: npt.NDArray[np.float32] = librosa.filters.mel(
        sr=_RATE_HZ, n_fft=_FFT, n_mels=_BANDS, fmin=60, fmax=7600
    )
    return bank


def _fast(curves: FloatArray) -> FloatArray:
    return np.asarray(curves - gaussian_filter1d(curves, _SLOW_CELLS, axis=-1))


@dataclass(frozen=True, eq=False)
class SyncModel:
    """Sums of a ridge regression, in all and by session.

    Attributes
    ----------
    squares : float64 [shape=(p, p)], `products` : float64 [shape=(p,)]
        Of input with input, and of input with openings, over all takes.
    by_session
        The same over the takes of one session.
    """

    squares: FloatArray
    products: FloatArray
    by_session: dict[str, tuple[FloatArray, FloatArray]]
    ridge: float
    _weights: dict[str, FloatArray] = field(default_factory=dict)

    def weights(self, session: str) -> FloatArray:
        """The regression [shape=(p,)] learnt on the takes of all other sessions."""
        known = session if session in self.by_session else ""
        if known not in self._weights:
            squares, products = self.by_session.get(known, (0.0, 0.0))
            penalty = self.ridge * np.eye(len(self.products))
            self._weights[known] = np.linalg.solve(
                self.squares - squares + penalty, self.products - products
            )
        return self._weights[known]


def learn(tracks: Sequence[SyncTrack], sessions: Sequence[str], ridge: float) -> SyncModel:
    """Fit the regression and the sessions' offsets in turn, from offsets of 0.

    Parameters
    ----------
    sessions
        The recording session of each track: its takes share an offset.
    """
    squares = [_squares(track) for track in tracks]
    lags = dict.fromkeys(sessions, len(LAGS_S) // 2)
    for _ in range(_ROUNDS):
        products = [
            _products(track, lags[session]) for track, session in zip(tracks, sessions, strict=True)
        ]
        model = _model(squares, products, sessions, ridge)
        found = {session: np.zeros(len(LAGS_S)) for session in lags}
        for track, session in zip(tracks, sessions, strict=True):
            found[session] += log_likelihood(
                correlations(track, model.weights(session)), track.seconds
            )
        lags = {session: best_lag(total) for session, total in found.items()}
    return model


def _model(
    squares: Sequence[FloatArray],
    products: Sequence[FloatArray],
    sessions: Sequence[str],
    ridge: float,
) -> SyncModel:
    by_session: dict[str, tuple[FloatArray, FloatArray]] = {}
    for square, product, session in zip(squares, products, sessions, strict=True):
        so_far = by_session.get(session, (np.zeros_like(square), np.zeros_like(product)))
        by_session[session] = so_far[0] + square, so_far[1] + product
    sums = [by_session[session] for session in sorted(by_session)]
    return SyncModel(
        np.sum([s for s, _ in sums], axis=0), np.sum([p for _, p in sums], axis=0), by_session,
        ridge,
    )  # fmt: skip


def _squares(track: SyncTrack) -> FloatArray:
    cells = track.context()[track.known[len(LAGS_S) // 2]]
    return np.asarray(cells.T @ cells)


def _products(track: SyncTrack, lag: int) -> FloatArray:
    opening = track.openings[lag]
    deviation = opening[track.known[lag]].std() + _SMALL
    return np.asarray(track.context().T @ (opening / deviation))


def correlations(track: SyncTrack, weights: FloatArray) -> FloatArray:
    """Correlation of the predicted with the measured openings at each lag [shape=(n_lags,)]."""
    predicted = _fast(track.context() @ weights)
    known = track.known.astype(np.float64)
    n = np.maximum(known.sum(axis=1), 1.0)
    x = (predicted - (known @ predicted / n)[:, None]) * known
    y = (track.openings - (track.openings.sum(axis=1) / n)[:, None]) * known
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found = np.where(scale > 0, (x * y).sum(axis=1) / np.maximum(scale, _SMALL**2), 0.0)
    return np.where(n >= _LEAST_CELLS, found, 0.0)
