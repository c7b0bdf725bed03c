"""Which frames of a take are inverted, and the square of each in the full frame."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.faces import framing
from pipeline.faces.affine import F64, apply, compose, invert
from pipeline.faces.sampling import U8, sample
from pipeline.records import Clip
from pipeline.stylegan.ffhq import aligned, quads_of_mesh
from pipeline.takes.framed_images import crop_square, stored_frames


def chosen_frames(found: NDArray[np.bool_], budget: int) -> NDArray[np.int64]:
    """At most `budget` frames with a face, spread over the take; 0: all."""
    frames = np.flatnonzero(found)
    if budget and len(frames) > budget:
        frames = frames[np.linspace(0, len(frames) - 1, budget).round().astype(np.int64)]
    return frames


def squares(name: Literal["ffhq", "ned256"], landmarks: F64, smooth_frames: float) -> F64:
    """The square (n, 4, 2) of every frame in the full frame, NaN without a face.

    `ned256` is one upright square per take, `ffhq` one per frame; see `quads_of_mesh`.
    """
    if name == "ffhq":
        return quads_of_mesh(landmarks, smooth_frames)
    matrix = invert(framing.ned256(framing.face_boxes(landmarks), 1))
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    quads = np.tile(apply(matrix, corners), (len(landmarks), 1, 1))
    quads[~np.isfinite(landmarks[:, 0, 0])] = np.nan
    return quads


def image_of(name: str, crop: U8, clip: Clip, quad: F64, size_px: int) -> U8:
    """The image (size_px, size_px, 3) of a frame's square, sampled from its stored crop (h, w, 3).

    `ffhq` is sampled like FFHQ's own script, which produced the encoders' training data.
    """
    to_crop = invert(framing.crop_to_frame(*crop_square(clip), crop.shape[1]))
    if name == "ffhq":
        return aligned(crop, apply(to_crop, quad), size_px, size_px)
    return sample(crop, compose(framing.quad_framing(quad, size_px), invert(to_crop)), size_px)


def crop_from_image(clip: Clip, crop_px: int, quad: F64, size_px: int) -> F64:
    """The matrix (2, 3) from a generated image of `size_px` to the stored crop's pixels."""
    to_crop = invert(framing.crop_to_frame(*crop_square(clip), crop_px))
    return compose(to_crop, framing.quad_to_frame(quad, size_px))


def crops_of(frames_file: Path, wanted: NDArray[np.int64]) -> list[bytes]:
    """The stored crops, as JPEG, of the wanted frames, whose numbers increase."""
    return [frame.crop for frame in stored_frames(frames_file, wanted.tolist())]


def decoded(crop: bytes) -> U8:
    """A stored crop (h, w, 3) RGB."""
    return np.asarray(simplejpeg.decode_jpeg(crop, colorspace="RGB"), dtype=np.uint8)
