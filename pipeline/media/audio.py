"""Decode audio to one channel at one rate, with its start time on the container's clock."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.media.container import decoding, open_container, stream_of
from pipeline.media.file_kind import MediaSource
from pipeline.media.resampling import BLOCK, Kept, Samples

_GAP_S = 0.02  # timestamps of some containers are rounded to a millisecond; packets are 21 to 32 ms
_PADDING_SAMPLES = 4096  # of the last packet: AAC has 1024 per packet, HE-AAC 2048
_MOST_CHANNELS = 32  # more are arrays of microphones, or a header that lies
_MISSING_SHARE = 0.02
_MISSING_S = 0.25
_RATES_HZ = (2000, 768_000)
_DYNAMIC_DB = 10.0
_MOST_RANGE_DB = 60.0
_LOUDEST = 1e5
"""Of float samples, where 1 is full scale; some programs write 16-bit numbers as floats."""


@dataclass(frozen=True)
class Audio:
    """One channel of audio; sample 0 is at `start_s` on the container's clock.

    `peak` is the largest value before resampling (1 is full scale), `clipped` the share of samples
    at full scale, `gaps` the number of gaps and overlaps in the timestamps, `gap_s` the total
    length of the gaps. `covariance` (channels, channels) is that of the averaged channels, None for
    a single one.
    """

    samples: Samples
    sample_rate_hz: int
    start_s: float
    peak: float
    clipped: float
    gaps: int
    gap_s: float
    covariance: NDArray[np.float64] | None = None

    @property
    def end_s(self) -> float:
        """The end of the last sample."""
        return self.start_s + len(self.samples) / self.sample_rate_hz

    def later(self, shift_s: float) -> Audio:
        """The same audio, started later."""
        return replace(self, start_s=self.start_s + shift_s)

    @property
    def peak_db(self) -> float:
        """The peak in dB of full scale; minus infinity for digital silence."""
        return 20 * float(np.log10(self.peak)) if self.peak > 0 else -np.inf

    @cached_property
    def levels_db(self) -> NDArray[np.float64]:
        """Root mean squares of consecutive windows of 25 ms, in dB of full scale; at least -200."""
        n = min(len(self.samples), max(1, self.sample_rate_hz // 40))
        pieces = self.samples[: len(self.samples) // n * n].reshape(-1, n)
        power = np.mean(np.square(pieces, dtype=np.float64), axis=1)
        return np.asarray(10 * np.log10(np.maximum(power, 1e-20)), dtype=np.float64)

    @property
    def range_db(self) -> float:
        """Between the 5th and the 95th percentile of `levels_db`; at most 60 dB."""
        quiet_db, loud_db = np.percentile(self.levels_db, [5, 95])
        return float(min(loud_db - quiet_db, _MOST_RANGE_DB))

    @property
    def level_db(self) -> float:
        """The level of the loud parts: the 95th percentile of `levels_db`."""
        return float(np.percentile(self.levels_db, 95))

    def speech_share(self, start_s: float, end_s: float) -> float:
        """The share (0 to 1) of a time on the container's clock in which somebody speaks.

        A window is speech above the midpoint of the 5th and 95th percentiles of `levels_db`;
        all windows are where the two differ by less than 10 dB.
        """
        quiet_db, loud_db = np.percentile(self.levels_db, [5, 95])
        threshold_db = (quiet_db + loud_db) / 2 if loud_db - quiet_db > _DYNAMIC_DB else -np.inf
        window_s = len(self.samples) / self.sample_rate_hz / len(self.levels_db)
        first, last = ((time_s - self.start_s) / window_s for time_s in (start_s, end_s))
        n = max(1, round(last - first))
        part = self.levels_db[max(0, round(first)) : max(0, round(last))]
        return float(np.count_nonzero(part > threshold_db)) / n


def decode_audio(
    source: MediaSource,
    rate_hz: int,
    max_duration_s: float,
    *,
    fill_gaps: bool = True,
    track: int | None = None,
    channel: int | None = None,
) -> Audio | None:
    """The audio of a file, None if it has none.

    Encoder padding at the start (AAC priming) and parts hidden by an edit list are left out, as
    players do. Gaps between timestamps are filled with silence and overlaps are cut, unless
    `fill_gaps` is off: then the pieces are joined end to end.

    Parameters
    ----------
    track
        The index of the audio stream in the container; the one that players use if None.
    channel
        The channel to decode; the mean of all if None.

    Raises
    ------
    Reject
        unreadable, truncated, too_large.
    """
    with open_container(source, audio_only=True) as container:
        stream = stream_of(container, "audio") if track is None else container.streams[track]
        if stream is None:
            return None
        laid = _Track(stream, max_duration_s, fill_gaps, channel)
        kept = Kept(rate_hz, _PADDING_SAMPLES)
        for piece in laid.pieces(container):
            kept.take(piece, laid.rate_hz)
        if not laid.written:
            return None
        laid.check_whole()
        # inside: a stream of a closed container reads freed memory
        declared = laid.declared_samples()
    samples = kept.whole(laid.written if declared is None else declared)
    if not kept.heard:
        return None
    if kept.peak > _LOUDEST:
        raise Reject("unreadable", f"samples up to {kept.peak:.3g}, where 1 is full scale")
    return Audio(
        samples, rate_hz, laid.start_s, kept.peak, kept.full / kept.heard, laid.gaps,
        laid.gap_samples / laid.rate_hz, laid.covariance,
    )  # fmt: skip


def write_flac(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write one channel as 16-bit FLAC."""
    content = io.BytesIO()  # the library does not report a full disk as such
    soundfile.write(content, samples, rate_hz, format="FLAC", subtype="PCM_16")
    path.write_bytes(content.getbuffer())


