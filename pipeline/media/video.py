"""Video frames with their presentation times, rotated as requested, cropped on demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.media.box import Box
from pipeline.media.container import container_end_s, decoding, open_container, stream_of
from pipeline.media.crop_scale import Cutter
from pipeline.media.file_kind import MediaSource
from pipeline.media.orientation import Orientation

_HDR_TRANSFERS = (16, 18)  # SMPTE ST 2084 and ARIB STD-B67 in ISO/IEC 23091-2
_MISSING_SHARE = 0.02
_MISSING_FRAMES = 3
_MAX_FPS = 480
"""No recording of a face has more; a file that claims a million takes days to process."""


@dataclass(frozen=True)
class Limits:
    """Limits above which a file is rejected without decoding it."""

    max_frame_px: int
    max_duration_s: float

    @property
    def max_frames(self) -> int:
        """Frames of one file, including those of zero duration."""
        return int(self.max_duration_s * _MAX_FPS)


@dataclass(frozen=True)
class Frame:
    """One frame, shown in [time_s, time_s + duration_s); converted only when it is cropped."""

    index: int
    time_s: float
    duration_s: float
    width_px: int
    height_px: int
    _coded: Any = field(repr=False)
    _cutter: Cutter = field(repr=False)

    def cut(self, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """The box as RGB (height, width, 3); black beyond the border."""
        return self._cutter.cut(self._coded, box, width, height)


@dataclass
class Video:
    """An open video stream; its counters are complete when `frames` has ended.

    `repeated` counts frames of zero duration (a later frame has the same or an earlier time),
    `corrupt` those in which the decoder concealed damage. `upright`: turn frames as the container
    requests; `turn`: clockwise quarter turns after that.
    """

    container: InputContainer
    stream: Any
    limits: Limits
    declared_frames: int
    declared_end_s: float | None
    upright: bool = True
    turn: int = 0
    times_s: list[float] = field(default_factory=list)
    end_s: float = 0.0
    repeated: int = 0
    corrupt: int = 0
    traits: set[str] = field(default_factory=set)
    width_px: int = 0
    height_px: int = 0
    _cutter: Cutter | None = None
    _fault: Reject | None = None

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of presentation.

        Raises
        ------
        Reject
            unreadable, too_large, or truncated; the last after all available frames.
        """
        before: tuple[int, float, Any] | None = None
        for index, (time_s, coded) in enumerate(self._timed()):
            if before is not None:
                yield self._frame(*before, time_s - before[1])
            before = index, time_s, coded
        if before is None:
            raise Reject("unreadable", "no frame can be decoded")
        yield self._frame(*before, self._last_duration_s(before[2]))
        self._check_whole()
        if self._fault is not None:
            raise self._fault

    def _timed(self) -> Iterator[tuple[float, Any]]:
        """(time, coded frame) with strictly increasing times."""
        last_s: float | None = None
        tick_s = Fraction(0)
        for coded in self._decoded():
            if coded.pts is not None:
                time_s = float(coded.pts * coded.time_base)
            else:
                time_s = 0.0 if last_s is None else last_s + float(tick_s or self._tick_s())
            tick_s = (coded.duration or 0) * (coded.time_base or Fraction(0))
            if len(self.times_s) + self.repeated >= self.limits.max_frames:
                raise Reject("too_large", f"more than {self.limits.max_frames} frames")
            if last_s is not None and time_s <= last_s:
                self.repeated += 1
                continue
            last_s = time_s
            self.times_s.append(time_s)
            if time_s - self.times_s[0] > self.limits.max_duration_s:
                raise Reject("too_large", f"longer than {self.limits.max_duration_s} s")
            yield time_s, coded

    def _decoded(self) -> Iterator[Any]:
        shape: tuple[int, int] | None = None
        for coded in self._unpacked():
            if shape is None:
                shape = coded.width, coded.height
                self._note(coded)
            elif shape != (coded.width, coded.height):
                raise Reject("unreadable", "the frame size changes within the stream")
            self.corrupt += bool(coded.is_corrupt)
            yield coded

    def _unpacked(self) -> Iterator[Any]:
        """The decoder's frames. Damage in the last packet is ignored: the file may end there."""
        packets = self.container.demux(self.stream)
        while True:
            with decoding(f"reading stops after {len(self.times_s)} frames"):
                packet = next(packets, None)
            if packet is None:
                return
            if self._fault is not None and packet.size:
                raise self._fault
            try:
                with decoding(f"decoding stops after {len(self.times_s)} frames"):
                    frames = packet.decode()
            except Reject as reject:
                self._fault = reject
                continue
            yield from frames

    def _note(self, coded: Any) -> None:
        if coded.width * coded.height > self.limits.max_frame_px:
            raise Reject("too_large", f"a frame of {coded.width} x {coded.height} px")
        asked = Orientation.of(coded)
        orientation = (asked if self.upright else Orientation()).turned(self.turn)
        self._cutter = Cutter(orientation)
        self.width_px, self.height_px = orientation.size(coded.width, coded.height)
        ratio = self.stream.sample_aspect_ratio
        marks = {
            "rotated": asked.is_turned,
            "interlaced": coded.interlaced_frame,
            "hdr": int(coded.color_trc) in _HDR_TRANSFERS,
            "not_square_pixels": ratio is not None and ratio not in (0, 1),
        }
        self.traits |= {name for name, present in marks.items() if present}

    def _frame(self, index: int, time_s: float, coded: Any, duration_s: float) -> Frame:
        assert self._cutter is not None
        self.end_s = time_s + duration_s
        return Frame(index, time_s, duration_s, self.width_px, self.height_px, coded, self._cutter)

    def _tick_s(self) -> Fraction:
        rate = self.stream.average_rate or self.stream.guessed_rate
        return 1 / Fraction(rate) if rate else Fraction(1, 25)

    def _last_duration_s(self, coded: Any) -> float:
        """The frame's declared duration, unless it is very different from the others."""
        own_s = float((coded.duration or 0) * (coded.time_base or 0))
        if len(self.times_s) < 2:
            return own_s or float(self._tick_s())
        usual_s = float(np.median(np.diff(self.times_s)))
        return own_s if usual_s / 4 <= own_s <= usual_s * 4 else usual_s

    def missing_frames(self) -> int:
        """Declared minus decoded frames; 0 if no number is declared."""
        if not self.declared_frames:
            return 0
        return self.declared_frames - len(self.times_s) - self.repeated

    def _check_whole(self) -> None:
        """Reject a stream that ends clearly before its declared end.

        If both count and length are declared, both must be short: an edit list hides frames that
        the count includes, and a declared length may be that of a longer track.
        """
        n = len(self.times_s)
        slack_s = max(
            _MISSING_SHARE * (self.end_s - self.times_s[0]), _MISSING_FRAMES * float(self._tick_s())
        )
        short_s = 0.0 if self.declared_end_s is None else self.declared_end_s - self.end_s
        too_few = self.missing_frames() > max(
            _MISSING_FRAMES, _MISSING_SHARE * self.declared_frames
        )
        too_early = short_s > slack_s
        knows_both = self.declared_frames > 0 and self.declared_end_s is not None
        if (too_few and too_early) if knows_both else (too_few or too_early):
            raise Reject(
                "truncated",
                f"{n} frames up to {self.end_s:.2f} s; declared are {self.declared_frames or '?'} "
                f"up to {self.declared_end_s or float('nan'):.2f} s",
            )


