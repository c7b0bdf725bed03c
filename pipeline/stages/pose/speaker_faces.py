"""Whether a speaker's takes show one person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg

from pipeline.faces import likeness
from pipeline.faces.affine import F64
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import iter_batches
from pipeline.takes.frame_file import landmarks_of

_FIRST_FRAMES = 64  # one row group; most takes begin with a calm face
_VIEWS = 8


@dataclass(frozen=True)
class SpeakerFaces:
    """The portraits of a speaker's takes and the group of faces that each belongs to.

    Takes of different views are not compared, takes without a face have no portrait.
    """

    limit: float
    portraits: dict[str, F64] = field(default_factory=dict)
    groups: dict[str, tuple[str, int]] = field(default_factory=dict)

    def difference(self, one: str, other: str) -> float | None:
        """The difference of two takes' faces; None where one has no portrait."""
        if not {one, other} <= set(self.portraits):
            return None
        return likeness.difference(self.portraits[one], self.portraits[other])

    def are_two(self, one: str, other: str) -> bool:
        """Whether no chain of similar takes connects the faces of two takes."""
        found = self.groups.get(one), self.groups.get(other)
        return None not in found and found[0] != found[1]

    def detail(self, a: Clip, b: Clip) -> str:
        """What a reject of a pair of two faces says."""
        size_a, size_b = (
            sum(group == self.groups[clip.take_id] for group in self.groups.values())
            for clip in (a, b)
        )
        return (
            f"the faces of {a.take_id} and {b.take_id} differ by "
            f"{self.difference(a.take_id, b.take_id):.2f}, of one person by at most {self.limit}; "
            f"{size_a} and {size_b} takes of {a.speaker} show them"
        )


def speaker_faces(clips: Sequence[Clip], extracted: Path, limit: float) -> SpeakerFaces:
    """Compare the faces of a speaker's takes, view by view; of none if `limit` is 0."""
    faces = SpeakerFaces(limit)
    for view, takes in groupby(sorted(clips, key=_view), key=_view):
        portraits = dict(_portraits(takes, extracted)) if limit else {}
        faces.portraits.update(portraits)
        for take_id, n in likeness.groups(portraits, limit).items():
            faces.groups[take_id] = view, n
    return faces


def _view(clip: Clip) -> str:
    return clip.view


def _portraits(clips: Iterable[Clip], extracted: Path) -> Iterable[tuple[str, F64]]:
    for clip in clips:
        if not clip.has_video:
            continue
        path = ItemStore(extracted).path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
        views = _views(clip, path)
        if views:
            yield clip.take_id, likeness.portrait(views)


def _views(clip: Clip, frames_file: Path) -> list[F64]:
    batch = next(iter_batches(frames_file, ["landmarks", "crop"], _FIRST_FRAMES))
    landmarks = landmarks_of(pa.chunked_array([batch.column(0)])).astype(np.float64)
    shown = np.flatnonzero(np.isfinite(landmarks).all((1, 2)))
    wanted = shown[np.linspace(0, len(shown) - 1, _VIEWS).astype(int)] if len(shown) else shown
    assert clip.crop_x_px is not None
    assert clip.crop_y_px is not None
    assert clip.crop_side_px is not None
    views: list[F64] = []
    for k in dict.fromkeys(wanted.tolist()):
        crop = simplejpeg.decode_jpeg(batch.column(1)[k].as_py(), colorspace="RGB")
        points = (landmarks[k, :, :2] - (clip.crop_x_px, clip.crop_y_px)) * (
            crop.shape[1] / clip.crop_side_px
        )
        view = likeness.view(crop, points)
        views += [] if view is None else [view]
    return views
