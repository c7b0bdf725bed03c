"""Cutting a rectangle out of decoded frames and scaling it, in one go, to RGB.

libavfilter cuts by moving pointers, so only what is kept is scaled, and scales planes of luma and
chroma; it knows every pixel format, range and colour matrix. OpenCV turns the small picture into
RGB. Of a 1080p frame, a head stored at 512 px, this costs 0.8 ms, where libswscale's own way to RGB
costs 2.4 (and is 1.5 levels too dark), converting the whole frame 4, and shrinking that with
cv2.INTER_AREA 4.6 more. Frames without colour tags count as BT.601, as everywhere.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.media.box import Box
from pipeline.media.container import decoding
from pipeline.media.orientation import Orientation


class Cutter:
    """Cuts boxes out of frames; keeps the filter graph of the last shapes asked for."""

    def __init__(self, orientation: Orientation) -> None:
        self.orientation = orientation
        self._graphs: dict[tuple[Any, ...], Graph] = {}

    def cut(self, frame: Any, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """The box of the frame as shown, scaled to (height, width, 3); black beyond the border.

        A pixel is the mean of what it covers: no aliasing. Colour has half of the resolution, as in
        the JPEG that comes of it, but for sides of an odd number of pixels.

        Raises
        ------
        Reject
            unreadable; too_large, for a box that has too many pixels, see `Box.is_cuttable`.
        """
        if not box.is_cuttable:
            raise Reject("too_large", f"a cut of {box.width} x {box.height} px")
        shown = self.orientation.size(frame.width, frame.height)
        coded = self.orientation.coded(box, *shown)
        out = self.orientation.size(width, height)
        key = (
            coded, out, frame.width, frame.height, frame.format.name, int(frame.colorspace),
            int(frame.color_range),
        )  # fmt: skip
        with decoding("a picture cannot be converted"):
            if key not in self._graphs:
                if len(self._graphs) >= 4:
                    self._graphs.clear()
                self._graphs[key] = _graph(frame, coded, out)
            graph = self._graphs[key]
            graph.push(frame)
            scaled = graph.pull()
            picture: Any = _i420(scaled) if _in_planes(out) else scaled.to_ndarray()
        if _in_planes(out):
            picture = cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
        return self.orientation.upright(np.asarray(picture, dtype=np.uint8))


def _in_planes(size: tuple[int, int]) -> bool:
    """Whether a picture of that size can be kept as planes of half the resolution in colour."""
    return size[0] % 2 == 0 and size[1] % 2 == 0


def _i420(frame: Any) -> NDArray[np.uint8]:
    """The planes of a frame one below the other, as OpenCV has them, each copied once."""
    width, height = frame.width, frame.height
    picture = np.empty(width * height * 3 // 2, np.uint8)
    begin = 0
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        end = begin + plane.width * plane.height
        picture[begin:end].reshape(plane.height, plane.width)[:] = rows[
            : plane.height, : plane.width
        ]
        begin = end
    return picture.reshape(height * 3 // 2, width)


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
    # what cv2.COLOR_YUV2RGB_I420 takes it for
    planes = "out_color_matrix=bt601:out_range=tv"
    steps += [
        ("scale", f"{out[0]}:{out[1]}:flags=area" + f":{planes}" * _in_planes(out)),
        ("format", "yuv420p" if _in_planes(out) else "rgb24"),
        ("buffersink", ""),
    ]
    graph = Graph()
    graph.threads = 1  # the engine runs as many processes as there are cores
    nodes = [graph.add(name, arguments or None) for name, arguments in steps]
    for one, other in pairwise(nodes):
        one.link_to(other)
    graph.configure()
    return graph
