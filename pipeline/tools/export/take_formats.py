"""Whole takes in the framing of the papers, in other projects' layouts.

`write_tree` writes the `_frame_info.txt` tree that NED's and SCMCL's trainers read: one folder per
speaker, whose `videos/_frame_info.txt` lists its takes with their numbers of frames, one per line
(`neutral_001_0 123`). `images/<part>/<frame>.png` are the frames of all takes, numbered
consecutively, 50 per part.

`write_clips` writes clips for EAT and similar trainers: video of 256 px at 25 fps, and 16 kHz
audio.
`vid/M003_ang_3_001.mp4` and `wav/M003_ang_3_001.wav` begin at the take's first frame. Frame k is
the frame shown at (k + 1/2) / 25 s, so that audio does not drift at other or variable rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
import soundfile

from pipeline.errors import PipelineError
from pipeline.faces.affine import F64
from pipeline.faces.framing import Framing
from pipeline.faces.sampling import U8
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore, atomic_path, write_bytes
from pipeline.takes.frame_file import read_columns
from pipeline.takes.framed_images import framed, framing_of, stored_frames
from pipeline.tools.audit.pairlist import one_view
from spfem_data.schema import AUDIO_HZ

SIZE_PX = 256
_FRAMING: Framing = "ned256"


@dataclass(frozen=True)
class FramedTake:
    """One take with its files among the items of extract."""

    clip: Clip
    frames_file: Path
    audio_file: Path

    def shown_s(self) -> tuple[F64, F64]:
        """Start and end of every frame in seconds of the container's time."""
        columns = read_columns(self.frames_file, ["time_s", "duration_s"])
        return columns["time_s"], columns["time_s"] + columns["duration_s"]

    def images(self, frames: Sequence[int]) -> Iterator[U8]:
        """Frames by ascending number as (256, 256, 3) RGB, with one framing for the take."""
        matrix = framing_of(_FRAMING, SIZE_PX, self.clip, self.frames_file)(0)
        distinct, repeats = np.unique(np.asarray(frames), return_counts=True)
        stored = stored_frames(self.frames_file, distinct.tolist())
        for one, times in zip(stored, repeats.tolist(), strict=True):
            image = framed(one.crop, self.clip, matrix, SIZE_PX)
            for _ in range(times):
                yield image


def choose(
    clips: Sequence[Clip], items: ItemStore, *, level: int | None, view: str | None
) -> list[FramedTake]:
    """The takes with video of one view, and of one level if given; neutral always.

    Raises
    ------
    PipelineError
        When no take is left or the view does not exist.
    """
    seen = one_view([clip for clip in clips if clip.has_video], view)
    chosen = [c for c in seen if level is None or c.level == level or c.emotion == "neutral"]
    if not chosen:
        raise PipelineError("the dataset has no take with video to export")
    return [
        FramedTake(
            clip,
            items.path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet"),
            items.path(f"{clip.speaker}/{clip.take_id}", ".audio.flac"),
        )
        for clip in sorted(chosen, key=lambda c: (c.speaker, c.emotion, c.take, c.level))
    ]


_FRAMES_PER_PART = 50


@dataclass(frozen=True)
class Written:
    """Counts of an export."""

    takes: int
    frames: int


def write_tree(
    folder: Path, takes: Sequence[FramedTake], step: Callable[[], None] = lambda: None
) -> Written:
    """Write the tree of all speakers to `folder`; `step` is called after each take."""
    frames = 0
    for speaker, theirs in groupby(takes, key=lambda take: take.clip.speaker):
        frames += _write_speaker(folder / speaker, list(theirs), step)
    return Written(len(takes), frames)


def _write_speaker(folder: Path, takes: Sequence[FramedTake], step: Callable[[], None]) -> int:
    number, lines = 0, []
    for name, take in zip(names(takes), takes, strict=True):
        first = number
        for image in take.images(range(take.clip.n_frames)):
            part = folder / "images" / f"{number // _FRAMES_PER_PART:06d}"
            ok, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            assert ok
            write_bytes(part / f"{number:06d}.png", content.tobytes())
            number += 1
        lines.append(f"{name} {number - first}\n")
        step()
    write_bytes(folder / "videos" / "_frame_info.txt", "".join(lines).encode())
    return number


