"""Errors against the demo's ground truth, for metrics.json, terminal and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc

from pipeline.faces.affine import compose, invert
from pipeline.faces.framing import crop_to_frame
from pipeline.records import Clip, Pair
from pipeline.runtime.tables import read_table
from pipeline.stages.report.accuracy import (
    Bin,
    PairError,
    PoseError,
    alignment_figures,
    calibration,
    landmark_errors,
    line,
    pair_error,
    pose_error,
)
from pipeline.stages.report.inputs import F64, Inputs
from pipeline.stages.report.metrics import median, quantile, rounded, share
from pipeline.stages.report.sentence_accuracy import identity_figures, wrong_pairs
from pipeline.stages.report.truth import TrueFrames, Truth
from pipeline.takes.frame_file import read_columns

CAVEAT = "demo only, says nothing about real faces and voices"
_ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")
_COLUMNS = ("time_s", "duration_s", *_ANGLES, "mouth_open", "landmarks")


@dataclass(frozen=True)
class Accuracy:
    """Errors against the ground truth.

    `pairs` by pair id, if both takes have the same phonemes. `wrong` are the ids of pairs whose
    takes differ in words. `figures` are the nested numbers of metrics.json.
    """

    pairs: Mapping[str, PairError]
    wrong: frozenset[str]
    bins: tuple[Bin, ...]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class _Measured:
    """One clip: instants (n,) of its frames with measured and true values."""

    instants_s: F64
    measured: dict[str, F64]
    true: TrueFrames


def true_ms(error: PairError | None) -> tuple[float | None, ...]:
    """The signed error of each frame pair, None outside the phonemes; empty if unknown."""
    if error is None:
        return ()
    return tuple(None if np.isnan(e) else rounded(e, 2) for e in error.error_ms)


def pair_errors(
    inputs: Inputs, truth: Truth, pairs: Sequence[Pair], clips: Mapping[str, Clip]
) -> dict[str, PairError]:
    """The errors of pairs of these clips by id, if both takes have the same phonemes."""
    return _errors(pairs, truth, _measure_clips(inputs, truth, clips))


def measure(inputs: Inputs, truth: Truth, mode: Literal["neutral", "all"]) -> Accuracy:
    """Compare the results of the stages with the ground truth."""
    measured_clips = _measure_clips(inputs, truth, inputs.clips)
    spoken = {take_id: take.sentence for take_id, take in truth.takes.items()}
    wrong = wrong_pairs(inputs.pairs, spoken)
    errors = _errors(inputs.pairs, truth, measured_clips)
    bins, calibrated = _calibration(inputs.pairs, errors)
    figures = {
        "alignment": alignment_figures(list(errors.values())),
        "calibration": calibrated,
        "identity": identity_figures(inputs.pairs, inputs.sentences, inputs.clips, spoken, mode),
        "landmarks": _landmarks(measured_clips.values()),
        "head_pose": _head_pose(list(measured_clips.values())),
        "mouth": _mouth(measured_clips),
        "pose": _pose(inputs, measured_clips),
    }
    return Accuracy(errors, frozenset(wrong), tuple(bins), figures)


def _measure_clips(inputs: Inputs, truth: Truth, clips: Mapping[str, Clip]) -> dict[str, _Measured]:
    return {
        clip.take_id: _measure_clip(inputs, clip, truth)
        for clip in clips.values()
        if clip.has_video and clip.take_id in truth.takes
    }


def _measure_clip(inputs: Inputs, clip: Clip, truth: Truth) -> _Measured:
    columns = read_columns(inputs.frames_path(clip), _COLUMNS)
    instants = columns["time_s"] + columns["duration_s"] / 2
    return _Measured(instants, columns, truth.frames(clip.take_id, instants))


def _errors(
    pairs: Sequence[Pair], truth: Truth, measured_clips: Mapping[str, _Measured]
) -> dict[str, PairError]:
    errors = ((pair.pair_id, _pair_error(pair, truth, measured_clips)) for pair in pairs)
    return {pair_id: error for pair_id, error in errors if error is not None}


def _pair_error(
    pair: Pair, truth: Truth, measured_clips: Mapping[str, _Measured]
) -> PairError | None:
    a, b = (truth.takes.get(take) for take in (pair.take_a, pair.take_b))
    if a is None or b is None or a.sentence != b.sentence or a.phonemes != b.phonemes:
        return None
    if not {pair.take_a, pair.take_b} <= set(measured_clips):
        return None
    instants = (
        measured_clips[pair.take_a].instants_s - a.image_late_s,
        measured_clips[pair.take_b].instants_s - b.image_late_s,
    )
    ours = np.column_stack([pair.knots_a_s, pair.knots_b_s])
    return pair_error((a.onsets_s, b.onsets_s), ours, instants, (pair.frame_a, pair.frame_b))


def _calibration(
    pairs: Sequence[Pair], errors: Mapping[str, PairError]
) -> tuple[list[Bin], dict[str, float | None]]:
    known = [pair for pair in pairs if pair.pair_id in errors]
    empty = np.empty(0)
    true = np.concatenate([empty, *(np.abs(errors[p.pair_id].error_ms) for p in known)])
    confidence = np.concatenate([empty, *(np.array(p.confidence) for p in known)])
    claimed = np.concatenate([empty, *(np.array(p.error_ms) for p in known)])
    inside = np.isfinite(true)
    return calibration(confidence[inside], claimed[inside], true[inside])


def _landmarks(measured_clips: Any) -> dict[str, float | None]:
    parts, n_detected, faces = [], 0, 0
    for clip in measured_clips:
        error = landmark_errors(
            clip.measured["landmarks"], clip.true.landmarks_px, clip.true.yaw_deg
        )
        detected = np.isfinite(clip.measured["landmarks"]).all(axis=(1, 2))
        n_detected += int((detected & clip.true.face).sum())
        faces += int(clip.true.face.sum())
        parts.append(error[np.isfinite(error).all(axis=1)].astype(np.float32).ravel())
    pooled = np.concatenate([np.empty(0, np.float32), *parts])
    return {
        "found_share": share(n_detected, faces),
        "error_percent_median": _percent(median(pooled)),
        "error_percent_p95": _percent(quantile(pooled, 0.95)),
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else rounded(100 * value, 2)


def _head_pose(measured_clips: Sequence[_Measured]) -> dict[str, Any]:
    return {
        name.removesuffix("_deg"): asdict(
            line(
                np.concatenate(
                    [np.empty(0), *(getattr(clip.true, name) for clip in measured_clips)]
                ),
                np.concatenate([np.empty(0), *(clip.measured[name] for clip in measured_clips)]),
            )
        )
        for name in _ANGLES
    }


def _mouth(measured_clips: Mapping[str, _Measured]) -> dict[str, Any]:
    true = [clip.true.mouth_open for clip in measured_clips.values()]
    measured = [clip.measured["mouth_open"] for clip in measured_clips.values()]
    pooled = line(np.concatenate([np.empty(0), *true]), np.concatenate([np.empty(0), *measured]))
    clips = {take: line(t, m).r for take, t, m in zip(measured_clips, true, measured, strict=True)}
    known = {take: r for take, r in clips.items() if r is not None}
    worst = min(known, key=lambda take: (known[take], take), default=None)
    return {
        **asdict(pooled),
        "clip_r_median": median(known.values()),
        "worst_clip_r": known[worst] if worst else None,
        "worst_clip": worst,
    }


def _pose(inputs: Inputs, measured_clips: Mapping[str, _Measured]) -> dict[str, float | None]:
    errors: list[PoseError] = []
    pairs = sorted((p for p in inputs.pairs if p.pair_id in inputs.posed), key=lambda p: p.speaker)
    for speaker, group in groupby(pairs, key=lambda p: p.speaker):
        table = read_table(inputs.poses.path(speaker, ".poses.parquet"))
        for pair in group:
            if {pair.take_a, pair.take_b} <= set(measured_clips):
                rows = table.filter(pc.equal(table["pair_id"], pair.pair_id)).to_pylist()
                errors.append(_pose_of(pair, rows, inputs.clips, measured_clips))
    columns = {
        name: median(np.concatenate([np.empty(0), *(getattr(error, name) for error in errors)]))
        for name in ("before", "ours", "best", "claimed")
    }
    return {f"residual_{name}_median": value for name, value in columns.items()}


def _pose_of(
    pair: Pair,
    rows: list[dict[str, Any]],
    clips: Mapping[str, Clip],
    measured_clips: Mapping[str, _Measured],
) -> PoseError:
    a, b = measured_clips[pair.take_a], measured_clips[pair.take_b]
    i, j = ([row[name] for row in rows] for name in ("frame_a", "frame_b"))
    square_a, square_b = (_square(clips[take]) for take in (pair.take_a, pair.take_b))
    known = a.true.face[i] & b.true.face[j]
    affines = np.array([row["affine"] for row in rows]).reshape(-1, 2, 3)
    claimed = np.array([row["residual_after"] for row in rows])
    return pose_error(
        affines[known], compose(square_a, invert(square_b)), claimed[known],
        b.true.landmarks_px[j][known], a.true.landmarks_px[i][known], a.true.yaw_deg[i][known],
    )  # fmt: skip


def _square(clip: Clip) -> F64:
    return crop_to_frame(clip.crop_x_px or 0.0, clip.crop_y_px or 0.0, clip.crop_side_px or 1.0, 1)
