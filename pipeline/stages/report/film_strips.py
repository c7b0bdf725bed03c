"""The frames of a take for the report: stored crops and the framing of the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.faces.framing import face_boxes, ned256, square
from pipeline.faces.sampling import U8
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.report import images
from pipeline.stages.report.inputs import F64, item_of
from pipeline.takes.frame_file import landmarks_of

_CLOSE_UP = 0.9
_EYES, _LIPS = (33, 263), (61, 291, 13, 14)


@dataclass(frozen=True)
class Film:
    """The frames of a take: clip, JPEG crops, the framing of the face, and landmarks (n, 478, 3),
    NaN without a face."""

    clip: Clip
    crops: Sequence[bytes]
    framing: F64
    points: F64

    def crop(self, frame: int) -> U8:
        """The stored crop of a frame."""
        return images.decode(self.crops[frame], f"{self.clip.take_id} frame {frame}")

    def mouth(self, frame: int, size_px: int) -> U8:
        """A close-up of the mouth, `_CLOSE_UP` eye distances wide; grey without a face."""
        points = self.points[frame, :, :2]
        if not np.isfinite(points).all():
            return np.full((size_px, size_px, 3), 128, np.uint8)
        side = _CLOSE_UP * float(np.linalg.norm(points[_EYES[0]] - points[_EYES[1]]))
        x, y = points[list(_LIPS)].mean(axis=0) - side / 2
        framing = square(float(x), float(y), side, size_px)
        return images.face(self.crop(frame), self.clip, framing, size_px)


def film(clip: Clip, extracted: Path, size_px: int) -> Film:
    """Read a take's crops, with a framing for images of `size_px`."""
    path = ItemStore(extracted).path(item_of(clip), ".frames.parquet")
    table = read_table(path, columns=["landmarks", "crop"])
    points = landmarks_of(table["landmarks"]).astype(np.float64)
    found = points[np.isfinite(points).all(axis=(1, 2))]
    place = clip.crop_x_px or 0.0, clip.crop_y_px or 0.0, clip.crop_side_px or 1.0
    framing = ned256(face_boxes(found), size_px) if len(found) else square(*place, size_px)
    return Film(clip, table["crop"].to_pylist(), framing, points)