def names(takes: Sequence[FramedTake]) -> list[str]:
    """`<emotion>_<take>_<k>` of each take; k distinguishes takes of equal names."""
    found: dict[str, int] = {}
    given = []
    for take in takes:
        name = f"{take.clip.emotion}_{take.clip.take}"
        given.append(f"{name}_{found.get(name, 0)}")
        found[name] = found.get(name, 0) + 1
    return given


FPS = 25
_CRF = 12
_CODES = {
    "neutral": "neu", "happy": "hap", "angry": "ang", "surprised": "sur", "fear": "fea",
    "sad": "sad", "disgusted": "dis", "contempt": "con", "calm": "cal",
}  # fmt: skip


def write_clips(
    folder: Path, takes: Sequence[FramedTake], step: Callable[[], None] = lambda: None
) -> Written:
    """Write every take as a clip and a wav to `folder`; `step` is called after each."""
    named = [clip_name(take) for take in takes]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise PipelineError(f"two takes would be named {twice[0]}; choose one --view")
    frames = 0
    for name, take in zip(named, takes, strict=True):
        begins_s, ends_s = take.shown_s()
        numbers = frames_at_rate(begins_s, ends_s)
        _write_video(folder / "vid" / f"{name}.mp4", take.images(numbers))
        _write_audio(folder / "wav" / f"{name}.wav", take, begins_s[0], len(numbers) / FPS)
        frames += len(numbers)
        step()
    return Written(len(takes), frames)


def clip_name(take: FramedTake) -> str:
    """`M003_ang_3_001`."""
    clip = take.clip
    return f"{clip.speaker}_{_CODES[clip.emotion]}_{clip.level}_{clip.take}"


def frames_at_rate(begins_s: F64, ends_s: F64) -> list[int]:
    """The frame shown at the middle of each 1/25 s, from the first frame on."""
    count = max(1, int(np.floor((ends_s[-1] - begins_s[0]) * FPS + 1e-6)))
    instants = begins_s[0] + (np.arange(count) + 0.5) / FPS
    shown = np.searchsorted(begins_s, instants, side="right") - 1
    return [int(frame) for frame in shown]


def _write_video(path: Path, images: Iterable[U8]) -> None:
    with atomic_path(path) as temporary:
        job = (
            ffmpeg.input(
                "pipe:", format="rawvideo", pix_fmt="yuv420p", s=f"{SIZE_PX}x{SIZE_PX}",
                framerate=FPS,
            )
            .output(
                str(temporary), format="mp4", vcodec="libx264", crf=_CRF, pix_fmt="yuv420p",
                threads=1, map_metadata=-1, fflags="+bitexact",
                # mbtree reads uninitialised memory, which makes bytes vary
                **{"flags:v": "+bitexact", "x264-params": "mbtree=0"},
            )
            .global_args("-hide_banner", "-loglevel", "error")
            .overwrite_output()
            .run_async(cmd=imageio_ffmpeg.get_ffmpeg_exe(), pipe_stdin=True, pipe_stderr=True)
        )  # fmt: skip
        frames = (cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420) for image in images)
        _, message = job.communicate(b"".join(frame.tobytes() for frame in frames))
        if job.returncode:
            lines = message.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise PipelineError(f"{path.name}: ffmpeg failed ({lines[-1]})")


def _write_audio(path: Path, take: FramedTake, begin_s: float, length_s: float) -> None:
    """Write the audio from `begin_s` on, as long as the video, padded with silence."""
    samples, rate = soundfile.read(take.audio_file, dtype="int16")
    assert rate == AUDIO_HZ
    first = round((begin_s - take.clip.audio_start_s) * AUDIO_HZ)
    wanted = np.zeros(round(length_s * AUDIO_HZ), np.int16)
    low, high = max(0, first), min(len(samples), first + len(wanted))
    if high > low:
        wanted[low - first : high - first] = samples[low:high]
    with atomic_path(path) as temporary:
        soundfile.write(temporary, wanted, AUDIO_HZ, subtype="PCM_16", format="WAV")
