"""Sound: decoded to one channel at one rate, with its true place on the container's clock."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from pipeline.errors import Reject
from pipeline.media.container import MediaSource, decoding, open_container, stream_of
from pipeline.media.resampling import BLOCK, Kept, Samples

_GAP_S = 0.02  # timestamps of some containers are rounded to a millisecond; packets are 21 to 32 ms
_PADDING_SAMPLES = 4096  # of the last packet: AAC has 1024 a packet, HE-AAC 2048
_MISSING_SHARE = 0.02
_MISSING_S = 0.25
_RATES_HZ = (2000, 768_000)
_LOUDEST = 1e5
"""Of float samples, where 1 is full scale; some programs write 16-bit numbers as floats."""


@dataclass(frozen=True)
class Sound:
    """One channel of sound; sample 0 is at `start_s` on the container's clock.

    `peak` is the largest value before resampling (1 is full scale), `clipped` the share of samples
    at full scale, `gaps` how often timestamps left a hole or overlapped, `gap_s` all holes' time.
    """

    samples: Samples
    sample_rate_hz: int
    start_s: float
    peak: float
    clipped: float
    gaps: int
    gap_s: float

    @property
    def end_s(self) -> float:
        """Where the last sample ends."""
        return self.start_s + len(self.samples) / self.sample_rate_hz

    def later(self, shift_s: float) -> Sound:
        """The same sound, begun later."""
        return replace(self, start_s=self.start_s + shift_s)

    @property
    def peak_db(self) -> float:
        """The peak in dB of full scale; minus infinity for digital silence."""
        return 20 * float(np.log10(self.peak)) if self.peak > 0 else -np.inf

    @property
    def level_db(self) -> float:
        """How loud the loud parts are: the 95th percentile of 25 ms root mean squares, in dB."""
        n = min(len(self.samples), max(1, self.sample_rate_hz // 40))
        pieces = self.samples[: len(self.samples) // n * n].reshape(-1, n)
        loud = float(np.percentile(np.mean(np.square(pieces), axis=1), 95))
        return 10 * float(np.log10(loud)) if loud > 0 else -np.inf


def decode_sound(
    source: MediaSource, rate_hz: int, max_duration_s: float, *, fill_gaps: bool = True
) -> Sound | None:
    """The sound of a file, None where it has none.

    Channels are averaged. What an encoder put before the beginning (AAC priming) and what an edit
    list hides is left out, as players do. Holes between timestamps become silence and what overlaps
    is cut, unless `fill_gaps` is off: then the pieces are laid end to end.

    Raises
    ------
    Reject
        unreadable, truncated, too_large.
    """
    with open_container(source, for_sound=True) as container:
        stream = stream_of(container, "audio")
        if stream is None:
            return None
        track, kept = _Track(stream, max_duration_s, fill_gaps), Kept(rate_hz, _PADDING_SAMPLES)
        for piece in track.pieces(container):
            kept.take(piece, track.rate_hz)
        if not track.written:
            return None
        track.check_whole()
        # inside: a stream of a closed container reads freed memory
        declared = track.declared_samples()
    samples = kept.whole(track.written if declared is None else declared)
    if not kept.heard:
        return None
    if kept.peak > _LOUDEST:
        raise Reject("unreadable", f"samples up to {kept.peak:.3g}, where 1 is full scale")
    return Sound(
        samples, rate_hz, track.start_s, kept.peak, kept.full / kept.heard, track.gaps,
        track.gap_samples / track.rate_hz,
    )  # fmt: skip


def write_flac(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write one channel as 16-bit FLAC."""
    content = io.BytesIO()  # the library does not say of a full disk that it is full
    soundfile.write(content, samples, rate_hz, format="FLAC", subtype="PCM_16")
    path.write_bytes(content.getbuffer())


def read_flac(path: Path) -> Samples:
    """The samples of a file that `write_flac` wrote."""
    samples, _ = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32)


class _Track:
    """One audio stream laid out without holes from its first timestamp."""

    def __init__(self, stream: Any, max_duration_s: float, fill_gaps: bool) -> None:
        self.stream = stream
        self.max_duration_s = max_duration_s
        self.fill_gaps = fill_gaps
        self.rate_hz = 0
        self.start_s = 0.0
        self.gaps = 0
        self.gap_samples = 0
        self.written = 0
        self._passed = 0  # on the clock of the timestamps; _written where gaps are filled

    def pieces(self, container: Any) -> Iterator[Samples]:
        """The stream's samples, native rate, with silence in its holes."""
        decoded = container.decode(self.stream)
        while True:
            with decoding(f"sound stops after {self.written} samples"):
                frame = next(decoded, None)
            if frame is None:
                return
            if self.written == 0:
                self.rate_hz = frame.sample_rate
                self.start_s = self._time_s(frame)
                if not _RATES_HZ[0] <= self.rate_hz <= _RATES_HZ[1]:
                    raise Reject("unreadable", f"sound of {self.rate_hz} samples a second")
            if frame.sample_rate != self.rate_hz:
                raise Reject("unreadable", "the sample rate changes within the stream")
            for piece in self._placed(frame):
                self.written += len(piece)
                self._passed += len(piece)
                if self.written > self.max_duration_s * self.rate_hz:
                    raise Reject("too_large", f"sound longer than {self.max_duration_s:.0f} s")
                yield piece

    def _placed(self, frame: Any) -> Iterator[Samples]:
        piece = _one_channel(frame)
        ahead = (self._time_s(frame) - self.start_s) * self.rate_hz - self._passed
        if ahead > self.max_duration_s * self.rate_hz:
            raise Reject("too_large", f"a hole of {ahead / self.rate_hz:.0f} s in the sound")
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

    def _time_s(self, frame: Any) -> float:
        if frame.pts is None:
            return self.start_s + self._passed / self.rate_hz
        return float(frame.pts * frame.time_base)

    def declared_samples(self) -> int | None:
        """Where the padding of the last packet begins; None where nothing is declared."""
        if not self.stream.duration:
            return None
        declared = round(self.stream.duration * self.stream.time_base * self.rate_hz)
        padding = self._passed - declared
        return max(0, self.written - padding) if 0 <= padding < _PADDING_SAMPLES else None

    def check_whole(self) -> None:
        """Refuse a stream that ends clearly before its declared end."""
        if not self.stream.duration:
            return
        declared_s = float(self.stream.duration * self.stream.time_base)
        got_s = self._passed / self.rate_hz
        if declared_s - got_s > max(_MISSING_S, _MISSING_SHARE * declared_s):
            raise Reject(
                "truncated", f"{got_s:.2f} s of sound where {declared_s:.2f} s are declared"
            )


def _one_channel(frame: Any) -> Samples:
    """The mean of the channels (n,), full scale 1."""
    with decoding("the sound cannot be converted"):
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
    return np.asarray(scaled.mean(axis=0), dtype=np.float32)
