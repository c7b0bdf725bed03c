"""For every finding, a small take that has it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import soxr
from av.stream import Disposition
from numpy.typing import NDArray

from tests.builders.drawn_faces import SIZE_PX, drawn, rgb
from tests.builders.media_files import AUDIO_HZ, tone, write_media
from tests.builders.takes import in_scene, talking

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
OFFSET_S = 0.12
DRIFT = 6e-4
DRIFT_LENGTH_S = 20.0


class Made(NamedTuple):
    """The take's file and its separate audio file, if it has one."""

    path: Path
    audio: Path | None = None


@cache
def heads(which: int = 0) -> tuple[U8, ...]:
    """Twelve frames of a talking head."""
    return tuple(talking(12, which))


@cache
def steady(n: int, first: int = 0) -> tuple[U8, ...]:
    """A head that turns steadily by 16 degrees a second, from a given frame."""
    return tuple(rgb(drawn(yaw_deg=0.64 * (first + i), frame=first + i)) for i in range(n))


def rolled_over(path: Path) -> Made:
    """A take whose head rolls by 150 degrees: the mesh follows, the detector does not."""
    rolls_deg = [min(150.0, 7.5 * max(0, i - 3)) for i in range(55)]
    room = ((0, 320), (160, 160), (0, 0))
    frames = [np.pad(rgb(drawn(roll_deg=roll)), room) for roll in rolls_deg[:24]]
    return plain(path, [*frames, *[frames[-1]] * (len(rolls_deg) - len(frames))])


def empty_room(n: int) -> list[U8]:
    """An empty room."""
    return [np.full((SIZE_PX, SIZE_PX, 3), 100, np.uint8)] * n


def babble(duration_s: float, seed: int = 0, cut_hz: float = 8000.0) -> F32:
    """Noise whose level varies like that of speech."""
    n = round(duration_s * AUDIO_HZ)
    noise = np.random.default_rng(seed).normal(0, 1, n)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(n, 1 / AUDIO_HZ) > cut_hz] = 0
    low = np.fft.irfft(spectrum, n)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(n) / AUDIO_HZ)
    return (0.1 * swell * low / low.std()).astype(np.float32)


def plain(path: Path, frames: object = None, **given: object) -> Made:
    """A take without findings, except for what is given."""
    images = heads() if frames is None else frames
    values = {"audio": tone(len(images) / 25)} | given  # type: ignore[arg-type]
    return Made(write_media(path, images, **values))  # type: ignore[arg-type]


def coded(path: Path, **options: str) -> Made:
    """A take encoded with options of x264, by their own names."""
    text = ":".join(f"{key}={value}" for key, value in options.items())
    return plain(path, codec_options={"x264-params": text})


def with_file(path: Path, file: F32, track: F32 | None = None) -> Made:
    """A take with an audio track and a separate audio file."""
    made = plain(path, audio=babble(3.0) if track is None else track)
    audio = write_media(path.with_suffix(".wav"), audio=file, audio_codec="pcm_s16le")
    return Made(made.path, audio)


def repeated(path: Path) -> Made:
    """A take whose fifth frame has the time of the fourth, which encoders refuse to write."""
    regular = path.with_name(f"regular_{path.stem}.mkv")
    source = plain(regular, codec="mjpeg", pix_fmt="yuvj420p").path
    target = path.with_suffix(".mkv")
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                if packet.stream.type == "video" and packet.pts * packet.time_base == Fraction(
                    4, 25
                ):
                    packet.pts = packet.dts = packet.pts - round(0.04 / packet.time_base)
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return Made(target)


