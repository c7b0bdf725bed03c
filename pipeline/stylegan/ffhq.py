"""FFHQ's alignment, as in the training data of StyleGAN2's encoders.

`framing.ffhq_quad` gives the square. Here it is sampled like in FFHQ's script: shrunk first, with a
blurred margin where the square leaves the image. `sampling.sample` gives a cleaner image, but the
encoders expect this one.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from pipeline.faces.affine import F64
from pipeline.faces.framing import quad_of_mesh
from pipeline.faces.sampling import U8

_HALF = 0.5
_MARGIN, _LEAST_MARGIN_PX = 0.1, 3
_PAD, _BLUR = 0.3, 0.02
_SLACK_PX = 4  # padding begins when the square leaves the image by more than the margin minus this


def quads_of_mesh(landmarks: F64, smooth_frames: float) -> F64:
    """FFHQ's squares (n, 4, 2) for frames' landmarks (n, 478, >= 2), NaN without a face.

    A frame's square depends on the mouth corners, so it moves and zooms with the mouth. With
    `smooth_frames` > 0, centre and axes are smoothed over time by a Gaussian with that sigma, as in
    STIT (Tzaban et al. 2022, 3.1), interpolating over frames without a face.
    """
    quads = np.full((len(landmarks), 4, 2), np.nan)
    found = np.isfinite(landmarks[:, 0, 0])
    for k in np.flatnonzero(found):
        quads[k] = quad_of_mesh(landmarks[k])
    if smooth_frames > 0 and found.sum() > 1:
        known, every = np.flatnonzero(found), np.arange(len(landmarks))
        flat = quads[found].reshape(len(known), 8)
        bridged = np.stack([np.interp(every, known, column) for column in flat.T], axis=1)
        smooth = gaussian_filter1d(bridged, smooth_frames, axis=0, mode="nearest")
        quads[found] = smooth.reshape(-1, 4, 2)[found]
    return quads


def aligned(image: U8, quad: F64, size_px: int, transform_px: int) -> U8:
    """The aligned image (size_px, size_px, 3), equal to that of FFHQ's script within rounding.

    Parameters
    ----------
    image
        (h, w, 3) RGB.
    quad
        (4, 2) in pixel-edge coordinates: top left, bottom left, bottom right, top right.
    transform_px
        The size at which the square is sampled before resizing to `size_px`: FFHQ used 4096 for
        1024; e4e and pSp use the size itself.
    """
    centred = quad - _HALF
    side = float(np.hypot(*(centred[3] - centred[0])))
    canvas = Image.fromarray(image)
    canvas, centred, side = _shrunk(canvas, centred, side, size_px)
    canvas, centred, margin = _cropped(canvas, centred, side)
    canvas, centred = _padded(canvas, centred, side, margin)
    canvas = canvas.transform(
        (transform_px, transform_px),
        Image.Transform.QUAD,
        [float(value) for value in (centred + _HALF).flatten()],
        Image.Resampling.BILINEAR,
    )
    if size_px < transform_px:
        canvas = canvas.resize((size_px, size_px), Image.Resampling.LANCZOS)
    return np.asarray(canvas, dtype=np.uint8)


def _shrunk(
    image: Image.Image, quad: F64, side: float, size_px: int
) -> tuple[Image.Image, F64, float]:
    factor = math.floor(side / size_px / 2)
    if factor <= 1:
        return image, quad, side
    width, height = (int(np.rint(length / factor)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS), quad / factor, side / factor


def _cropped(image: Image.Image, quad: F64, side: float) -> tuple[Image.Image, F64, int]:
    margin = max(int(np.rint(side * _MARGIN)), _LEAST_MARGIN_PX)
    low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    left, top = np.maximum(low - margin, 0).tolist()
    right, bottom = np.minimum(high + margin, image.size).tolist()
    if right - left < image.size[0] or bottom - top < image.size[1]:
        image, quad = image.crop((left, top, right, bottom)), quad - (left, top)
    return image, quad, margin


def _padded(image: Image.Image, quad: F64, side: float, margin: int) -> tuple[Image.Image, F64]:
    """Pad with mirrored content, blurred and faded to the median, outside the image."""
    low, high = np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))
    before = np.maximum(margin - low, 0).astype(int)
    after = np.maximum(high - image.size + margin, 0).astype(int)
    if max(*before, *after) <= margin - _SLACK_PX:
        return image, quad
    least = int(np.rint(side * _PAD))
    (left, top), (right, bottom) = np.maximum(before, least), np.maximum(after, least)
    pixels = np.pad(
        np.asarray(image, dtype=np.float32), ((top, bottom), (left, right), (0, 0)), "reflect"
    )
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    across = np.minimum(np.float32(x) / left, np.float32(width - 1 - x) / right)
    down = np.minimum(np.float32(y) / top, np.float32(height - 1 - y) / bottom)
    depth = np.maximum(1.0 - across, 1.0 - down)[..., None]
    blur = side * _BLUR
    pixels += (gaussian_filter(pixels, [blur, blur, 0]) - pixels) * np.clip(depth * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(depth, 0, 1)
    return Image.fromarray(np.uint8(np.clip(np.rint(pixels), 0, 255))), np.add(quad, (left, top))
