"""Audio of the takes around given instants: 16 kHz, the input of XLSR (CDRL 3.1)."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.datasets import ColumnReader
from spfem_data.errors import TableError
from spfem_data.process_local import ProcessLocal
from spfem_data.reader import Shards
from spfem_data.rng import F64
from spfem_data.schema import AUDIO_HZ, MAX_AUDIO_S

_CACHED_BYTES = 64 << 20


class AudioWindows(ProcessLocal):
    """Windows of the audio of a split's takes; the last 64 MB of decoded audio are cached.

    Parameters
    ----------
    window_s
        Length of a window. The papers do not give it; XLSR has a receptive field of 25 ms and a
        stride of 20 ms.

    Raises
    ------
    TableError
        If a window is shorter than one sample.
    """

    _LOCAL: ClassVar[tuple[str, ...]] = ("_lock", "_decoded")

    def __init__(
        self,
        folder: str | Path,
        split: str,
        window_s: float,
        *,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.samples = round(window_s * AUDIO_HZ)
        if self.samples < 1:
            raise TableError(f"window_s={window_s}: expected the length of at least one sample")
        shards = Shards(folder, "takes", split, cache=cache, options=options)
        self.reader = ColumnReader(shards, ["take_id", "audio_start_s", "audio"])
        self._rows = {take: k for k, take in enumerate(self.reader.values("take_id"))}
        self._start()

    def _reset(self) -> None:
        self._lock = Lock()
        self._decoded: OrderedDict[int, NDArray[np.int16]] = OrderedDict()

    def has(self, takes: list[str]) -> NDArray[np.bool_]:
        """Which of the takes have audio."""
        known = {take: take in self._rows for take in set(takes)}
        return np.array([known[take] for take in takes], np.bool_)

    def windows(self, takes: list[str], times_s: F64) -> torch.Tensor:
        """Audio centred on the instants: float32 (n, samples) in [-1, 1], zero outside the take.

        Parameters
        ----------
        times_s
            (n,) on each take's clock.
        """
        windows = torch.zeros(len(takes), self.samples)
        rows = np.array([self._rows[take] for take in takes], np.int64)
        starts = np.asarray(self.reader.column("audio_start_s", rows), np.float64)
        firsts = np.rint((times_s - starts) * AUDIO_HZ).astype(np.int64) - self.samples // 2
        for k, (row, first) in enumerate(zip(rows.tolist(), firsts.tolist(), strict=True)):
            audio = self._audio(row)
            begin, end = max(first, 0), min(first + self.samples, len(audio))
            if begin < end:
                part = torch.from_numpy(audio[begin:end].astype(np.float32))
                windows[k, begin - first : end - first] = part / 32768
        return windows

    def _audio(self, row: int) -> NDArray[np.int16]:
        with self._lock:
            if row in self._decoded:
                self._decoded.move_to_end(row)
                return self._decoded[row]
        (file,) = self.reader.bytes_of("audio", np.array([row]))
        audio = _decode(file)
        with self._lock:
            self._decoded[row] = audio
            while (
                len(self._decoded) > 1
                and sum(a.nbytes for a in self._decoded.values()) > _CACHED_BYTES
            ):
                self._decoded.popitem(last=False)
        return audio


def _decode(file: bytes) -> NDArray[np.int16]:
    try:
        samples, rate = read_audio(file)
    except ValueError as error:
        raise TableError(f"a take's audio cannot be decoded: {error}") from error
    if rate != AUDIO_HZ or samples.ndim != 1:
        raise TableError(
            f"a take's audio has {rate} Hz and {samples.ndim} dimensions: expected 16 kHz mono"
        )
    return samples


def read_audio(file: bytes) -> tuple[NDArray[np.int16], int]:
    """Samples and sample rate of a FLAC file.

    Raises
    ------
    ValueError
        If it is not a FLAC file, or its header claims more than `MAX_AUDIO_S`.
    """
    import soundfile  # not needed to read images

    try:
        with soundfile.SoundFile(io.BytesIO(file)) as opened:
            n, rate = opened.frames, int(opened.samplerate)
            if n * opened.channels > MAX_AUDIO_S * AUDIO_HZ:
                # memory is allocated for the length in the header
                raise ValueError(f"the header claims {n} samples, more than {MAX_AUDIO_S} s")
            return np.asarray(opened.read(dtype="int16")), rate
    except RuntimeError as error:
        raise ValueError(str(error)) from error
