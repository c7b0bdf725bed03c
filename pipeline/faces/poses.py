"""The pose of a clip pair's frames: matrices, residuals and differences in head angles."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.faces.affine import F64, Method, compose, invert, residual
from pipeline.faces.expression import Landmarks, fit_faces
from pipeline.faces.framing import crop_to_frame
from pipeline.records import PosePair

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """Input of pose from one take of n frames; NaN where a frame has no face.

    Attributes
    ----------
    times_s
        (n,) instants.
    points, stable
        (n, p, 2) the landmarks to fit and those for the residual, in full-frame pixels.
    yaw_deg, pitch_deg, mouth_open, interocular_px
        (n,) as in `records.FRAMES_SCHEMA`.
    crop
        (x, y, side) of the stored crop in the full frame, pixels.
    """

    times_s: F64
    points: F64
    stable: F64
    yaw_deg: F64
    pitch_deg: F64
    mouth_open: F64
    interocular_px: F64
    crop: tuple[float, float, float]


@dataclass
class Posed:
    """The rows of `PosePair` of one clip pair, and the number of dropped frame pairs by cause."""

    rows: pa.Table
    lost: dict[str, int] = field(default_factory=dict)


def pose_pair(
    pair_id: str,
    a: PoseTrack,
    b: PoseTrack,
    frames: I64,
    *,
    method: Method,
    landmarks: Landmarks,
    smooth_s: float,
    shear_prior: float,
    max_residual: float,
) -> Posed:
    """Fit the map from b's frames to a's.

    Parameters
    ----------
    frames
        (n, 2) frame of a, frame of b.
    landmarks
        The landmarks to fit.
    smooth_s, shear_prior
        As in `affine.fit`.
    max_residual
        In a's interocular distances; frame pairs above it are dropped.
    """
    seen = _seen(a)[frames[:, 0]] & _seen(b)[frames[:, 1]]
    lost = {"no_face": int((~seen).sum()), "degenerate": 0, "large_residual": 0}
    frames = frames[seen]
    if len(frames) == 0:
        return Posed(PosePair.SCHEMA.empty_table(), lost)
    i, j = frames.T
    times_s = np.stack([a.times_s[i], b.times_s[j]], axis=1)
    points = b.points[j], a.points[i]
    matrix = fit_faces(method, *points, landmarks, times_s, smooth_s, shear_prior)
    unit_px = a.interocular_px[i]
    # without a pose, the stored crops are overlaid
    by_crops = compose(crop_to_frame(*a.crop, 1), invert(crop_to_frame(*b.crop, 1)))
    before = residual(by_crops[None], b.stable[j], a.stable[i]) / unit_px
    after = residual(matrix, b.stable[j], a.stable[i]) / unit_px
    found = np.isfinite(after)
    good = found & (np.where(found, after, np.inf) <= max_residual)
    lost["degenerate"] = int((~found).sum())
    lost["large_residual"] = int((found & ~good).sum())
    rows = _rows(pair_id, a, b, frames[good], matrix[good], before[good], after[good])
    return Posed(rows, lost)


def _seen(track: PoseTrack) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(track.points).all((1, 2)) & np.isfinite(track.interocular_px))


def _rows(
    pair_id: str, a: PoseTrack, b: PoseTrack, frames: I64, matrix: F64, before: F64, after: F64
) -> pa.Table:
    i, j = frames.T
    columns: list[F64 | I64 | pa.Array] = [
        pa.array([pair_id] * len(frames), pa.string()),
        i,
        j,
        _six(matrix),
        _six(invert(matrix)),
        before,
        after,
        b.yaw_deg[j] - a.yaw_deg[i],
        b.pitch_deg[j] - a.pitch_deg[i],
        a.mouth_open[i],
        b.mouth_open[j],
        b.mouth_open[j] - a.mouth_open[i],
    ]
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column).cast(kind.type, safe=False)
        for column, kind in zip(columns, PosePair.SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=PosePair.SCHEMA)


def _six(matrix: F64) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), 6)


def values_sha256(rows: pa.Table) -> str:
    """Digest of the rows' values, independent of how a file stores them."""
    hasher = hashlib.sha256()
    for name in rows.schema.names[1:]:
        column = rows[name].combine_chunks()
        values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        hasher.update(np.ascontiguousarray(values.to_numpy()).tobytes())
    return hasher.hexdigest()
