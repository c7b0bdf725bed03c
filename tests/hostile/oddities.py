"""Files made by hand to hurt: each with the ends that are allowed to it."""

from __future__ import annotations

import io
import struct
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.builders.media_files import plain, tone, write_media
from tests.builders.seed_takes import ffmpeg, voice
from tests.builders.takes import talking

Maker = Callable[[Path, Path], None]
"""(where to write, folder of the valid takes)."""


def _text(content: str | bytes) -> Maker:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda path, seeds: path.write_bytes(raw) and None


def _made(arguments: str) -> Maker:
    """What ffmpeg makes of its own sources; the audio is a tone of the same length."""

    def make(path: Path, seeds: Path) -> None:
        ffmpeg("-f", "lavfi", *arguments.split(), path)

    return make


def _pattern(arguments: str) -> Maker:
    """A test pattern with a tone, in a pixel format and codec."""
    return _made(f"-t 0.6 -i testsrc=s=128x96 -f lavfi -t 0.6 -i sine {arguments}")


def _renamed(name: str) -> Maker:
    return lambda path, seeds: path.write_bytes((seeds / name).read_bytes()) and None


def _playlist(content: str) -> Maker:
    """A script that names a good take beside it, or a port of this machine."""

    def make(path: Path, seeds: Path) -> None:
        other = path.parent / "beside.ts"
        other.write_bytes((seeds / "h264.ts").read_bytes())
        path.write_text(content.format(beside=other.name, full=other))

    return make


def _wav(rate: int, channels: int, bits: int, n_bytes: int = 40000) -> Maker:
    """A WAV of which the head says anything."""

    def make(path: Path, seeds: Path) -> None:
        data = np.random.default_rng(0).bytes(n_bytes)
        block = max(1, channels * bits // 8) & 0xFFFF
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, channels, rate,
            (rate * block) & 0xFFFFFFFF, block, bits, b"data", n_bytes,
        )  # fmt: skip
        path.write_bytes(head + data)

    return make


def _frames(n: int, shape: tuple[int, int], codec: str = "ffv1", **more: object) -> Maker:
    def make(path: Path, seeds: Path) -> None:
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 255, (*shape, 3), np.uint8) for _ in range(n)]
        audio = tone(max(0.5, n / 25))
        write_media(path, images, codec=codec, audio=audio, **more)  # type: ignore[arg-type]

    return make


def _png(side: int) -> Maker:
    """A video of one PNG that unpacks into gigabytes."""

    def make(path: Path, seeds: Path) -> None:
        Image.MAX_IMAGE_PIXELS = None
        stream = io.BytesIO()
        Image.new("L", (side, side)).save(stream, "PNG", optimize=False)
        small = path.with_suffix(".base.avi")
        write_media(small, plain(13, 256, 256), codec="png", pix_fmt="rgb24", audio=tone(0.5))
        raw = small.read_bytes()
        small.unlink()
        start = raw.index(b"\x89PNG")
        end = raw.index(b"IEND") + 8
        path.write_bytes(raw[:start] + stream.getvalue()[: end - start] + raw[end:])

    return make


def _rates(path: Path, seeds: Path) -> None:
    """Frames a microsecond apart, as an AVI of a million frames a second says."""
    raw = bytearray((seeds / "mjpeg.avi").read_bytes())
    at = raw.index(b"avih") + 8
    struct.pack_into("<I", raw, at, 1)
    at = raw.index(b"vids") + 20
    struct.pack_into("<II", raw, at, 1, 1_000_000)
    path.write_bytes(raw)


def _zip(path: Path, seeds: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(seeds / "h264.mp4", "take.mp4")


def _loud(path: Path, seeds: Path) -> None:
    """Float samples of 1e38, infinite ones and such as are no numbers."""
    raw = bytearray((seeds / "float.wav").read_bytes())
    values = np.frombuffer(bytes(raw[200:40200]), "<f4").copy()
    values[::7], values[::11], values[::13] = 3e38, np.inf, np.nan
    raw[200:40200] = values.tobytes()
    path.write_bytes(raw)


def _two_tracks(path: Path, seeds: Path) -> None:
    """Two images and two recordings in one file."""
    a, b = seeds / "h264.mp4", seeds / "mpeg4.avi"
    ffmpeg("-i", a, "-i", b, "-map", "0", "-map", "1", "-c", "copy", path)


def _silent_wave(path: Path, seeds: Path) -> None:
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16000)
        audio.writeframes(bytes(32000))


