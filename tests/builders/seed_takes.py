"""Valid takes to be spoilt: a drawn, speaking head in every container and codec that matters."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from tests.builders.media_files import AUDIO_HZ, write_media
from tests.builders.takes import talking

FRAMES = 12
_X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"
VIDEOS: dict[str, str] = {
    "h264.mp4": f"{_X264} -c:a aac",
    "faststart.mp4": f"{_X264} -c:a aac -movflags +faststart",
    "fragments.mp4": f"{_X264} -g 4 -c:a aac -movflags frag_keyframe+empty_moov",
    "bframes.mp4": "-c:v libx264 -preset fast -bf 2 -pix_fmt yuv420p -c:a aac",
    "soundless.mp4": f"{_X264} -an",
    "h264.mkv": f"{_X264} -c:a aac",
    "h264.flv": f"{_X264} -c:a aac -ar 44100",
    "h264.ts": f"{_X264} -c:a aac -f mpegts",
    "hevc10_hdr.mp4": (
        "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none "
        "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -tag:v hvc1 -c:a aac"
    ),
    "vp9.webm": "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -b:v 400k -c:a libopus",
    "mpeg4.avi": "-c:v mpeg4 -q:v 4 -c:a mp3",
    "mjpeg.avi": "-c:v mjpeg -q:v 4 -pix_fmt yuvj422p -c:a pcm_s16le",
    "prores.mov": "-c:v prores_ks -profile:v 0 -c:a pcm_s24le",
    "mpeg2.mpg": "-c:v mpeg2video -q:v 4 -c:a mp2 -f vob",
    "interlaced.mpg": "-c:v mpeg2video -flags +ildct+ilme -q:v 4 -c:a mp2",
    "ffv1.mkv": "-c:v ffv1 -pix_fmt yuv420p10le -c:a flac",
    "rgb.avi": "-vf scale=160:160 -c:v rawvideo -pix_fmt bgr24 -c:a pcm_u8",
    "odd_size.mkv": "-vf scale=321:255 -c:v ffv1 -pix_fmt yuv444p -c:a libvorbis",
}
"""Containers of image and audio by name, as ffmpeg's arguments."""
AUDIO_FILES: dict[str, str] = {
    "audio.wav": "-c:a pcm_s16le",
    "float.wav": "-c:a pcm_f32le",
    "audio.m4a": "-c:a aac",
    "audio.mp3": "-c:a mp3",
    "audio.aac": "-c:a aac -f adts",
    "audio.flac": "-c:a flac",
    "audio.ogg": "-c:a libvorbis",
    "audio.opus": "-c:a libopus",
}
"""Containers of audio alone."""


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg that writes the demo's media."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *arguments]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=300)


def voice(duration_s: float) -> np.ndarray:
    """A buzz that comes and goes: audio that is no silence and no single tone."""
    t = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12))
    return (0.15 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * t))).astype(np.float32)


def make_seeds(folder: Path, only: tuple[str, ...] = ()) -> list[Path]:
    """Write the valid takes, those that are not there yet; all in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        n for n in (*VIDEOS, *AUDIO_FILES, "rotated.mp4", "uneven.mp4") if not only or n in only
    ]
    images = partial(talking, FRAMES)
    base = folder / "base.mkv"
    for name in wanted:
        path = folder / name
        if path.exists():
            continue
        if name == "rotated.mp4":
            turned = [np.ascontiguousarray(np.rot90(p, -1)) for p in images()]
            write_media(path, turned, audio=voice(0.5), rotation_deg=90)
        elif name == "uneven.mp4":
            times = [0, 40, 70, 140, 150, 230, 260, 300, 333, 390, 420, 470]
            write_media(path, images(), times_ms=times, audio=voice(0.5))
        else:
            if not base.exists():
                write_media(base, images(), audio=voice(0.5), audio_codec="pcm_s16le")
            how = VIDEOS.get(name) or f"-vn {AUDIO_FILES[name]}"
            ffmpeg("-i", base, *how.split(), path)
    return [folder / name for name in wanted]
