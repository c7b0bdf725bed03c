"""A contact sheet: rows of images with row numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ParameterError
from pipeline.runtime.store import write_bytes

U8 = NDArray[np.uint8]
_GAP_PX, _LABEL_PX = 4, 32
_QUALITY = 90
_MAX_PX = 30_000


def contact_sheet(rows: Sequence[Sequence[U8]], thumb_px: int) -> U8:
    """Rows of images (h, w, 3) RGB, scaled to `thumb_px`, as one image (H, W, 3).

    Row k has the number k + 1 on its left. Rows may have different lengths.
    """
    side, width = thumb_px + _GAP_PX, max((len(row) for row in rows), default=0)
    shape = (len(rows) * side + _GAP_PX, _LABEL_PX + width * side + _GAP_PX, 3)
    sheet = np.full(shape, 255, np.uint8)
    for k, row in enumerate(rows):
        top = _GAP_PX + k * side
        cv2.putText(sheet, str(k + 1), (2, top + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0))
        for j, image in enumerate(row):
            left = _LABEL_PX + j * side
            thumb = cv2.resize(image, (thumb_px, thumb_px), interpolation=cv2.INTER_AREA)
            sheet[top : top + thumb_px, left : left + thumb_px] = thumb
    return sheet


def write_image(path: Path, image: U8) -> None:
    """Write an image as PNG or JPEG, by the file's suffix.

    Raises
    ------
    ParameterError
        When the suffix is unknown or the image is too large.
    """
    if max(image.shape) > _MAX_PX:
        raise ParameterError(
            f"the sheet would have {image.shape[1]} x {image.shape[0]} px; choose fewer rows"
        )
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise ParameterError(f"--out {path}: expected a name that ends in .png or .jpg")
    settings = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    write_bytes(path, content.tobytes())
