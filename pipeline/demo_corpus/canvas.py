"""A float image with soft brushes; all colours are BGR, 0..255."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHIFT = 4  # cv2's fixed-point bits: 1/16 texel


def bgr(colour: Sequence[int]) -> F32:
    """Turn (red, green, blue) into a BGR float colour."""
    return np.array(colour[::-1], np.float32)


def fixed(points: F64) -> NDArray[np.int32]:
    """Continuous coordinates (texel i covers i .. i + 1) as cv2's fixed point."""
    return np.asarray(np.round((points - 0.5) * (1 << SHIFT)).astype(np.int32))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: int) -> F32:
    """Noise (rows, columns) of unit deviation at the knots, with `grain` texels per feature."""
    rows, columns = shape
    knots = rng.standard_normal((max(2, rows // grain), max(2, columns // grain)))
    noise = cv2.resize(knots.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, np.float32)


class Canvas:
    """A square image.

    Attributes
    ----------
    pixels
        (size, size, 3) float32 BGR.
    """

    def __init__(self, size: int, colour: F32) -> None:
        self.pixels: F32 = np.ones((size, size, 3), np.float32) * colour
        middles = np.arange(size, dtype=np.float32) + np.float32(0.5)
        self._rows: F32 = middles[:, None]
        self._columns: F32 = middles[None, :]

    def blend(self, mask: F32, colour: Any) -> None:
        """Blend a colour into the image with a mask (size, size) in 0..1."""
        weight = mask[:, :, None]
        self.pixels = np.asarray(
            self.pixels * (1 - weight) + np.asarray(colour, np.float32) * weight, np.float32
        )

    def blob(self, at: F64, sigma: tuple[float, float], colour: Any, strength: float) -> None:
        """Blend in a Gaussian spot of colour."""
        x = (self._columns - np.float32(at[0])) / np.float32(sigma[0])
        y = (self._rows - np.float32(at[1])) / np.float32(sigma[1])
        weight = np.float32(strength) * np.exp(-(x * x + y * y) / 2)
        self.blend(np.asarray(weight, np.float32), colour)

    def polygon_mask(self, points: F64, blur: float) -> F32:
        """A filled polygon as a soft mask."""
        mask = np.zeros(self.pixels.shape[:2], np.float32)
        cv2.fillPoly(mask, [fixed(points)], (1.0,), cv2.LINE_AA, SHIFT)
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), blur))

    def polygon(self, points: F64, colour: Any, strength: float, blur: float) -> None:
        """Fill a polygon with soft edges."""
        self.blend(self.polygon_mask(points, blur) * np.float32(strength), colour)

    def line_mask(self, lines: Sequence[F64], thickness: int, blur: float) -> F32:
        """Several open lines as one soft mask."""
        mask = np.zeros(self.pixels.shape[:2], np.float32)
        for points in lines:
            cv2.polylines(mask, [fixed(points)], False, (1.0,), thickness, cv2.LINE_AA, SHIFT)
        return np.clip(np.asarray(cv2.GaussianBlur(mask, (0, 0), blur)), 0, 1)

    def line(self, points: F64, colour: Any, strength: float, thickness: int, blur: float) -> None:
        """Draw a soft open line."""
        self.blend(self.line_mask([points], thickness, blur) * np.float32(strength), colour)

    def stroke(self, start: F64, end: F64, colour: Any) -> None:
        """Draw one hair, a texel wide."""
        a, b = fixed(np.stack([start, end])).tolist()
        cv2.line(self.pixels, a, b, [float(c) for c in colour], 1, cv2.LINE_AA, SHIFT)
