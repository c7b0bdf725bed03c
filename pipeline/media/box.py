"""A rectangle of whole pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

ALIGN = 4
_MOST_PX = 1 << 27


@dataclass(frozen=True)
class Box:
    """[x, x + width) x [y, y + height); it may reach beyond the picture."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a box of {self.width} x {self.height} px")

    @property
    def is_cuttable(self) -> bool:
        """Whether it has at most 2^27 pixels: what lies beyond a picture's border is laid out in
        full before it is scaled, and a square as wide as a picture that is a hundred times wider
        than high has a hundred times its pixels."""
        return self.width * self.height <= _MOST_PX

    @classmethod
    def square(cls, x: float, y: float, side: float) -> Box:
        """The square around a middle (x, y), sides and corners at multiples of `ALIGN` pixels.

        Chroma of 4:1:1 is four pixels wide; what is cut at a multiple keeps its chroma in place.
        """
        side_px = ALIGN * max(1, math.ceil(side / ALIGN))
        left, top = (ALIGN * round((middle - side_px / 2) / ALIGN) for middle in (x, y))
        return cls(left, top, side_px, side_px)
