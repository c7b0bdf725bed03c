"""A contact sheet: rows of images with row numbers, using libraries of the base install only."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.errors import ParameterError
from pipeline.runtime.store import write_bytes

U8 = NDArray[np.uint8]
_GAP_PX = 4
_PAPER = 255
_QUALITY = 90
_MAX_PX = 30_000
_DIGITS = (
    "111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001",
    "111100111001111", "111100111101111", "111001001001001", "111101111101111", "111101111001111",
)  # fmt: skip
"""The digits 0 to 9 as bitmaps of 3 x 5."""
_DOT_PX = 4


def contact_sheet(rows: Sequence[Sequence[U8]], thumb_px: int) -> U8:
    """Rows of images (h, w, 3) RGB, scaled to `thumb_px`, as one image (H, W, 3).

    Row k has the number k + 1 on its left. Rows may have different lengths.
    """
    label_px = 2 * 4 * _DOT_PX
    width = max((len(row) for row in rows), default=0)
    side = thumb_px + _GAP_PX
    sheet = np.full(
        (len(rows) * side + _GAP_PX, label_px + width * side + _GAP_PX, 3), _PAPER, np.uint8
    )
    for k, row in enumerate(rows):
        top = _GAP_PX + k * side
        _write_number(sheet[top:, _GAP_PX:label_px], k + 1)
        for j, image in enumerate(row):
            left = label_px + j * side
            sheet[top : top + thumb_px, left : left + thumb_px] = shrunk(image, thumb_px)
    return sheet


def shrunk(image: U8, side_px: int) -> U8:
    """The image at `side_px` x `side_px`, resampled by averaging areas.

    Each pixel of the result is the mean over its rows and columns of the source.
    """
    tall = _averaged(image.astype(np.float64), side_px)
    wide = _averaged(tall.transpose(1, 0, 2), side_px).transpose(1, 0, 2)
    return np.asarray(np.round(wide), np.uint8)


def _averaged(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Area means along the first axis, from the integral at n + 1 evenly spaced positions."""
    size = len(values)
    integral = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    places = np.linspace(0, size, n + 1)
    below = np.minimum(places.astype(int), size - 1)
    share = (places - below)[:, None, None]
    at = integral[below] * (1 - share) + integral[below + 1] * share
    return np.asarray(np.diff(at, axis=0) / (size / n))


def _write_number(corner: U8, number: int) -> None:
    for k, digit in enumerate(str(number % 100)):
        dots = np.array([c == "1" for c in _DIGITS[int(digit)]]).reshape(5, 3)
        large = np.kron(dots, np.ones((_DOT_PX, _DOT_PX), bool))
        left = k * 4 * _DOT_PX - (_GAP_PX if k else 0)
        area = corner[: large.shape[0], left : left + large.shape[1]]
        area[large[: area.shape[0], : area.shape[1]]] = 0


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
    kind = path.suffix.lower()
    if kind == ".png":
        write_bytes(path, png(image))
    elif kind in (".jpg", ".jpeg"):
        content = simplejpeg.encode_jpeg(np.ascontiguousarray(image), _QUALITY, "RGB")
        write_bytes(path, bytes(content))
    else:
        raise ParameterError(f"--out {path}: expected a name that ends in .png or .jpg")


def png(image: U8) -> bytes:
    """Encode an image (h, w, 3) RGB as PNG."""
    height, width, _ = image.shape
    lines = np.zeros(
        (height, 1 + 3 * width), np.uint8
    )  # the first byte of each line is its filter: none
    lines[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
