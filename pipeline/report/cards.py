"""One pair as pictures: film strip, figure and pose overlay. The worker of the report stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import media
from pipeline.faces.affine import compose, invert
from pipeline.faces.framing import crop_to_frame
from pipeline.params import Report
from pipeline.records import Clip, Pair
from pipeline.report import pictures
from pipeline.report.figure import TakeCurves, figure
from pipeline.report.films import Film, film
from pipeline.report.grids import GridJob, grid
from pipeline.report.inputs import F64, item_of
from pipeline.report.sheets import SheetJob, sheet
from pipeline.reuse import ItemStore, write_json
from pipeline.run import Outcome
from pipeline.tables import read_table

SUFFIX = ".json"
_CURVES = ("time_s", "duration_s", "mouth_open")
_POSES = ("pair_id", "frame_a", "frame_b", "affine", "residual_after")


@dataclass(frozen=True)
class CardJob:
    """What the worker needs of one pair.

    `true_ms`: the error by truth, a value a frame pair, or empty.
    """

    pair: Pair
    a: Clip
    b: Clip
    extracted: Path
    poses: Path | None
    section: Report
    audio_fps: float
    true_ms: tuple[float | None, ...]
    overlay: bool


@dataclass(frozen=True)
class FaceJob:
    """One picture of a take that a reject names."""

    clip: Clip
    extracted: Path
    section: Report


class PoseFiles:
    """The pose file read last: the pairs of a speaker follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._table: pa.Table | None = None

    def rows(self, path: Path, pair_id: str) -> dict[tuple[int, int], tuple[F64, float]]:
        """Affine (2, 3) and residual of each posed frame pair (a, b) of a clip pair."""
        if path != self._path or self._table is None:
            self._path, self._table = path, read_table(path, columns=_POSES)
        found = self._table.filter(pc.equal(self._table["pair_id"], pair_id)).to_pylist()
        return {
            (row["frame_a"], row["frame_b"]): (
                np.reshape(row["affine"], (2, 3)),
                float(row["residual_after"]),
            )
            for row in found
        }


Poses = dict[tuple[int, int], tuple[F64, float]]


def draw(
    state: PoseFiles, store: ItemStore, unit: str, job: CardJob | FaceJob | SheetJob | GridJob
) -> Outcome:
    """Draw one card, one face or one contact sheet and keep it as JSON."""
    if isinstance(job, SheetJob):
        content = sheet(job)
    elif isinstance(job, GridJob):
        content = grid(job)
    else:
        content = _card(state, job) if isinstance(job, CardJob) else _portrait(job)
    write_json(store.path(unit, SUFFIX), content)
    return Outcome(suffixes=[SUFFIX])


def _card(files: PoseFiles, job: CardJob) -> dict[str, Any]:
    pair = job.pair
    poses = files.rows(job.poses, pair.pair_id) if job.poses is not None else {}
    size = job.section.thumb_px
    films = [film(c, job.extracted, size) if c.has_picture else None for c in (job.a, job.b)]
    shown = _positions(pair, poses, job.section.frames_per_strip)
    curves = [_curves(clip, job) for clip in (job.a, job.b)]
    a, b = films
    pictured = a is not None and b is not None
    card: dict[str, Any] = {
        "figure": figure(pair, curves[0], curves[1], shown if pictured else [], job.true_ms),
        "mel_a": _mel(job.a, job.extracted),
        "mel_b": _mel(job.b, job.extracted),
        "strip": None,
        "overlay": None,
    }
    if a is not None and b is not None:
        card["strip"] = _strip(job, a, b, poses, shown, curves)
        card["overlay"] = _overlay(job, a, b, poses) if job.overlay and poses else None
    return card


