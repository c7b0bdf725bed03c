"""Errors of time maps, landmarks, poses and mouths against ground truth, from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pipeline.alignment.warping_path import map_times
from pipeline.faces.affine import EYE_CORNERS, F64, NOSE_BRIDGE, apply, fit
from pipeline.stages.report.metrics import median, quantile, rounded, share

TOLERANCE_MS = 40.0
"""The error up to which a frame pair counts as aligned: one frame at 25 fps."""
OUTER_EYES = (33, 263)
N_TRUE = 468
INNER = EYE_CORNERS + NOSE_BRIDGE
"""The points for judging a pose. Hairline and temples rotate too much for any affine."""
_FRAME_BINS = 5


@dataclass(frozen=True)
class PairError:
    """The error of one pair against the true time map, in the time that the images show.

    `error_ms` is the instant of frame b minus the true instant for frame a, NaN if frame a is
    before the first or after the last phoneme. `map_ms` is the same for the time map before
    rounding to frames. `coverage` is the number of pairs within the phonemes over the smaller
    number of frames that either take has there.
    """

    error_ms: F64
    map_ms: F64
    coverage: float | None

    @property
    def inside_ms(self) -> F64:
        """Absolute errors of the pairs within the phonemes."""
        return _absolute(self.error_ms)


def _absolute(errors: F64) -> F64:
    return np.asarray(np.abs(errors[np.isfinite(errors)]))


def pair_error(
    knots_s: tuple[F64, F64],
    our_knots_s: F64,
    instants_s: tuple[F64, F64],
    frames: tuple[Sequence[int], Sequence[int]],
) -> PairError:
    """Compare a pair's frames with the piecewise-linear truth between phoneme onsets.

    Parameters
    ----------
    knots_s
        (n,) onsets of the same phonemes in takes a and b; a phoneme may last 0 s.
    our_knots_s
        (k, 2) knots of the estimated time map.
    instants_s
        Moments of the audio that all frames of takes a and b show.
    frames
        (m,) indices of the paired frames in `instants_s`.
    """
    knots_a, knots_b = knots_s
    all_a, all_b = instants_s
    a, b = all_a[list(frames[0])], all_b[list(frames[1])]
    inside = _within(a, knots_a)
    true_b = np.where(inside, np.interp(a, knots_a, knots_b), np.nan)
    ours = map_times(our_knots_s, a)
    possible = min(_within(all_a, knots_a).sum(), _within(all_b, knots_b).sum())
    coverage = float(inside.sum() / possible) if possible else None
    return PairError((b - true_b) * 1000, (ours - true_b) * 1000, coverage)


def _within(times: F64, knots: F64) -> NDArray[np.bool_]:
    return np.asarray((times >= knots[0]) & (times <= knots[-1]))


def alignment_figures(errors: Sequence[PairError]) -> dict[str, float | None]:
    """Median, 95th percentile, share within 40 ms over all frames; median coverage of the pairs."""
    pooled = np.concatenate([np.empty(0), *(e.inside_ms for e in errors)])
    of_map = np.concatenate([np.empty(0), *(_absolute(e.map_ms) for e in errors)])
    return {
        "frames": len(pooled),
        "map_median_ms": median(of_map),
        "map_p95_ms": quantile(of_map, 0.95),
        "median_ms": median(pooled),
        "p95_ms": quantile(pooled, 0.95),
        "within_40ms_share": share(int((pooled <= TOLERANCE_MS).sum()), len(pooled)),
        "coverage_median": median(e.coverage for e in errors if e.coverage is not None),
    }


@dataclass(frozen=True)
class Bin:
    """Frame pairs of similar confidence: claimed and true values."""

    n: int
    confidence: float
    within_share: float
    claim_holds_share: float
    claimed_ms: float
    true_ms: float
    true_p95_ms: float


def calibration(
    confidence: F64, claimed_ms: F64, true_ms: F64
) -> tuple[list[Bin], dict[str, float | None]]:
    """Calibration: bins of equal size by confidence, and figures over all frame pairs.

    Parameters
    ----------
    confidence, claimed_ms, true_ms
        (n,) values per frame pair; the true error is absolute.

    Returns
    -------
    bins, figures
        `confidence_gap`: mean distance of the confidence from the share within 40 ms, over the
        bins (the expected calibration error); `claim_holds_share`: share of frame pairs whose true
        error is at most the claimed one; `rank_correlation` of claimed and true error.
    """
    if not len(confidence):
        return [], dict.fromkeys(("confidence_gap", "claim_holds_share", "rank_correlation"))
    order = np.argsort(confidence, kind="stable")
    groups = [g for g in np.array_split(order, _FRAME_BINS) if len(g)]
    bins = [_bin(confidence[g], claimed_ms[g], true_ms[g]) for g in groups]
    gap = sum(b.n * abs(b.confidence - b.within_share) for b in bins) / len(confidence)
    spread = np.ptp(claimed_ms) > 0 and np.ptp(true_ms) > 0
    return bins, {
        "confidence_gap": rounded(gap),
        "claim_holds_share": share(int((true_ms <= claimed_ms).sum()), len(true_ms)),
        "rank_correlation": rounded(spearmanr(claimed_ms, true_ms).statistic) if spread else None,
    }


def _bin(confidence: F64, claimed_ms: F64, true_ms: F64) -> Bin:
    return Bin(
        n=len(confidence),
        confidence=rounded(confidence.mean()),
        within_share=rounded((true_ms <= TOLERANCE_MS).mean()),
        claim_holds_share=rounded((true_ms <= claimed_ms).mean()),
        claimed_ms=rounded(float(np.median(claimed_ms)), 1),
        true_ms=rounded(float(np.median(true_ms)), 1),
        true_p95_ms=rounded(float(np.quantile(true_ms, 0.95)), 1),
    )


def landmark_errors(found: F64, true: F64, yaw_deg: F64) -> F64:
    """Distances (n, 468) of landmarks from the truth, divided by the eye distance.

    Parameters
    ----------
    found
        (n, >= 468, >= 2) pixels of the full frame, NaN where no face was found.
    true, yaw_deg
        (n, 468, >= 2) and (n,).
    """
    gap = np.linalg.norm(found[:, :N_TRUE, :2] - true[..., :2], axis=-1)
    return np.asarray(gap / eye_distance(true, yaw_deg)[:, None])


def eye_distance(points: F64, yaw_deg: F64) -> F64:
    """Distance (n,) of the outer eye corners of (n, p, >= 2) points, corrected for yaw."""
    left, right = (points[:, k, :2] for k in OUTER_EYES)
    return np.asarray(np.linalg.norm(left - right, axis=-1) / np.cos(np.deg2rad(yaw_deg)))


@dataclass(frozen=True)
class Line:
    """Linear fit of measured to true values: correlation, slope, intercept, residual deviation."""

    n: int
    r: float | None
    slope: float | None
    intercept: float | None
    residual_sd: float | None


def line(true: F64, measured: F64) -> Line:
    """Fit measured = slope x true + intercept over the pairs of finite values."""
    known = np.isfinite(true) & np.isfinite(measured)
    x, y = true[known], measured[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Line(len(x), None, None, None, None)
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - (slope * x + intercept)
    r = float(np.corrcoef(x, y)[0, 1])
    return Line(len(x), *(rounded(v) for v in (r, slope, intercept, residual.std())))


@dataclass(frozen=True)
class PoseError:
    """Residuals (n,) at the true eye corners and nose bridge, divided by a's eye distance.

    `before`: without a pose; `ours`: with the stage's affine; `best`: with the optimal affine;
    `claimed`: as the stage measured on its landmarks.
    """

    before: F64
    ours: F64
    best: F64
    claimed: F64


def pose_error(
    affines: F64, by_crops: F64, claimed: F64, true_b: F64, true_a: F64, yaw_a_deg: F64
) -> PoseError:
    """Residuals of affines that map the true face b onto the true face a.

    Parameters
    ----------
    affines, by_crops
        (n, 2, 3) of the frame pairs, and (2, 3) of the clip pair: b's full frame onto a's.
    claimed
        (n,) residual on the measured landmarks.
    true_b, true_a, yaw_a_deg
        (n, 468, >= 2) true landmarks of the paired frames; (n,) yaw of face a.
    """
    scale = eye_distance(true_a, yaw_a_deg)
    b, a = (points[:, list(INNER), :2].astype(np.float64) for points in (true_b, true_a))

    def residual(matrix: F64) -> F64:
        gap = apply(matrix, b) - a
        return np.asarray(np.sqrt((gap**2).sum(-1).mean(-1)) / scale)

    best = fit("affine", b, a)
    return PoseError(residual(by_crops[None]), residual(affines), residual(best), claimed)
