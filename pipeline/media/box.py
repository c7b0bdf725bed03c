"""A rectangle of whole pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

ALIGN = 4
_MOST_PX = 1 << 27


@dataclass(frozen=True)
class Box:
    """[x, x + width) x [y, y + height); it may extend beyond the image."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a box of {self.width} x {self.height} px")

    @property
    def is_cuttable(self) -> bool:
        """Whether it has at most 2^27 pixels.

        The part beyond the image's border is allocated in full before scaling: a square as wide as
        an image that is a hundred times wider than high has a hundred times its pixels.
        """
        return self.width * self.height <= _MOST_PX

    @classmethod
    def square(cls, x: float, y: float, side: float) -> Box:
        """The square around a centre (x, y), sides and corners at multiples of `ALIGN` pixels.

        Chroma samples of 4:1:1 are four pixels wide; crops at multiples keep their chroma in place.
        """
        side_px = ALIGN * max(1, math.ceil(side / ALIGN))
        left, top = (ALIGN * round((middle - side_px / 2) / ALIGN) for middle in (x, y))
        return cls(left, top, side_px, side_px)