def declaring(path: Path, more: int) -> Made:
    """A take whose header declares `more` frames than it has."""
    target, audio = path.with_suffix(".avi"), path.with_suffix(".wav")
    with av.open(str(target), "w") as container:
        video = container.add_stream("mjpeg", rate=25)
        video.width = video.height = SIZE_PX
        video.pix_fmt = "yuvj420p"
        for i, image in enumerate(heads()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    content = bytearray(target.read_bytes())
    length = content.index(b"strh") + 8 + 32  # AVISTREAMHEADER.dwLength
    struct.pack_into("<I", content, length, 12 + more)
    target.write_bytes(content)
    return Made(target, write_media(audio, audio=tone(0.48), audio_codec="pcm_s16le"))


def damaged(path: Path) -> Made:
    """A take with a few bytes of one frame lost."""
    made = plain(path, codec_options={"g": "50"})
    content = bytearray(made.path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    made.path.write_bytes(content)
    return made


def spoilt_file(path: Path) -> Made:
    """A take whose audio file is a text file."""
    made = plain(path)
    path.with_suffix(".wav").write_text("no audio")
    return Made(made.path, path.with_suffix(".wav"))


def zoomed(path: Path) -> Made:
    """A head small in most frames and three times as large in some."""
    small = [cv2.resize(frame, (SIZE_PX // 2, SIZE_PX // 2)) for frame in heads()]
    large = [cv2.resize(frame, (3 * SIZE_PX // 2, 3 * SIZE_PX // 2)) for frame in heads()[:4]]
    frames = [np.full((3 * SIZE_PX // 2, 3 * SIZE_PX // 2, 3), 100, np.uint8) for _ in range(16)]
    for frame, head in zip(frames, [*small, *large], strict=True):
        frame[-head.shape[0] :, : head.shape[1]] = head
    return plain(path, frames)


def turned(path: Path) -> Made:
    """A head on its side, and metadata that request a rotation."""
    return plain(path, [np.ascontiguousarray(np.rot90(f, -1)) for f in heads()], rotation_deg=90)


def jumping(path: Path) -> Made:
    """A head that is half a face to the side from one frame to the next."""
    frames = [*in_scene(list(heads())[:6], x=100), *in_scene(list(heads())[6:], x=150)]
    return plain(path, frames)


def covered(path: Path) -> Made:
    """A dark ball in front of the mouth for six frames."""
    frames = [frame.copy() for frame in heads() * 2]
    x, y = drawn().landmarks_px[17]  # below the lower lip
    for frame in frames[12:18]:
        cv2.circle(frame, (round(x), round(y)), SIZE_PX // 10, (40, 40, 45), -1)
    return plain(path, frames)


def passing(path: Path) -> Made:
    """A second head in the first frames alone."""
    one, other = list(heads()) * 5, [*heads(1)[:6], *empty_room(54)]
    return plain(path, [np.hstack(pair) for pair in zip(one, other, strict=True)])


def crowd(path: Path) -> Made:
    """Two heads, the first a little larger."""
    pairs = [np.hstack(pair) for pair in zip(heads(), heads(1), strict=True)]
    for frame in pairs:
        frame[: SIZE_PX // 12, SIZE_PX:] = 100
    return plain(path, pairs)


def times_ms(*changes: tuple[int, int]) -> list[int]:
    """Times of twelve frames; (frame, ms) delays that frame and all later ones."""
    return [40 * i + sum(late for at, late in changes if i >= at) for i in range(12)]


def at_the_border(path: Path) -> Made:
    """A head whose ear is outside the image."""
    return plain(path, [frame[:, 5 * SIZE_PX // 16 :] for frame in heads()])


def half_outside(path: Path) -> Made:
    """A head that moves out of the image, below the nose, in the last six of eighteen frames."""
    frames = list(heads()) + [np.roll(frame, 9 * SIZE_PX // 20, axis=0) for frame in heads()[:6]]
    return plain(path, frames)


def upside_down(path: Path, quarters: int = 2) -> Made:
    """A head turned by counterclockwise quarter turns, without metadata."""
    return plain(path, [np.ascontiguousarray(np.rot90(frame, quarters)) for frame in heads()])


def far_away(path: Path) -> Made:
    """A head so small that its eyes are 22 px apart."""
    frames = [np.full((SIZE_PX, SIZE_PX, 3), 100, np.uint8) for _ in heads()]
    for frame, head in zip(frames, heads(), strict=True):
        frame[120:200, 120:200] = cv2.resize(head, (80, 80), interpolation=cv2.INTER_AREA)
    return plain(path, frames)


def with_channels(path: Path, *channels: F32) -> Made:
    """A take with one audio track of several channels."""
    return tracks(path, np.stack(channels))


def tracks(path: Path, *recordings: F32, dispositions: Sequence[int] = ()) -> Made:
    """A take with one audio track for each array (channels, n); a `Disposition` for each."""
    video = plain(path.with_name(f"mute_{path.stem}.mkv"), audio=None).path
    target = path.with_suffix(".mkv")
    with av.open(str(video)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        layouts = [{1: "mono", 2: "stereo"}[len(np.atleast_2d(audio))] for audio in recordings]
        streams = [new.add_stream("pcm_s16le", rate=AUDIO_HZ, layout=name) for name in layouts]
        for stream, flags in zip(streams, dispositions, strict=False):
            stream.disposition = Disposition(flags)
        for packet in old.demux():
            if packet.size:
                packet.stream = copy
                new.mux(packet)
        for stream, audio, layout in zip(streams, recordings, layouts, strict=True):
            samples = np.round(np.atleast_2d(audio) * 32767).astype(np.int16)
            packed = np.ascontiguousarray(samples.T).reshape(1, -1)
            block = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            block.sample_rate, block.time_base, block.pts = AUDIO_HZ, Fraction(1, AUDIO_HZ), 0
            new.mux([*stream.encode(block), *stream.encode(None)])
    return Made(target)


def hum(duration_s: float) -> F32:
    """Steady noise, as of a fan."""
    n = round(duration_s * AUDIO_HZ)
    return np.random.default_rng(9).normal(0, 0.05, n).astype(np.float32)


MAKERS: dict[str, Callable[[Path], Made]] = {
    "no_video": lambda path: Made(
        write_media(path.with_suffix(".wav"), audio=tone(0.6), audio_codec="pcm_s16le")
    ),
    "rotated": turned,
    "interlaced": lambda path: coded(path, interlaced="1"),
    "hdr": lambda path: coded(path, transfer="smpte2084"),
    "not_square_pixels": lambda path: coded(path, sar="16/15"),
    "variable_rate": lambda path: plain(path, times_ms=times_ms((5, 20), (8, -10))),
    "pts_gap": lambda path: plain(path, times_ms=times_ms((6, 200))),
    "pts_repeats": repeated,
    "frames_missing": lambda path: declaring(path, 2),
    "frames_extra": lambda path: declaring(path, -2),
    "frames_patched": damaged,
    "frozen_video": lambda path: plain(path, [*heads(), *[heads()[-1]] * 14]),
    "frames_doubled": lambda path: plain(
        path, [frame for i, frame in enumerate(heads()) for _ in range(1 + (i % 4 == 3))]
    ),
    "cut": lambda path: plain(path, [*heads(), *heads(1)]),
    "several_tracks": lambda path: tracks(path, 0 * tone(0.48), tone(0.48)),
    "channels_cancel": lambda path: with_channels(path, babble(0.48), -babble(0.48)),
    "channels_differ": lambda path: with_channels(path, hum(3.0), babble(3.0)),
    "two_voices": lambda path: with_channels(path, babble(3.0, seed=1), babble(3.0)),
    "wrong_way_up": upside_down,
    "landmarks_unconfirmed": rolled_over,
    "face_outside": half_outside,
    "small_face": far_away,
    "audio_gap": lambda path: plain(
        path.with_suffix(".mkv"), audio=tone(0.48), audio_codec="pcm_s16le", hole_s=(0.2, 0.1)
    ),
    "clipped_audio": lambda path: plain(
        path.with_suffix(".mkv"), audio=np.clip(tone(0.48, level=3.0), -1, 1),
        audio_codec="pcm_s16le",
    ),
    "quiet_audio": lambda path: plain(path, audio=tone(0.48, level=0.0015)),
    "audio_starts_late": lambda path: plain(path, audio=tone(0.48), audio_start_s=0.2),
    "audio_starts_early": lambda path: plain(path, times_ms=times_ms((0, 200))),
    "lengths_differ": lambda path: plain(path, audio=tone(0.9)),
    "other_audio_used": lambda path: spoilt_file(path),
    "other_audio_unusable": lambda path: with_file(path, tone(0.48), track=0 * tone(0.48)),
    "file_offset": lambda path: with_file(path, babble(3.0)[round(OFFSET_S * AUDIO_HZ) :]),
    "file_drifts": lambda path: with_file(
        path,
        soxr.resample(babble(DRIFT_LENGTH_S, cut_hz=500.0), AUDIO_HZ, AUDIO_HZ * (1 - DRIFT)),
        track=babble(DRIFT_LENGTH_S, cut_hz=500.0),
    ),
    "file_differs": lambda path: with_file(path, babble(3.0, seed=1)),
    "several_faces": crowd,
    "face_passes": passing,
    "face_comes_and_goes": lambda path: plain(path, [*heads(), *empty_room(8), *heads()]),
    "mouth_covered": covered,
    "face_jumps": jumping,
    "face_near_edge": at_the_border,
    "head_leaves_crop": zoomed,
}  # fmt: skip
"""How to make each, given a path whose suffix may be changed."""
