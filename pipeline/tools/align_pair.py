"""`align-pair`: align any two media files by their audio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import media
from pipeline.alignment.align import align, pair_frames
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.alignment.sentence_score import UNJUDGED
from pipeline.errors import PipelineError, Reject
from pipeline.params import Align, Params
from pipeline.stages.align.utterances import FloatArray


@dataclass(frozen=True)
class FilePair:
    """Two aligned media files: knots of the time map, frame pairs, and the verdict.

    `frames` is empty if the two sentences differ; `limit` is the maximum score of one sentence.
    `same_recording`: both hold one recording, whose frame pairs are worthless.
    """

    knots_s: FloatArray
    frames: FrameMap
    score: float
    limit: float
    same_recording: bool = False

    @property
    def same(self) -> bool:
        """Whether both say the same sentence, by their audio."""
        return self.score <= self.limit

    def as_json(self) -> dict[str, object]:
        """`sentence` with score and verdict, `warp` in seconds, `frames` as (i, j, confidence)."""
        columns = (self.frames.frame_a, self.frames.frame_b, self.frames.confidence)
        frames = [[int(i), int(j), round(float(c), 4)] for i, j, c in zip(*columns, strict=True)]
        return {
            "sentence": {"score": round(self.score, 4), "same": self.same},
            "same_recording": self.same_recording,
            "warp": [[round(float(a), 5), round(float(b), 5)] for a, b in self.knots_s],
            "frames": frames,
        }

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """The same as tables of text: (title, columns, rows), the verdict first."""
        found = f"score {self.score:.2f}, lower is more similar; the limit is {self.limit:.2f}"
        if not self.same:
            why = "no frames are paired; align.max_score_files sets the limit"
            return [(f"NOT the same sentence ({found})", [why], [])]
        warp = [[f"{a:.3f}", f"{b:.3f}"] for a, b in self.knots_s]
        frames = [
            [str(i), str(j), f"{c:.2f}"]
            for i, j, c in zip(
                self.frames.frame_a, self.frames.frame_b, self.frames.confidence, strict=True
            )
        ]
        verdict = "the same sentence"
        if self.same_recording:
            verdict = "the SAME RECORDING in both files: align rejects such pairs"
        return [
            (f"{verdict} ({found})", ["frame pairs"], [[str(len(frames))]]),
            ("time map, seconds", ["a", "b"], warp),
            ("frames, one to one", ["a", "b", "confidence"], frames),
        ]


@dataclass(frozen=True)
class _File:
    features: TakeFeatures
    start_s: float
    instants_s: FloatArray


def align_files(a: Path, b: Path, fps: float | None, params: Params) -> FilePair:
    """Align any two media files by their audio.

    Parameters
    ----------
    fps
        When given, frame i of both is [i/fps, (i+1)/fps) on the file's clock; otherwise the
        files' own presentation times count, and `align.audio_fps` for audio-only files.

    Raises
    ------
    PipelineError
        When a file cannot be read, its audio is missing, silent, too long or never played together
        with its video, or the two have no speech in common.
    """
    section = params.align
    if fps is not None and not 0 < fps <= 1000:
        raise PipelineError(f"--fps {fps}: expected a rate above 0 and at most 1000")
    one, other = (_read(path, fps, section, params) for path in (a, b))
    found = align(one.features, other.features, section)
    if found.score >= UNJUDGED:
        raise PipelineError(f"{a} and {b} have no speech in common, so they cannot be compared")
    frames = pair_frames(found, one.instants_s, other.instants_s, section)
    limit = params.align.max_score_files
    return FilePair(
        found.warp.knots_s + np.array([one.start_s, other.start_s]),
        frames if found.score <= limit else frames.take(np.zeros(len(frames), np.bool_)),
        found.score,
        limit,
        found.is_one_recording(section.same_recording),
    )


def _read(path: Path, fps: float | None, section: Align, params: Params) -> _File:
    silence_db, max_s = params.extract.silence_db, params.align.max_duration_s
    try:
        audio, frames_s = media.read_timeline(path, check=partial(_check_length, path, max_s))
        if frames_s is not None and len(frames_s):
            media.check_together((frames_s[0], frames_s[-1]), (audio.start_s, audio.end_s))
    except Reject as reject:
        raise PipelineError(f"{path}: {reject}") from reject
    peak_db = 20 * np.log10(max(float(np.abs(audio.samples).max(initial=0)), 1e-9))
    if peak_db < silence_db:
        loud = "digital silence" if peak_db <= -180 else f"its peak is {peak_db:.0f} dB"
        raise PipelineError(f"{path} is silent ({loud}, extract.silence_db is {silence_db:g})")
    rate = fps if fps is not None or frames_s is not None else section.audio_fps
    if rate is not None:
        end_s = audio.start_s + len(audio.samples) / audio.sample_rate_hz
        frames_s = (np.arange(int(end_s * rate)) + 0.5) / rate
    instants_s = np.asarray(frames_s) - audio.start_s
    return _File(take_features(audio.samples, section.features), audio.start_s, instants_s)


def _check_length(path: Path, max_s: float, audio: media.Audio) -> None:
    length_s = len(audio.samples) / audio.sample_rate_hz
    if length_s > max_s:
        raise PipelineError(
            f"{path} has {length_s:.0f} s of audio, align.max_duration_s is {max_s:g}; memory "
            "grows with the square of the length: cut the file, or raise the limit"
        )
