"""What a container declares, without decoding: enough to estimate how long extraction takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

from pipeline.errors import Reject
from pipeline.media.container import container_end_s, open_container, stream_of
from pipeline.media.file_kind import MediaSource

_USUAL_FPS = 25.0


@dataclass(frozen=True)
class Probe:
    """Length in seconds and frames to decode; audio-only files have 0 frames and sizes of 0."""

    duration_s: float
    n_frames: int
    width_px: int
    height_px: int


def probe(source: MediaSource) -> Probe:
    """Length, frames and size as the container declares them; the real values may differ slightly.

    Raises
    ------
    Reject
        unreadable, if no demuxer knows the file, or none of its streams can be decoded.
    """
    with open_container(source) as container:
        video, audio = stream_of(container, "video"), stream_of(container, "audio")
        if video is None and audio is None:
            raise Reject("unreadable", "the file has neither video nor audio")
        length_s = _length_s(container, video if video is not None else audio)
        if video is None:
            return Probe(length_s, 0, 0, 0)
        rate = float(video.average_rate or video.guessed_rate or _USUAL_FPS)
        frames = int(video.frames) or round(length_s * rate)
        return Probe(length_s, max(frames, 1), int(video.width or 0), int(video.height or 0))


def _length_s(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    end_s = container_end_s(container)
    start_s = (container.start_time or 0) / av.time_base
    return 0.0 if end_s is None else max(end_s - start_s, 0.0)
