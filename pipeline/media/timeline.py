"""Input of alignment from one file: its audio and the instants of its frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.media.audio import Audio, decode_audio
from pipeline.media.video import Limits, open_video

_LIMITS = Limits(max_frame_px=1 << 26, max_duration_s=4 * 3600.0)


class Timeline(NamedTuple):
    """Audio, and the middle of each frame's time (n,) on the same clock; None without video."""

    audio: Audio
    frames_s: NDArray[np.float64] | None


def read_timeline(
    path: Path, rate_hz: int = 16000, check: Callable[[Audio], None] | None = None
) -> Timeline:
    """The audio of any media file and the times of its frames.

    Parameters
    ----------
    check
        Called with the audio before the video is decoded; it may raise.

    Raises
    ------
    Reject
        unreadable, truncated, too_large, no_audio.
    """
    audio = decode_audio(path, rate_hz, _LIMITS.max_duration_s)
    if audio is None:
        raise Reject("no_audio", "the file has no audio")
    if check is not None:
        check(audio)
    with open_video(path, _LIMITS) as video:
        if video is None:
            return Timeline(audio, None)
        instants = [frame.time_s + frame.duration_s / 2 for frame in video.frames()]
    return Timeline(audio, np.asarray(instants))
