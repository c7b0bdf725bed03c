"""Grids of families. One row per source frame: image, reconstruction and six emotions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.faces.affine import compose
from pipeline.faces.sampling import U8
from pipeline.media.jpeg import decode_jpeg
from pipeline.records import Clip
from pipeline.runtime.tables import iter_batches, read_table
from pipeline.stages.report import images
from spfem_data.labels import EMOTIONS

COLUMNS = ("source", "reconstruction", *EMOTIONS[1:])
_RIM_PX = 3
_REJECTED = (200, 40, 40)
_GREY = 128
_BATCH = 16
_SHOWN = (
    "family_id", "frame", "emotion", "is_reconstruction", "verdict", "gaps", "clarity_rise",
    "mouth_open_difference", "mouth_width_difference", "mouth_corner_difference",
    "frame_to_image",
)  # fmt: skip


@dataclass(frozen=True)
class GridJob:
    """The families of one take in display order, and the take's files."""

    clip: Clip
    families: tuple[str, ...]
    families_file: Path
    frames_file: Path
    size_px: int


@dataclass(frozen=True)
class InversionJob:
    """Source frames and their reconstructions: one family each, in display order."""

    frames: tuple[GridJob, ...]


def inversions(job: InversionJob) -> dict[str, Any]:
    """Two strips as a data URI: source frames above, reconstructions below."""
    columns = []
    for one in job.frames:
        table = read_table(one.families_file, columns=[*_SHOWN, "image"])
        rebuilt = next(
            row
            for row in table.to_pylist()
            if row["family_id"] == one.families[0] and row["is_reconstruction"]
        )
        reconstruction = _cell({**rebuilt, "verdict": "kept"}, one.size_px)
        columns.append(np.concatenate([_source(one, rebuilt), reconstruction], axis=0))
    return {"image": images.strip(columns), "size_px": job.frames[0].size_px}


def grid(job: GridJob) -> dict[str, Any]:
    """The grid as a data URI and the measures of each image. Rejected images have a red frame."""
    table = read_table(job.families_file, columns=[*_SHOWN, "image"])
    rows = [row for row in table.to_pylist() if row["family_id"] in job.families]
    strips, labels = [], []
    for family in job.families:
        theirs = {_column(row): row for row in rows if row["family_id"] == family}
        cells = [_cell(theirs.get(name), job.size_px) for name in COLUMNS[1:]]
        strips.append(np.concatenate([_source(job, theirs["reconstruction"]), *cells], axis=1))
        labels.append([_label(name, theirs.get(name)) for name in COLUMNS])
    image = images.jpeg_uri(np.concatenate(strips, axis=0))
    return {"image": image, "size_px": job.size_px, "rows": labels, "columns": list(COLUMNS)}


def _column(row: dict[str, Any]) -> str:
    return "reconstruction" if row["is_reconstruction"] else str(row["emotion"])


def _cell(row: dict[str, Any] | None, size_px: int) -> U8:
    if row is None:
        return np.full((size_px, size_px, 3), _GREY, np.uint8)
    made = decode_jpeg(row["image"])
    smaller = cv2.INTER_AREA if made.shape[0] > size_px else cv2.INTER_CUBIC
    cell = np.asarray(cv2.resize(made, (size_px, size_px), interpolation=smaller), np.uint8)
    if row["verdict"] != "kept":
        rim = np.ones((size_px, size_px), np.bool_)
        rim[_RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX] = False
        cell[rim] = _REJECTED
    return cell


def _source(job: GridJob, rebuilt: dict[str, Any]) -> U8:
    """The source frame in the framing of the reconstruction."""
    size = decode_jpeg(rebuilt["image"]).shape[0]
    smaller = np.array([[job.size_px / size, 0.0, 0.0], [0.0, job.size_px / size, 0.0]])
    framing = compose(smaller, np.array(rebuilt["frame_to_image"]).reshape(2, 3))
    for batch in iter_batches(job.frames_file, ["frame", "crop"], _BATCH):
        place = rebuilt["frame"] - batch.column(0)[0].as_py()
        if place < len(batch):
            crop = images.decode(batch.column(1)[place].as_py(), job.clip.take_id)
            return images.face(crop, job.clip, framing, job.size_px)
    raise AssertionError(f"{job.clip.take_id} has no frame {rebuilt['frame']}")


def _label(name: str, row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"name": name, "verdict": None}
    measured = ("mouth_open_difference", "clarity_rise", "gaps", "verdict")
    return {"name": name, **{key: row[key] for key in measured}}