def read_flac(path: Path) -> Samples:
    """The samples of a file written by `write_flac`."""
    samples, _ = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32)


class _Track:
    """One audio stream without gaps from its first timestamp."""

    def __init__(
        self, stream: Any, max_duration_s: float, fill_gaps: bool, channel: int | None
    ) -> None:
        self.stream = stream
        self.channel = channel
        self.covariance: NDArray[np.float64] | None = None
        self.max_duration_s = max_duration_s
        self.fill_gaps = fill_gaps
        self.rate_hz = 0
        self.start_s = 0.0
        self.gaps = 0
        self.gap_samples = 0
        self.written = 0
        self._passed = 0  # on the clock of the timestamps; _written where gaps are filled

    def pieces(self, container: Any) -> Iterator[Samples]:
        """The stream's samples, native rate, with silence in its gaps."""
        decoded = container.decode(self.stream)
        while True:
            with decoding(f"audio stops after {self.written} samples"):
                frame = next(decoded, None)
            if frame is None:
                return
            if self.written == 0:
                self.rate_hz = frame.sample_rate
                self.start_s = self._time_s(frame)
                if not _RATES_HZ[0] <= self.rate_hz <= _RATES_HZ[1]:
                    raise Reject("unreadable", f"audio of {self.rate_hz} samples per second")
            if frame.sample_rate != self.rate_hz:
                raise Reject("unreadable", "the sample rate changes within the stream")
            for piece in self._placed(frame):
                self.written += len(piece)
                self._passed += len(piece)
                if self.written > self.max_duration_s * self.rate_hz:
                    raise Reject("too_large", f"audio longer than {self.max_duration_s:.0f} s")
                yield piece

    def _placed(self, frame: Any) -> Iterator[Samples]:
        piece = self._one_channel(frame)
        ahead = (self._time_s(frame) - self.start_s) * self.rate_hz - self._passed
        if ahead > self.max_duration_s * self.rate_hz:
            raise Reject("too_large", f"a gap of {ahead / self.rate_hz:.0f} s in the audio")
        if abs(ahead) > _GAP_S * self.rate_hz:
            self.gaps += 1
            self.gap_samples += max(0, round(ahead))
            if not self.fill_gaps:
                self._passed += round(ahead)
            elif ahead > 0:
                for left in range(round(ahead), 0, -BLOCK):
                    yield np.zeros(min(left, BLOCK), np.float32)
            else:
                piece = piece[round(-ahead) :]
        if len(piece):
            yield piece

    def _one_channel(self, frame: Any) -> Samples:
        """One channel (n,), or the mean of all, whose covariance is added up."""
        channels = _channels(frame)
        if self.channel is not None:
            return np.asarray(channels[min(self.channel, len(channels) - 1)], dtype=np.float32)
        if 1 < len(channels) <= _MOST_CHANNELS:
            values = channels.astype(np.float64)
            covariance = values @ values.T
            if self.covariance is not None and self.covariance.shape == covariance.shape:
                covariance += self.covariance
            self.covariance = covariance
        return np.asarray(channels.mean(axis=0), dtype=np.float32)

    def _time_s(self, frame: Any) -> float:
        if frame.pts is None:
            return self.start_s + self._passed / self.rate_hz
        return float(frame.pts * frame.time_base)

    def declared_samples(self) -> int | None:
        """Samples before the padding of the last packet; None if no length is declared."""
        if not self.stream.duration:
            return None
        declared = round(self.stream.duration * self.stream.time_base * self.rate_hz)
        padding = self._passed - declared
        return max(0, self.written - padding) if 0 <= padding < _PADDING_SAMPLES else None

    def check_whole(self) -> None:
        """Reject a stream that ends clearly before its declared end."""
        if not self.stream.duration:
            return
        declared_s = float(self.stream.duration * self.stream.time_base)
        got_s = self._passed / self.rate_hz
        if declared_s - got_s > max(_MISSING_S, _MISSING_SHARE * declared_s):
            raise Reject(
                "truncated", f"{got_s:.2f} s of audio where {declared_s:.2f} s are declared"
            )


def _channels(frame: Any) -> Samples:
    """The samples of a frame (channels, n), full scale 1."""
    with decoding("the audio cannot be converted"):
        values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        scaled = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        scaled = values.astype(np.float32) / -float(np.iinfo(values.dtype).min)
    else:
        scaled = values.astype(np.float32, copy=False)
        if not np.isfinite(scaled.sum()):
            scaled = np.nan_to_num(scaled, posinf=0.0, neginf=0.0)
    return np.asarray(scaled, dtype=np.float32)
