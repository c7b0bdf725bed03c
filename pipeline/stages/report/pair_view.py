"""One pair as images and curves, for the cards of the page and the sheet of `show-pair`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import media
from pipeline.faces.affine import compose, invert
from pipeline.faces.framing import crop_to_frame
from pipeline.faces.sampling import U8
from pipeline.params import Report
from pipeline.records import Clip, Pair
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.report import images
from pipeline.stages.report.figure import TakeCurves, figure
from pipeline.stages.report.film_strips import Film, film
from pipeline.stages.report.inputs import F64, item_of

RATE_HZ = 16000
_MS = 1000.0
_CURVES = ("time_s", "duration_s", "mouth_open")
_POSES = ("pair_id", "frame_a", "frame_b", "affine", "residual_after")

Poses = dict[tuple[int, int], tuple[F64, float]]


@dataclass(frozen=True)
class CardJob:
    """The input for drawing one pair.

    `true_ms` is the true error of each frame pair, or empty. `close_ups` asks for the mouths.
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
    close_ups: bool = False


@dataclass(frozen=True)
class Overlay:
    """Five faces: a, b before the pose, both overlaid, b after the pose, both overlaid."""

    faces: tuple[U8, ...]
    frame_a: int
    frame_b: int


@dataclass(frozen=True)
class PairView:
    """A pair ready to draw.

    `figure` is the result of `report.figure`. `tops` and `bottoms` are the faces of the strip, one
    per entry of `columns`, and empty for audio-only takes; `mouths` are their close-ups, of a and
    of b, at the same scale. `recordings` are the samples at `RATE_HZ`, `mels` their
    spectrograms, b's in the time of a.
    """

    figure: dict[str, Any]
    tops: tuple[U8, ...]
    bottoms: tuple[U8, ...]
    columns: tuple[dict[str, Any], ...]
    posed: bool
    recordings: tuple[NDArray[np.float32], NDArray[np.float32]]
    mels: tuple[U8, U8]
    overlay: Overlay | None
    mouths: tuple[tuple[U8, ...], tuple[U8, ...]] = ((), ())


class PoseFiles:
    """A cache of the last pose file; the pairs of a speaker are processed in sequence."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._table: pa.Table | None = None

    def rows(self, path: Path, pair_id: str) -> Poses:
        """Affine (2, 3) and residual of each posed frame pair (a, b) of a clip pair."""
        if path != self._path or self._table is None:
            self._path, self._table = path, read_table(path, columns=_POSES)
        rows = self._table.filter(pc.equal(self._table["pair_id"], pair_id)).to_pylist()
        return {
            (row["frame_a"], row["frame_b"]): (
                np.reshape(row["affine"], (2, 3)),
                float(row["residual_after"]),
            )
            for row in rows
        }


def pair_view(files: PoseFiles, job: CardJob) -> PairView:
    """Read the data of a pair and frame its faces."""
    pair, size = job.pair, job.section.thumb_px
    poses = files.rows(job.poses, pair.pair_id) if job.poses is not None else {}
    a, b = (film(c, job.extracted, size) if c.has_video else None for c in (job.a, job.b))
    curves = [
        _curves(clip, job, late_ms / _MS)
        for clip, late_ms in ((job.a, pair.sync_a_ms), (job.b, pair.sync_b_ms))
    ]
    shown = _positions(pair, poses, job.section.frames_per_strip) if a and b else []
    tops, bottoms = _faces(job, a, b, poses, shown) if a and b else ((), ())
    drawn = figure(pair, curves[0], curves[1], shown, job.true_ms)
    recordings = _audio(job.a, job.extracted), _audio(job.b, job.extracted)
    overlay = _overlay(job, a, b, poses) if a and b and job.overlay and poses else None
    columns = tuple(_column(job, poses, k, curves) for k in shown)
    mels = _mels(pair, job, recordings)
    mouths = _close_ups(job, a, b, shown) if a and b and job.close_ups else ((), ())
    return PairView(drawn, tops, bottoms, columns, bool(poses), recordings, mels, overlay, mouths)


def _close_ups(
    job: CardJob, a: Film, b: Film, shown: list[int]
) -> tuple[tuple[U8, ...], tuple[U8, ...]]:
    size = job.section.thumb_px
    return (
        tuple(a.mouth(job.pair.frame_a[k], size) for k in shown),
        tuple(b.mouth(job.pair.frame_b[k], size) for k in shown),
    )


def _positions(pair: Pair, poses: Poses, count: int) -> list[int]:
    """Evenly spaced positions in the pair's columns; only posed ones if there are any."""
    frames = list(zip(pair.frame_a, pair.frame_b, strict=True))
    known = [k for k, both in enumerate(frames) if both in poses] or list(range(len(frames)))
    count = min(count, len(known))
    return [known[int((k + 0.5) * len(known) / count)] for k in range(count)]