@contextmanager
def open_video(
    source: MediaSource, limits: Limits, *, upright: bool = True, turn: int = 0
) -> Iterator[Video | None]:
    """The video stream of a file, None if it has none.

    Parameters
    ----------
    upright
        Whether frames are turned as the container requests.
    turn
        Clockwise quarter turns after that.

    Raises
    ------
    Reject
        unreadable or too_large.
    """
    with open_container(source) as container:
        stream = stream_of(container, "video")
        if stream is None:
            yield None
            return
        # one thread per decoder: there are as many processes as cores
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        # twice, as coded frames are padded; the exact size is checked per frame
        stream.codec_context.options = {"max_pixels": str(2 * limits.max_frame_px)}
        if stream.codec_context.width * stream.codec_context.height > limits.max_frame_px:
            raise Reject("too_large", f"a frame of {stream.width} x {stream.height} px")
        end_s = _declared_end_s(container, stream)
        if end_s is not None and end_s > limits.max_duration_s + max(0.0, _start_s(stream)):
            raise Reject("too_large", f"{end_s:.0f} s long; at most {limits.max_duration_s:.0f} s")
        yield Video(container, stream, limits, stream.frames, end_s, upright, turn)


def _start_s(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _declared_end_s(container: InputContainer, stream: Any) -> float | None:
    """The declared end of the stream, or of the container if it has no other stream."""
    if stream.duration is not None:
        return _start_s(stream) + float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag is not None:  # Matroska declares each stream's end in this tag
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return container_end_s(container) if len(container.streams) == 1 else None
