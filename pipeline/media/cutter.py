"""Cutting a rectangle out of decoded frames and scaling it, in one go, to RGB.

libavfilter does it: cutting moves pointers, so only what is kept is converted; it knows every pixel
format, range and colour matrix. On 1080p this costs 1.4 ms a frame where converting the whole frame
costs 4 and shrinking with cv2.INTER_AREA 4.6 more; the framings taken from such crops differ from
those by 0.2 dB. Frames without colour tags count as BT.601, as everywhere.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from pipeline.media.box import Box
from pipeline.media.orientation import Orientation


class Cutter:
    """Cuts boxes out of frames; keeps the filter graph of the last shapes asked for."""

    def __init__(self, orientation: Orientation) -> None:
        self.orientation = orientation
        self._graphs: dict[tuple[Any, ...], Graph] = {}

    def cut(self, frame: Any, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """The box of the frame as shown, scaled to (height, width, 3); black beyond the border.

        Scaling is libswscale's bilinear, which widens its kernel when it shrinks: no aliasing.
        """
        shown = self.orientation.size(frame.width, frame.height)
        coded = self.orientation.coded(box, *shown)
        out = self.orientation.size(width, height)
        key = (
            coded, out, frame.width, frame.height, frame.format.name, int(frame.colorspace),
            int(frame.color_range),
        )  # fmt: skip
        if key not in self._graphs:
            if len(self._graphs) >= 4:
                self._graphs.clear()
            self._graphs[key] = _graph(frame, coded, out)
        graph = self._graphs[key]
        graph.push(frame)
        return self.orientation.upright(graph.pull().to_ndarray().astype(np.uint8, copy=False))


def _graph(frame: Any, box: Box, out: tuple[int, int]) -> Graph:
    left, top = max(0, -box.x), max(0, -box.y)
    x, y = box.x + left, box.y + top
    width = min(box.width - left, frame.width - x)
    height = min(box.height - top, frame.height - y)
    if width < 1 or height < 1:
        raise AssertionError(f"{box} lies outside of a {frame.width} x {frame.height} picture")
    time_base = frame.time_base
    steps = [
        ("buffer",
         f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
         f"time_base={time_base.numerator}/{time_base.denominator}:"
         f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"),
        ("crop", f"{width}:{height}:{x}:{y}:exact=1"),
    ]  # fmt: skip
    if (width, height) != (box.width, box.height):
        steps.append(("pad", f"{box.width}:{box.height}:{left}:{top}:black"))
    steps += [
        ("scale", f"{out[0]}:{out[1]}:flags=bilinear"),
        ("format", "rgb24"),
        ("buffersink", ""),
    ]
    graph = Graph()
    nodes = [graph.add(name, arguments or None) for name, arguments in steps]
    for one, other in pairwise(nodes):
        one.link_to(other)
    graph.configure()
    return graph
