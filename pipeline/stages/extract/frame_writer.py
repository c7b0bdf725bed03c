"""Write the frames of a take, and describe its video for the take's clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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
from pipeline.faces.mesh import FaceFinder, SettlingTracker
from pipeline.faces.track_stats import TrackStats, TurnVotes
from pipeline.faces.tracking import first_face, track_face
from pipeline.params import Extract
from pipeline.records import FRAMES_SCHEMA
from pipeline.runtime.tables import write_batches
from pipeline.stages.extract.frame_rows import batches

_PASSES = 3
NO_VIDEO: dict[str, Any] = {
    **dict.fromkeys(
        ("width_px", "height_px", "fps", "video_start_s", "video_end_s", "crop_x_px", "crop_y_px",
         "crop_side_px", "crop_px", "interocular_px", "frames_sha256", "declared_frames",
         "longest_frame_s")
    ),
    "n_frames": 0,
    "n_found": 0,
}  # fmt: skip
"""The video columns of an audio-only take."""

OpenVideo = Callable[[], AbstractContextManager[media.Video | None]]


@dataclass(frozen=True)
class VideoTrack:
    """What the video of a take contributes to its clip: columns, (start, end), findings, and how
    each frame differs from the one before."""

    columns: dict[str, Any]
    span_s: tuple[float, float]
    findings: set[str]
    changes: media.FrameChanges


class _Passes:
    """Decoding passes over one take, each of which writes the file `target`."""

    def __init__(
        self, section: Extract, tools: tuple[SettlingTracker, FaceFinder], target: Path
    ) -> None:
        self.section, self.tools, self.target = section, tools, target
        self.votes = TurnVotes()
        self.left = _PASSES

    def run(self, show: OpenVideo) -> VideoTrack | None:
        """Track the face and write the frames; None if the file has no video.

        The file is decoded once if its first frame shows a face whose head stays in its square.

        Raises
        ------
        Reject
            If the video cannot be used.
        """
        section = self.section
        with show() as video:
            if video is None:
                return None
            frames = video.frames()
            start, first = first_face(frames, self.tools[1], section.mesh_px, self.votes)
            square = square_for([start], section.crop_margin, section.crop_px)
            stats = TrackStats(square, self.votes)
            is_done = first.index == 0
            if is_done:
                self._write(video, chain([first], frames), start, stats)
        while not (is_done and self._holds(stats)):
            if is_done:
                square = stats.wider(section.crop_margin, section.crop_px)
                stats = TrackStats(square, self.votes)
            with show() as video:
                assert video is not None
                self._write(video, video.frames(), start, stats)
            is_done = True
        return _described(video, stats, self.target)

    def _write(
        self,
        video: media.Video,
        frames: Iterator[media.Frame],
        start: tuple[float, float, float, float],
        stats: TrackStats,
    ) -> None:
        self.left -= 1
        tracked = track_face(frames, start, self.tools, self.section, stats)
        checked = self._checked(batches(tracked, stats), video, stats)
        write_batches(self.target, FRAMES_SCHEMA, checked, plain_columns=["crop"])

    def _checked(
        self, rows: Iterator[pa.RecordBatch], video: media.Video, stats: TrackStats
    ) -> Iterator[pa.RecordBatch]:
        """The rows, then a Reject if there is one: before the file is put in place."""
        yield from rows
        section = self.section
        n, found = len(stats.found), sum(stats.found)
        if stats.is_crowded and section.policies.several_faces == "reject":
            raise Reject("several_faces", f"up to {max(stats.counts)} faces in the image")
        if video.end_s - video.times_s[0] < section.min_duration_s:
            raise Reject("few_frames", f"{n} frames, {video.end_s - video.times_s[0]:.2f} s")
        if self._holds(stats) and (found == 0 or found < section.min_found * n):
            cut_off = f"; in {stats.outside} it is partly outside the image" * (stats.outside > 0)
            raise Reject("no_face", f"a face in {found} of {n} frames{cut_off}")

    def _holds(self, stats: TrackStats) -> bool:
        """Whether the square contained the head, or no pass is left to try a wider one."""
        return stats.holds or self.left == 0


def write_frames(
    opened: media.MediaSource,
    target: Path,
    tools: tuple[SettlingTracker, FaceFinder],
    section: Extract,
) -> VideoTrack | None:
    """Write the frames of a take to `target`; None if the file has no video.

    A face that is upside down or on its side is turned upright if `policies.wrong_way_up` is
    `repair`; this decodes the take once more.

    Raises
    ------
    Reject
        If the video cannot be used.
    """
    limits = media.Limits(section.max_frame_px, section.max_duration_s)
    upright = section.policies.rotated != "keep"
    show = partial(media.open_video, opened, limits, upright=upright)
    passes = _Passes(section, tools, target)
    try:
        track = passes.run(show)
    except Reject as reject:
        if reject.reason != "no_face" or not _to_turn(passes):
            raise
    else:
        if not _to_turn(passes):
            return track
    turned = _Passes(section, tools, target).run(partial(show, turn=passes.votes.turn))
    assert turned is not None
    turned.findings.add("wrong_way_up")
    return turned


def _to_turn(passes: _Passes) -> bool:
    return passes.votes.turn != 0 and passes.section.policies.wrong_way_up == "repair"


def _described(video: media.Video, stats: TrackStats, target: Path) -> VideoTrack:
    square = stats.square
    start_s, end_s = video.times_s[0], video.end_s
    columns = {
        "width_px": video.width_px,
        "height_px": video.height_px,
        "fps": round(len(stats.found) / (end_s - start_s), 6),
        "n_frames": len(stats.found),
        "n_found": sum(stats.found),
        "video_start_s": start_s,
        "video_end_s": end_s,
        "crop_x_px": float(square.x),
        "crop_y_px": float(square.y),
        "crop_side_px": float(square.side),
        "crop_px": square.stored_px,
        "interocular_px": float(np.float32(np.median(stats.interocular_px))),
        "declared_frames": video.declared_frames or None,
        "n_mouth_covered": sum(stats.covered()),
        "longest_frame_s": max([end_s - video.times_s[-1], *np.diff(video.times_s).tolist()]),
        "frames_sha256": sha256_of(target),
    }
    findings = media.video_findings(video) | stats.findings(video)
    return VideoTrack(columns, (start_s, end_s), findings, stats.changes(video))
