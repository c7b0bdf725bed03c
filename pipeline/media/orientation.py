"""How a decoded image is turned before it is shown: the container's display matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.media.box import Box


@dataclass(frozen=True)
class Orientation:
    """Quarter turns and mirroring: transpose first, then flip left-right and top-bottom."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: Any) -> Orientation:
        """The orientation that the side data of a frame request; as coded where they request none.

        The matrix (a, b, u, c, d, v, x, y, w) sends a coded point (x, y) to (ax + cy, bx + dy):
        libavutil/display.h. Other angles than quarter turns are ignored.
        """
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5]
        if a == 0 and d == 0 and b != 0 and c != 0:
            return cls(True, bool(c < 0), bool(b < 0))
        return cls(False, bool(a < 0 and b == 0), bool(d < 0 and b == 0))

    def turned(self, quarters: int) -> Orientation:
        """This orientation followed by a number of clockwise quarter turns."""
        if quarters % 4 == 0:
            return self
        quarter = Orientation(not self.transpose, not self.flip_y, self.flip_x)
        return quarter.turned(quarters - 1)

    @property
    def is_turned(self) -> bool:
        """Whether shown and coded image differ."""
        return self.transpose or self.flip_x or self.flip_y

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown of a coded (or the reverse) width and height."""
        return (height, width) if self.transpose else (width, height)

    def upright(self, coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A coded image (h, w, 3) as it is shown."""
        shown = coded.swapaxes(0, 1) if self.transpose else coded
        shown = shown[:, ::-1] if self.flip_x else shown
        shown = shown[::-1] if self.flip_y else shown
        return np.ascontiguousarray(shown)

    def coded(self, box: Box, shown_width: int, shown_height: int) -> Box:
        """The box of the coded image that is shown as `box`."""
        x = shown_width - box.x - box.width if self.flip_x else box.x
        y = shown_height - box.y - box.height if self.flip_y else box.y
        if self.transpose:
            return Box(y, x, box.height, box.width)
        return Box(x, y, box.width, box.height)