def _still(seconds: float, fps: int) -> Maker:
    """One drawn head, standing still for long."""

    def make(path: Path, seeds: Path) -> None:
        Image.fromarray(talking(1)[0]).save(path.with_suffix(".png"))
        ffmpeg(
            "-loop", "1", "-framerate", str(fps), "-t", str(seconds), "-i",
            path.with_suffix(".png"), "-f", "lavfi", "-t", str(seconds), "-i",
            "sine=frequency=300:sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast",
            "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k", path,
        )  # fmt: skip

    return make


def _nodding(seconds: float, fps: int) -> Maker:
    """A drawn head that nods and speaks, over and over: a valid take of any length."""

    def make(path: Path, seeds: Path) -> None:
        short = path.with_suffix(".short.mkv")
        images = talking(24)
        write_media(short, images, times_ms=[1000 * k // fps for k in range(len(images))])
        ffmpeg(
            "-stream_loop", "-1", "-i", short, "-f", "lavfi", "-i",
            "sine=frequency=300:sample_rate=48000", "-t", str(seconds), "-r", str(fps), "-c:v",
            "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k",
            path,
        )  # fmt: skip
        short.unlink()

    return make


def _audio_s(seconds: float) -> Maker:
    return _made(f"-t {seconds} -i sine=frequency=300:sample_rate=48000 -ac 1 -b:a 24k -c:a mp3")


def _far(path: Path, seeds: Path) -> None:
    """A frame that is shown a thousand hours after the others."""
    times = [*range(0, 400, 40), 3_600_000_000]
    write_media(path, talking(11), times_ms=times, audio=voice(0.5))


_REFUSED = {"unreadable"}
ODD: dict[str, tuple[Maker, set[str]]] = {
    "empty.mp4": (_text(""), _REFUSED),
    "one_byte.wav": (_text("R"), _REFUSED),
    "text.mp4": (_text("not a film " * 999), _REFUSED),
    "colours.mp4": (_text("\x1b[31mred\x1b[0m\n" * 999), _REFUSED),
    "page.mp4": (_text("<!DOCTYPE html><html><script>alert(1)</script>"), _REFUSED),
    "shell.mp4": (_text("#!/bin/sh\ntouch mark\n"), _REFUSED),
    "zip.mp4": (_zip, _REFUSED),
    "subtitles.mp4": (_text("1\n00:00:00,000 --> 00:00:05,000\nhello\n"), _REFUSED),
    "hls.mp4": (_playlist("#EXTM3U\n#EXTINF:1,\n{beside}\n#EXT-X-ENDLIST\n"), _REFUSED),
    "hls_url.mp4": (_playlist("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x\n"), _REFUSED),
    "hls_full.m4a": (_playlist("#EXTM3U\n#EXTINF:1,\nfile://{full}\n"), _REFUSED),
    "concat.mp4": (_playlist("ffconcat version 1.0\nfile {beside}\n"), _REFUSED),
    "concat.wav": (_playlist("ffconcat version 1.0\nfile {beside}\n"), _REFUSED),
    "session.mp4": (
        _playlist("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                  "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"), _REFUSED,
    ),
    "dash.mp4": (
        _playlist('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
                  "<AdaptationSet><Representation><BaseURL>{beside}</BaseURL></Representation>"
                  "</AdaptationSet></Period></MPD>"), _REFUSED,
    ),
    "lyrics.mp3": (_playlist("[Reference]\nRef1=http://127.0.0.1:9/x\n"), _REFUSED),
    "wav.mp4": (_renamed("audio.wav"), {"output"}),
    "video.wav": (_renamed("h264.mp4"), {"output"}),
    "avi.mp4": (_renamed("mpeg4.avi"), {"output"}),
    "mp4.mkv": (_renamed("h264.mp4"), {"output"}),
    "soundless.mp4": (_renamed("soundless.mp4"), {"no_audio"}),
    "pictureless.mp4": (_renamed("audio.m4a"), {"output"}),
    "silent.wav": (_silent_wave, {"silent"}),
    "loud.wav": (_loud, _REFUSED),
    "rate_0.wav": (_wav(0, 1, 16), {"unreadable", "no_audio"}),
    "rate_1.wav": (_wav(1, 1, 16), _REFUSED),
    "rate_100.wav": (_wav(100, 1, 16), _REFUSED),
    "rate_2g.wav": (_wav(0x7FFFFFFF, 1, 16), _REFUSED),
    "rate_4g.wav": (_wav(0xFFFFFFFF, 1, 16), _REFUSED),
    "channels_0.wav": (_wav(16000, 0, 16), {"unreadable", "no_audio"}),
    "channels_200.wav": (_wav(16000, 200, 16), {"output", "unreadable", "few_frames"}),
    "channels_65535.wav": (_wav(16000, 65535, 16), {"unreadable", "no_audio"}),
    "bits_0.wav": (_wav(16000, 1, 0), {"unreadable", "no_audio"}),
    "bits_64.wav": (_wav(16000, 1, 64), {"unreadable", "no_audio", "output"}),
    "one_frame.mkv": (_frames(1, (64, 64)), {"no_face", "few_frames"}),
    "dot.avi": (_frames(13, (1, 1), "png", pix_fmt="rgb24"), {"no_face"}),
    "three.avi": (_frames(13, (3, 3), "png", pix_fmt="rgb24"), {"no_face"}),
    "wide.avi": (_frames(13, (1, 8191), "png", pix_fmt="rgb24"), {"no_face"}),
    "tall.avi": (_frames(13, (8191, 1), "png", pix_fmt="rgb24"), {"no_face"}),
    "wide_two.avi": (_frames(3, (2, 16000), "png", pix_fmt="rgb24"), {"no_face"}),
    "million_fps.avi": (_rates, {"few_frames", "no_face", "output", "unreadable"}),
    "far_frame.mkv": (_far, {"too_large"}),
    "png_bomb.avi": (_png(12_000), {"unreadable"}),
    "two_tracks.mkv": (_two_tracks, {"output"}),
    "palette.avi": (
        _pattern("-pix_fmt pal8 -c:v png -c:a pcm_s16le"),
        {"no_face"},
    ),
    "one_bit.avi": (
        _pattern("-pix_fmt monob -c:v png -c:a pcm_s16le"),
        {"no_face"},
    ),
    "sixteen_bit.avi": (
        _pattern("-pix_fmt rgba64be -c:v png -c:a pcm_s16le"), {"no_face"},
    ),
    "float_image.mkv": (
        _pattern("-pix_fmt gbrp16le -c:v ffv1 -c:a flac"), {"no_face"},
    ),
    "411.mkv": (
        _pattern("-pix_fmt yuv411p -c:v ffv1 -c:a flac"), {"no_face"},
    ),
    "hlg.mp4": (
        _pattern(
            "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none -c:a aac "
            "-color_trc arib-std-b67 -color_primaries bt2020 -colorspace bt2020nc"
        ), {"no_face"},
    ),
    "slow_clock.mkv": (
        _made("-t 100 -r 1/10 -i testsrc=s=128x96:r=1/10 -f lavfi -t 100 -i sine -c:v libx264 "
              "-c:a aac"), {"no_face"},
    ),
    "fast_clock.mp4": (
        _made("-t 0.6 -i testsrc=s=128x96:r=1000 -f lavfi -t 0.6 -i sine -c:v libx264 "
              "-preset ultrafast -c:a aac"), {"no_face"},
    ),
}  # fmt: skip
"""Name, how it is made, and which ends are right."""
LONG: dict[str, tuple[Maker, set[str]]] = {
    "hours_2.mp3": (_audio_s(7190), {"output"}),
    "hours_3.mp3": (_audio_s(10800), {"too_large"}),
    "hours_2.mp4": (_nodding(7190, 1), {"output"}),
    "hours_2_still.mp4": (_still(7190, 1), {"rejected_finding"}),
    "hours_3.mp4": (_still(10800, 1), {"too_large"}),
    "frame_8k.mp4": (
        _made("-t 0.6 -i testsrc=s=7680x4320 -f lavfi -t 0.6 -i sine -c:v libx264 "
              "-preset ultrafast -c:a aac"), {"no_face"},
    ),
    "frame_16k.avi": (
        _made("-t 0.08 -i color=s=16000x16000 -f lavfi -t 0.6 -i sine -c:v mjpeg -c:a pcm_s16le"),
        {"too_large", "unreadable"},
    ),
}  # fmt: skip
"""The same, for minutes of work."""


def make(
    folder: Path, seeds: Path, which: dict[str, tuple[Maker, set[str]]]
) -> dict[str, set[str]]:
    """Write them, each into a folder of its own: path -> allowed ends."""
    found = {}
    for name, (maker, allowed) in which.items():
        path = folder / name.replace(".", "_") / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            maker(path, seeds)
        found[str(path)] = allowed
    return found
