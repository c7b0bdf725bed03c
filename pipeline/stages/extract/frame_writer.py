"""The picture of a take: its frames written, and what they give to its clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import media
from pipeline.digests import sha256_of
from pipeline.errors import Reject
from pipeline.faces.crop import square_for
from pipeline.faces.mesh import FaceFinder, Tracker
from pipeline.faces.track_stats import Tally
from pipeline.faces.tracking import Manner, first_face, follow
from pipeline.params import Extract
from pipeline.records import FRAMES_SCHEMA
from pipeline.runtime.tables import write_batches
from pipeline.stages.extract.frame_rows import batches

_PASSES = 3
NO_PICTURE: dict[str, Any] = {
    **dict.fromkeys(
        ("width_px", "height_px", "fps", "video_start_s", "video_end_s", "crop_x_px", "crop_y_px",
         "crop_side_px", "crop_px", "interocular_px", "frames_sha256", "declared_frames",
         "longest_frame_s")
    ),
    "n_frames": 0,
    "n_found": 0,
}  # fmt: skip
"""The columns of a take without one."""


@dataclass(frozen=True)
class Picture:
    """What the picture of a take gives to its clip."""

    columns: dict[str, Any]
    span_s: tuple[float, float]
    findings: set[str]


class _Passes:
    """One take's ways through its pictures, each of which ends in the file `target`."""

    def __init__(self, section: Extract, tools: tuple[Tracker, FaceFinder], target: Path) -> None:
        self.section, self.tools, self.target = section, tools, target
        self.manner = Manner(section.mesh_px, section.count_faces_every_s, section.jpeg_quality)
        self.left = _PASSES

    def write(
        self,
        video: media.Video,
        frames: Iterator[media.Frame],
        start: tuple[float, float, float, float],
        tally: Tally,
    ) -> None:
        """Follow the face and write what is seen.

        Raises
        ------
        Reject
            Where the take is of no use; no file is left then.
        """
        self.left -= 1
        seen = follow(frames, start, self.tools, self.manner, tally)
        checked = self._checked(batches(seen, tally), video, tally)
        write_batches(self.target, FRAMES_SCHEMA, checked, plain_columns=["crop"])

    def _checked(
        self, rows: Iterator[pa.RecordBatch], video: media.Video, tally: Tally
    ) -> Iterator[pa.RecordBatch]:
        """The rows, then a Reject where there is one: before the file is put in place."""
        yield from rows
        section = self.section
        n, found = len(tally.found), sum(tally.found)
        if tally.is_crowded and section.policies.several_faces == "set_aside":
            raise Reject("several_faces", f"up to {max(tally.counts)} faces in the picture")
        if video.end_s - video.times_s[0] < section.min_duration_s:
            raise Reject("few_frames", f"{n} frames, {video.end_s - video.times_s[0]:.2f} s")
        if self.holds(tally) and (found == 0 or found < section.min_found * n):
            raise Reject("no_face", f"a face in {found} of {n} frames")

    def holds(self, tally: Tally) -> bool:
        """Whether the square held the head, or there is no pass left to try a wider one."""
        return tally.holds or self.left == 0


def write_picture(
    opened: media.MediaSource,
    target: Path,
    tools: tuple[Tracker, FaceFinder],
    section: Extract,
) -> Picture | None:
    """Write the frames of a take to `target`; None where the file holds no picture.

    The file is decoded once where its first frame shows a face whose head stays in its square.

    Raises
    ------
    Reject
        Where the picture cannot be used.
    """
    limits = media.Limits(section.max_frame_px, section.max_duration_s)
    upright = section.policies.rotated != "use"
    show = partial(media.open_video, opened, limits, upright=upright)
    passes = _Passes(section, tools, target)
    with show() as video:
        if video is None:
            return None
        frames = video.frames()
        start, first = first_face(frames, tools[1], section.mesh_px)
        tally = Tally(square_for([start], section.crop_margin, section.crop_px))
        is_done = first.index == 0
        if is_done:
            passes.write(video, chain([first], frames), start, tally)
    while not (is_done and passes.holds(tally)):
        if is_done:
            tally = Tally(tally.wider(section.crop_margin, section.crop_px))
        with show() as video:
            assert video is not None
            passes.write(video, video.frames(), start, tally)
        is_done = True
    return _described(video, tally, target)


def _described(video: media.Video, tally: Tally, target: Path) -> Picture:
    square = tally.square
    start_s, end_s = video.times_s[0], video.end_s
    columns = {
        "width_px": video.width_px,
        "height_px": video.height_px,
        "fps": round(len(tally.found) / (end_s - start_s), 6),
        "n_frames": len(tally.found),
        "n_found": sum(tally.found),
        "video_start_s": start_s,
        "video_end_s": end_s,
        "crop_x_px": float(square.x),
        "crop_y_px": float(square.y),
        "crop_side_px": float(square.side),
        "crop_px": square.stored_px,
        "interocular_px": float(np.float32(np.median(tally.interocular_px))),
        "declared_frames": video.declared_frames or None,
        "n_mouth_covered": sum(tally.covered()),
        "longest_frame_s": max([end_s - video.times_s[-1], *np.diff(video.times_s).tolist()]),
        "frames_sha256": sha256_of(target),
    }
    return Picture(columns, (start_s, end_s), media.video_findings(video) | tally.findings(video))
