"""Paste a generated image back where its square was taken from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.affine import F64
from pipeline.faces.sampling import to_pixel_centres

U8 = NDArray[np.uint8]

_RIM = 0.12  # of the image's side, over which it blends into the crop


def composed(crop: U8, image: U8, image_to_crop: F64) -> U8:
    """The stored crop (h, w, 3) with the image (s, s, 3) pasted in and blended at its border.

    Parameters
    ----------
    image_to_crop
        (2, 3) on pixel-edge coordinates.
    """
    height, width = crop.shape[:2]
    matrix = to_pixel_centres(image_to_crop)
    laid = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    share = cv2.warpAffine(_mask(image.shape[0]), matrix, (width, height))[..., None]
    mixed = crop + share * (laid.astype(np.float32) - crop)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _mask(size_px: int) -> NDArray[np.float32]:
    """(size_px, size_px): 1 in the middle, falling smoothly to 0 at the border."""
    middles = (np.arange(size_px) + 0.5) / size_px
    depth = np.clip(np.minimum(middles, 1 - middles) / _RIM, 0, 1)
    ramp = depth * depth * (3 - 2 * depth)
    return np.asarray(np.outer(ramp, ramp), dtype=np.float32)
