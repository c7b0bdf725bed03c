"""Pieces of the takes' sound around the frames: 16 kHz, as XLSR takes it (CDRL 3.1)."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.datasets import Rows
from spfem_data.errors import TableError
from spfem_data.reader import Shards
from spfem_data.rng import F64
from spfem_data.schema import MAX_SOUND_S, SOUND_HZ

_KEPT_BYTES = 64 << 20


class Sounds:
    """The sound of the takes of a split; the last 64 MB decoded are kept, as int16.

    Parameters
    ----------
    window_s
        Length of a piece. The papers do not give it; XLSR's receptive field is 25 ms a step of 20.

    Raises
    ------
    TableError
        Where the length is no time at all.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        window_s: float,
        *,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.samples = round(window_s * SOUND_HZ)
        if self.samples < 1:
            raise TableError(f"window_s={window_s}: expected a length of at least a sample")
        shards = Shards(folder, "takes", split, cache=cache, options=options)
        self.rows = Rows(shards, ["take_id", "audio_start_s", "audio"])
        self._names = {name: k for k, name in enumerate(self.rows.values("take_id"))}
        self._forget()

    def _forget(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, NDArray[np.int16]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if name not in ("_lock", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def has(self, takes: list[str]) -> NDArray[np.bool_]:
        """Which of the takes have a sound here."""
        known = {name: name in self._names for name in set(takes)}
        return np.array([known[name] for name in takes], np.bool_)

    def pieces(self, takes: list[str], times_s: F64) -> torch.Tensor:
        """Sound around the instants: float32 (n, samples) in [-1, 1], the instant in the middle.

        Zero before the sound begins and after it ends.

        Parameters
        ----------
        times_s
            (n,) on the clock of each take.
        """
        found = torch.zeros(len(takes), self.samples)
        rows = np.array([self._names[name] for name in takes], np.int64)
        starts = np.asarray(self.rows.column("audio_start_s", rows), np.float64)
        firsts = np.rint((times_s - starts) * SOUND_HZ).astype(np.int64) - self.samples // 2
        for k, (row, first) in enumerate(zip(rows.tolist(), firsts.tolist(), strict=True)):
            sound = self._sound(row)
            begin, end = max(first, 0), min(first + self.samples, len(sound))
            if begin < end:
                piece = torch.from_numpy(sound[begin:end].astype(np.float32))
                found[k, begin - first : end - first] = piece / 32768
        return found

    def _sound(self, row: int) -> NDArray[np.int16]:
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
        (file,) = self.rows.bytes_of("audio", np.array([row]))
        sound = _decoded(file)
        with self._lock:
            self._kept[row] = sound
            while len(self._kept) > 1 and sum(s.nbytes for s in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return sound


def _decoded(file: bytes) -> NDArray[np.int16]:
    try:
        samples, rate = read_sound(file)
    except ValueError as error:
        raise TableError(f"a sound cannot be decoded: {error}") from error
    if rate != SOUND_HZ or samples.ndim != 1:
        raise TableError(f"a sound of {rate} Hz, {samples.ndim} dimensions: expected 16 kHz mono")
    return samples


def read_sound(file: bytes) -> tuple[NDArray[np.int16], int]:
    """Samples and rate of a FLAC file, within bounds.

    Raises
    ------
    ValueError
        Where it is none, or claims to be longer than `MAX_SOUND_S`.
    """
    import soundfile  # who reads pictures alone does without

    try:
        with soundfile.SoundFile(io.BytesIO(file)) as opened:
            n, rate = opened.frames, int(opened.samplerate)
            if n * opened.channels > MAX_SOUND_S * SOUND_HZ:
                # memory is taken for what the head claims
                raise ValueError(f"{n} samples are claimed, more than {MAX_SOUND_S} s")
            return np.asarray(opened.read(dtype="int16")), rate
    except RuntimeError as error:
        raise ValueError(str(error)) from error