def _positions(pair: Pair, poses: Poses, count: int) -> list[int]:
    """Positions in the pair's columns, evenly along it; only posed ones where there are any."""
    frames = list(zip(pair.frame_a, pair.frame_b, strict=True))
    known = [k for k, both in enumerate(frames) if both in poses] or list(range(len(frames)))
    count = min(count, len(known))
    return [known[int((k + 0.5) * len(known) / count)] for k in range(count)]


def _curves(clip: Clip, job: CardJob) -> TakeCurves:
    if not clip.has_picture:
        n = int((clip.audio_end_s - clip.audio_start_s) * job.audio_fps)
        instants = clip.audio_start_s + (np.arange(n) + 0.5) / job.audio_fps
        return TakeCurves(instants, np.full(n, np.nan), clip.audio_start_s, clip.audio_end_s)
    path = ItemStore(job.extracted).path(item_of(clip), ".frames.parquet")
    table = read_table(path, columns=_CURVES)
    start, duration, mouth = (
        table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _CURVES
    )
    return TakeCurves(start + duration / 2, mouth, clip.audio_start_s, clip.audio_end_s)


def _mel(clip: Clip, extracted: Path) -> str:
    path = ItemStore(extracted).path(item_of(clip), ".audio.flac")
    return pictures.spectrogram_uri(media.read_flac(path), 16000)


def _strip(
    job: CardJob, a: Film, b: Film, poses: Poses, shown: list[int], curves: list[TakeCurves]
) -> dict[str, Any]:
    pair, size = job.pair, job.section.thumb_px
    tops, bottoms, columns = [], [], []
    for k in shown:
        i, j = pair.frame_a[k], pair.frame_b[k]
        pose, residual = poses.get((i, j), (None, None))
        tops.append(pictures.face(a.crop(i), a.clip, a.framing, size))
        framing = b.framing if pose is None else a.framing
        bottoms.append(pictures.face(b.crop(j), b.clip, framing, size, pose))
        columns.append(
            {
                "frame_a": i,
                "frame_b": j,
                "time_a_s": round(float(curves[0].instants_s[i]), 2),
                "time_b_s": round(float(curves[1].instants_s[j]), 2),
                "confidence": round(pair.confidence[k], 2),
                "error_ms": round(pair.error_ms[k]),
                "residual": None if residual is None else round(residual, 3),
                "true_ms": _whole(job.true_ms[k]) if job.true_ms else None,
            }
        )
    return {
        "a": pictures.strip(tops),
        "b": pictures.strip(bottoms),
        "size_px": size,
        "posed": bool(poses),
        "columns": columns,
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _overlay(job: CardJob, a: Film, b: Film, poses: Poses) -> dict[str, Any]:
    """Before and after the pose, for the frame pair of median residual."""
    order = sorted(poses, key=lambda frames: (poses[frames][1], frames))
    i, j = order[len(order) // 2]
    size = job.section.thumb_px
    by_crops = compose(_unit_crop(a.clip), invert(_unit_crop(b.clip)))
    top = pictures.face(a.crop(i), a.clip, a.framing, size)
    maps = by_crops, poses[i, j][0]
    before, after = (pictures.face(b.crop(j), b.clip, a.framing, size, pose) for pose in maps)
    row = [top, before, pictures.fringes(top, before), after, pictures.fringes(top, after)]
    return {"picture": pictures.strip(row), "size_px": size, "frame_a": i, "frame_b": j}


def _unit_crop(clip: Clip) -> F64:
    """From the stored crop as a square of side 1 to the full frame: b's crop laid on a's."""
    return crop_to_frame(clip.crop_x_px or 0.0, clip.crop_y_px or 0.0, clip.crop_side_px or 1.0, 1)


def _portrait(job: FaceJob) -> dict[str, Any]:
    shown = film(job.clip, job.extracted, job.section.thumb_px)
    middle = shown.crop(len(shown.crops) // 2)
    picture = pictures.face(middle, job.clip, shown.framing, job.section.thumb_px)
    return {"picture": pictures.jpeg_uri(picture)}
