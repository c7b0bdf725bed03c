"""The framed images of a frame pair, each sampled once from its stored crop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from pipeline.faces import framing
from pipeline.faces.affine import F64, compose
from pipeline.faces.sampling import U8, sample
from pipeline.records import Clip
from pipeline.runtime.tables import iter_batches
from pipeline.takes.frame_file import landmarks_of
from spfem_data.masks import valid_mask

FrameTo = Callable[[int], F64]
"""The framing of a take: maps a frame number to the matrix (2, 3) from the full frame."""

_LANDMARK_BATCH = 512
_IMAGE_BATCH = 16


@dataclass(frozen=True)
class StoredFrame:
    """One extracted frame: its instant and its stored crop as JPEG."""

    instant_s: float
    crop: bytes


def framing_of(name: framing.Framing, size_px: int, clip: Clip, frames_file: Path) -> FrameTo:
    """The framing of a take's frames: constant over the take except for `ffhq`."""
    if name == "ffhq":
        matrices = _ffhq_of(frames_file, size_px)
        return lambda frame: np.asarray(matrices[frame])
    constant = _constant(name, size_px, clip, frames_file)
    return lambda _: constant


def _constant(name: framing.Framing, size_px: int, clip: Clip, frames_file: Path) -> F64:
    if name == "ned256":
        boxes = [framing.face_boxes(points) for points in _landmarks(frames_file)]
        return framing.ned256(np.concatenate(boxes), size_px)
    x, y, side = crop_square(clip)
    return framing.square(x, y, side, size_px)


def _ffhq_of(frames_file: Path, size_px: int) -> F64:
    missing = np.full((2, 3), np.nan)
    return np.stack(
        [
            missing if np.isnan(points).any() else framing.ffhq(points, size_px)
            for batch in _landmarks(frames_file)
            for points in batch
        ]
    )


def _landmarks(frames_file: Path) -> Iterator[F64]:
    for batch in iter_batches(frames_file, ["landmarks"], _LANDMARK_BATCH):
        yield landmarks_of(pa.chunked_array([batch.column(0)])).astype(np.float64)


def crop_square(clip: Clip) -> tuple[float, float, float]:
    """Left, top and side of the stored crop in the full frame."""
    assert clip.crop_x_px is not None
    assert clip.crop_y_px is not None
    assert clip.crop_side_px is not None
    return clip.crop_x_px, clip.crop_y_px, clip.crop_side_px


def valid_box(clip: Clip) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the part of the full frame that the stored crop shows."""
    x, y, side = crop_square(clip)
    assert clip.width_px is not None
    assert clip.height_px is not None
    return max(x, 0.0), max(y, 0.0), min(x + side, clip.width_px), min(y + side, clip.height_px)


def stored_frames(frames_file: Path, wanted: Sequence[int]) -> Iterator[StoredFrame]:
    """The wanted frames of a take, in increasing order; only a few images are in memory."""
    todo = iter(wanted)
    frame = next(todo, None)
    for batch in iter_batches(frames_file, ["frame", "time_s", "duration_s", "crop"], _IMAGE_BATCH):
        numbers, times_s, durations_s, crops = batch.columns
        first = numbers[0].as_py()
        while frame is not None and frame < first + len(batch):
            k = frame - first
            instant_s = times_s[k].as_py() + durations_s[k].as_py() / 2
            yield StoredFrame(instant_s, crops[k].as_py())
            frame = next(todo, None)
        if frame is None:
            return


def framed(crop: bytes, clip: Clip, frame_to_image: F64, size_px: int) -> U8:
    """The framed RGB image (size_px, size_px, 3) of a stored crop."""
    image = simplejpeg.decode_jpeg(crop, colorspace="RGB")
    crop_to_frame = framing.crop_to_frame(*crop_square(clip), image.shape[1])
    return sample(image, compose(frame_to_image, crop_to_frame), size_px)


def encode(image: U8, quality: int) -> bytes:
    """An RGB image (h, w, 3) as JPEG; 4:2:0 chroma, as in the videos."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(image), quality, "RGB", colorsubsampling="420", fastdct=False
        )
    )


def frame_columns(
    clip: Clip, frame: int, stored: StoredFrame, matrix: F64, size_px: int, quality: int
) -> dict[str, Any]:
    """The columns that describe one frame in every config: image, source and framing."""
    six = [float(value) for value in matrix.reshape(-1)]
    content = encode(framed(stored.crop, clip, matrix, size_px), quality)
    return {
        "image_id": f"{clip.take_id}/{frame:06d}",
        "image": {"bytes": content, "path": f"{clip.take_id}.{frame:06d}.jpg"},
        "speaker": clip.speaker,
        "take_id": clip.take_id,
        "frame": frame,
        "time_s": stored.instant_s,
        "dataset": clip.dataset,
        "level": clip.level,
        "view": clip.view,
        "frame_to_image": six,
        "image_covered": float(valid_mask(six, valid_box(clip), size_px).mean()),
    }
