"""Write small media files with PyAV: frames and audio at given times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

AUDIO_HZ = 48000


def write_media(
    path: Path,
    frames: Iterable[U8] = (),
    *,
    times_ms: Sequence[int] | None = None,
    fps: int = 25,
    audio: F32 | None = None,
    audio_start_s: float = 0.0,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    audio_codec: str = "aac",
    rotation_deg: int = 0,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    hole_s: tuple[float, float] | None = None,
) -> Path:
    """Write RGB frames (h, w, 3) shown at `times_ms`, else at a constant rate, and mono audio.

    The timestamps of the audio leave a gap at `hole_s` = (start, length).
    """
    images = list(frames)
    with av.open(str(path), "w", options=options or {}) as container:
        video = None
        if images:
            video = container.add_stream(codec, rate=fps)
            video.height, video.width = images[0].shape[:2]
            video.pix_fmt = pix_fmt
            video.time_base = video.codec_context.time_base = Fraction(1, 1000)
            if codec == "libx264":
                quick = {"preset": "ultrafast", "crf": "10", "bf": "0"}
                video.options = {**quick, **(codec_options or {})}
            if rotation_deg:
                video.set_display_rotation(rotation_deg)
        track = None
        if audio is not None:
            track = container.add_stream(audio_codec, rate=AUDIO_HZ, layout="mono")
        if track is not None and audio is not None:
            kind = track.codec_context.format.name
            for start in range(0, len(audio), 1024):
                piece = audio[start : start + 1024][None]
                if not kind.startswith("flt"):
                    piece = np.round(np.clip(piece, -1, 1) * 32767).astype(np.int16)
                block = av.AudioFrame.from_ndarray(piece, format=kind, layout="mono")
                block.sample_rate, block.time_base = AUDIO_HZ, Fraction(1, AUDIO_HZ)
                later_s = hole_s[1] if hole_s is not None and start >= hole_s[0] * AUDIO_HZ else 0.0
                block.pts = round((audio_start_s + later_s) * AUDIO_HZ) + start
                container.mux(track.encode(block))
            container.mux(track.encode(None))
        if video is not None:
            for i, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.time_base = Fraction(1, 1000)
                frame.pts = times_ms[i] if times_ms is not None else round(1000 * i / fps)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
    return path


def plain(n: int, height: int = 96, width: int = 128) -> list[U8]:
    """Uniform grey frames: frame i has the value 20 + 5 i."""
    return [np.full((height, width, 3), (20 + 5 * i) % 256, np.uint8) for i in range(n)]


def tone(duration_s: float, hz: float = 440.0, level: float = 0.3) -> F32:
    """A sine."""
    t = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def click(duration_s: float, at_s: float) -> F32:
    """A short burst at `at_s` in silence; a Gaussian of 2 ms on 1 kHz."""
    t = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ - at_s
    return (0.8 * np.exp(-((t / 0.002) ** 2)) * np.cos(2 * np.pi * 1000 * t)).astype(np.float32)