def _curves(clip: Clip, job: CardJob, late_s: float) -> TakeCurves:
    if not clip.has_video:
        n = int((clip.audio_end_s - clip.audio_start_s) * job.audio_fps)
        instants = clip.audio_start_s + (np.arange(n) + 0.5) / job.audio_fps
        return TakeCurves(instants, np.full(n, np.nan), clip.audio_start_s, clip.audio_end_s)
    path = ItemStore(job.extracted).path(item_of(clip), ".frames.parquet")
    table = read_table(path, columns=_CURVES)
    start, duration, mouth = (
        table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _CURVES
    )
    instants = start + duration / 2 - late_s
    return TakeCurves(instants, mouth, clip.audio_start_s, clip.audio_end_s, late_s)


def _audio(clip: Clip, extracted: Path) -> NDArray[np.float32]:
    return media.read_flac(ItemStore(extracted).path(item_of(clip), ".audio.flac"))


def _mels(
    pair: Pair, job: CardJob, recordings: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> tuple[U8, U8]:
    a, b = (images.spectrogram(audio, RATE_HZ) for audio in recordings)
    knots = np.column_stack([pair.knots_a_s, pair.knots_b_s])
    return a, images.warped(b, knots, job.b.audio_start_s)


def _faces(
    job: CardJob, a: Film, b: Film, poses: Poses, shown: list[int]
) -> tuple[tuple[U8, ...], tuple[U8, ...]]:
    pair, size = job.pair, job.section.thumb_px
    tops, bottoms = [], []
    for k in shown:
        i, j = pair.frame_a[k], pair.frame_b[k]
        pose, _ = poses.get((i, j), (None, None))
        tops.append(images.face(a.crop(i), a.clip, a.framing, size))
        framing = b.framing if pose is None else a.framing
        bottoms.append(images.face(b.crop(j), b.clip, framing, size, pose))
    return tuple(tops), tuple(bottoms)


def _column(job: CardJob, poses: Poses, k: int, curves: list[TakeCurves]) -> dict[str, Any]:
    pair = job.pair
    i, j = pair.frame_a[k], pair.frame_b[k]
    residual = poses[i, j][1] if (i, j) in poses else None
    true_ms = job.true_ms[k] if job.true_ms else None
    return {
        "frame_a": i,
        "frame_b": j,
        "time_a_s": round(float(curves[0].instants_s[i] + curves[0].late_s), 2),
        "time_b_s": round(float(curves[1].instants_s[j] + curves[1].late_s), 2),
        "confidence": round(pair.confidence[k], 2),
        "error_ms": round(pair.error_ms[k]),
        "residual": None if residual is None else round(residual, 3),
        "speaks": (pair.speech_a[k], pair.speech_b[k]),
        "true_ms": None if true_ms is None else round(true_ms),
    }


def _overlay(job: CardJob, a: Film, b: Film, poses: Poses) -> Overlay:
    """The overlay of the frame pair of median residual."""
    order = sorted(poses, key=lambda frames: (poses[frames][1], frames))
    i, j = order[len(order) // 2]
    size = job.section.thumb_px
    by_crops = compose(_unit_crop(a.clip), invert(_unit_crop(b.clip)))
    top = images.face(a.crop(i), a.clip, a.framing, size)
    maps = by_crops, poses[i, j][0]
    before, after = (images.face(b.crop(j), b.clip, a.framing, size, pose) for pose in maps)
    fringes = images.fringes(top, before), images.fringes(top, after)
    return Overlay((top, before, fringes[0], after, fringes[1]), i, j)


def _unit_crop(clip: Clip) -> F64:
    """From the stored crop as a unit square to the full frame."""
    return crop_to_frame(clip.crop_x_px or 0.0, clip.crop_y_px or 0.0, clip.crop_side_px or 1.0, 1)
