"""Clips for EAT and similar trainers: video of 256 px at 25 fps, and 16 kHz audio.

`vid/M003_ang_3_001.mp4` and `wav/M003_ang_3_001.wav` begin at the take's first frame. Frame k is
the frame shown at (k + 1/2) / 25 s, so that audio does not drift at other or variable rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
import soundfile

from pipeline.errors import PipelineError
from pipeline.faces.affine import F64
from pipeline.faces.sampling import U8
from pipeline.runtime.store import atomic_path
from pipeline.tools.export.frame_info import Written
from pipeline.tools.export.framed_takes import SIZE_PX, FramedTake
from spfem_data.schema import AUDIO_HZ

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
