"""A dataset's stored crops as input of an encoder: the training split, framed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.digests import digest
from pipeline.errors import PipelineError
from pipeline.latents.face_quads import chosen_frames, crops_of, decoded, image_of, squares
from pipeline.media import use_one_thread
from pipeline.records import Clip, Sentence
from pipeline.runtime import executor
from pipeline.runtime.run import Run
from pipeline.runtime.store import atomic_path
from pipeline.splits import split_of_take
from pipeline.takes.frame_file import read_columns
from spfem_data.labels import EMOTIONS

VERSION = 1
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class CropSettings:
    """The framing of frames; see the section `invert` of params.yaml."""

    framing: Literal["ffhq", "ned256"]
    smooth_square_frames: float
    frames_per_take: int
    size_px: int


@dataclass(frozen=True)
class _Job:
    clip: Clip
    frames_file: Path
    target: Path
    settings: CropSettings


class Crops:
    """The framed images of the training takes by number, read from disk on access.

    Attributes
    ----------
    labels
        (n,) index of each image's emotion in `records.EMOTIONS`.
    identity
        A digest of everything that the images depend on.
    """

    def __init__(self, parts: Sequence[Path], emotions: Sequence[str], identity: str) -> None:
        self._parts = [np.load(path, mmap_mode="r") for path in parts]
        counts = [len(part) for part in self._parts]
        self._starts = np.cumsum([0, *counts])
        self.labels = np.repeat([EMOTIONS.index(e) for e in emotions], counts)
        self.identity = identity

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, chosen: NDArray[np.int64]) -> U8:
        """(n, size, size, 3) RGB."""
        parts = np.searchsorted(self._starts, chosen, side="right") - 1
        return np.stack(
            [self._parts[p][k - self._starts[p]] for p, k in zip(parts, chosen, strict=True)]
        )


def training_crops(run: Run, settings: CropSettings, folder: Path) -> Crops:
    """Frame the images of a dataset's training takes of the seven emotions.

    Parameters
    ----------
    folder
        The folder of the framed images: one file per take, rewritten when its crops change.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    PipelineError
        When no take is in the training split.
    """
    clips = run.need("extract", "clips", Clip)
    sentences = {row.utterance_id: row for row in run.need("align", "sentences", Sentence)}
    trains = [
        clip
        for clip in clips
        if clip.emotion in EMOTIONS and clip.has_video and split_of_take(clip, sentences) == "train"
    ]
    jobs = {clip.take_id: _job(run, clip, settings, folder) for clip in trains}
    _frame_all(jobs, run)
    made = {clip: jobs[clip.take_id].target for clip in trains}
    kept = {clip: path for clip, path in made.items() if len(np.load(path, mmap_mode="r"))}
    if not kept:
        raise PipelineError(
            f"{run.dataset} has no take of the seven emotions with a face in its training split; "
            "see splits in params.yaml"
        )
    names = sorted(path.name for path in kept.values())
    return Crops(list(kept.values()), [clip.emotion for clip in kept], digest(names))


def _job(run: Run, clip: Clip, settings: CropSettings, folder: Path) -> _Job:
    name = f"{clip.speaker}/{clip.take_id}"
    square = [clip.crop_x_px, clip.crop_y_px, clip.crop_side_px]
    key = digest([VERSION, vars(settings), clip.frames_sha256, square])[:16]
    frames_file = run.items("extract").path(name, ".frames.parquet")
    return _Job(clip, frames_file, folder / f"{clip.take_id}-{key}.npy", settings)


def _frame_all(jobs: dict[str, _Job], run: Run) -> None:
    todo = {name: job for name, job in jobs.items() if not job.target.exists()}
    options = run.options
    outcomes = executor.run(
        _frame, todo, setup=use_one_thread, engine=options.engine, workers=options.workers
    )
    with run.progress("framing crops", len(todo)) as step:
        for name, outcome in outcomes:
            if isinstance(outcome, executor.Died):
                raise PipelineError(f"the process that framed {name} died; run the command again")
            step()


def _frame(_: None, job: _Job) -> int:
    """Write the framed images (n, size, size, 3) of one take and return n."""
    settings = job.settings
    landmarks = read_columns(job.frames_file, ["landmarks"])["landmarks"]
    frames = chosen_frames(np.isfinite(landmarks[:, 0, 0]), settings.frames_per_take)
    quads = squares(settings.framing, landmarks, settings.smooth_square_frames)
    crops = crops_of(job.frames_file, frames)
    images = np.empty((len(frames), settings.size_px, settings.size_px, 3), np.uint8)
    for k, (frame, crop) in enumerate(zip(frames, crops, strict=True)):
        images[k] = image_of(
            settings.framing, decoded(crop), job.clip, quads[frame], settings.size_px
        )
    with atomic_path(job.target) as temporary, temporary.open("wb") as stream:
        np.save(stream, images)
    return len(frames)
