"""Write a take's media, H.264 and AAC, with ffmpeg and reproducible bytes."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import ffmpeg
import imageio_ffmpeg
import soundfile

from pipeline.demo_corpus.prosody import AUDIO_HZ
from pipeline.demo_corpus.rasteriser import F32, U8

AAC_PRIMING_S = 1024 / AUDIO_HZ
_AAC = {"acodec": "aac", "audio_bitrate": "96k", "flags:a": "+bitexact"}
_HAS_AVX2 = cv2.checkHardwareSupport(11)  # CPU_AVX2, which the Python module does not name
# Encoders use all available instruction sets, and their bytes depend on them.
_X264_CODE = ":asm=AVX2" if _HAS_AVX2 else ""
_FFMPEG_CODE = ("-cpuflags", "avx2+fma3") if _HAS_AVX2 else ()
_PLAIN = {
    "map_metadata": -1,
    "fflags": "+bitexact",
    # Keeps the start time of late audio to the sample, not to the millisecond.
    "movie_timescale": AUDIO_HZ,
}


class ClipWriter:
    """A context in which a clip's frames are encoded one by one.

    Parameters
    ----------
    size_px, fps
        Side of the square frames and their rate.
    samples
        Mono at 48 kHz; sample 0 is at `audio_start_s`.
    video_path, audio_path
        An .mp4 with both, and an optional .m4a with the audio only. A temporary wav next to the
        mp4 passes the audio to ffmpeg.
    crf
        Quality of x264.

    Raises
    ------
    ffmpeg.Error
        On leaving the context, if ffmpeg failed; the error has its stderr.
    """

    def __init__(
        self,
        size_px: int,
        fps: Fraction,
        samples: F32,
        audio_start_s: float,
        video_path: Path,
        audio_path: Path | None,
        *,
        crf: int,
    ) -> None:
        self._wav = video_path.with_suffix(".wav")
        soundfile.write(self._wav, samples, AUDIO_HZ, subtype="PCM_16")
        images = ffmpeg.input(
            "pipe:",
            format="rawvideo",
            pix_fmt="yuv420p",
            s=f"{size_px}x{size_px}",
            framerate=f"{fps.numerator}/{fps.denominator}",
        )
        audio = ffmpeg.input(str(self._wav), itsoffset=audio_start_s)
        image_options = {"vcodec": "libx264", "preset": "veryfast", "crf": crf}
        image_options |= {"pix_fmt": "yuv420p", "flags:v": "+bitexact"}
        image_options |= {"threads": 1, "fps_mode": "passthrough"}
        # x264's macroblock tree reads uninitialised memory, which makes bytes vary.
        image_options |= {"x264-params": f"mbtree=0{_X264_CODE}"}
        outputs = [ffmpeg.output(images, audio, str(video_path), **image_options, **_AAC, **_PLAIN)]
        if audio_path is not None:
            outputs.append(ffmpeg.output(audio, str(audio_path), threads=1, **_AAC, **_PLAIN))
        job = ffmpeg.merge_outputs(*outputs)
        job = job.global_args("-hide_banner", "-loglevel", "error", *_FFMPEG_CODE)
        self._process = job.overwrite_output().run_async(
            cmd=imageio_ffmpeg.get_ffmpeg_exe(), pipe_stdin=True, pipe_stderr=True
        )

    def __enter__(self) -> ClipWriter:
        return self

    def add(self, image: U8) -> None:
        """Encode the next frame, (size, size, 3) uint8 BGR."""
        # A broken pipe is ffmpeg's failure, which leaving the context reports.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        _, message = self._process.communicate()
        self._wav.unlink(missing_ok=True)
        if kind is None and self._process.returncode:
            raise ffmpeg.Error("ffmpeg", b"", message)
