"""The numbers of a dataset for `dvc metrics diff`, DVC's plots and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.records import CORPUS_EMOTIONS, Pair
from pipeline.stages.report.inputs import F64, Inputs
from pipeline.stages.report.recording_findings import kept_with_findings

_DIGITS = 4


def rounded(value: float, digits: int = _DIGITS) -> float:
    """A number rounded for output; -0 becomes 0."""
    return round(float(value), digits) + 0.0


def quantile(values: Iterable[float] | F64, share: float) -> float | None:
    """The rounded quantile of the finite values; None if there are none."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), np.float64)
    array = array[np.isfinite(array)]
    return rounded(float(np.quantile(array, share))) if array.size else None


def median(values: Iterable[float] | F64) -> float | None:
    """The rounded median of the finite values; None if there are none."""
    return quantile(values, 0.5)


def share(hits: float, total: float) -> float | None:
    """The rounded share `hits / total`; None if `total` is 0."""
    return rounded(hits / total) if total else None


@dataclass(frozen=True)
class Distribution:
    """A histogram; values beyond an end count in the last bin at that end.

    `edges` has one value more than each row of `counts`.
    """

    name: str
    title: str
    unit: str
    edges: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        """The number of values in the largest series."""
        return max((sum(row) for row in self.counts.values()), default=0)

    def tables(self) -> dict[str, str]:
        """One table per series for DVC's plots, by name: the left edge and count of each bin."""
        return {
            self.name if len(self.counts) == 1 else f"{self.name}_{key}": table(
                "from,count", zip(self.edges[:-1], row, strict=True)
            )
            for key, row in self.counts.items()
        }


def table(head: str, rows: Iterable[Iterable[float]]) -> str:
    """Numbers as CSV."""
    return "\n".join([head, *(",".join(f"{x:g}" for x in row) for row in rows)]) + "\n"


def distribution(
    name: str, title: str, unit: str, low: float, high: float, bins: int, series: dict[str, F64]
) -> Distribution:
    """Count the finite values of each series in equal bins of [low, high]."""
    edges = np.linspace(low, high, bins + 1)
    counts = {
        key: tuple(np.histogram(np.clip(v[np.isfinite(v)], low, high), edges)[0].tolist())
        for key, v in series.items()
    }
    return Distribution(name, title, unit, tuple(rounded(e) for e in edges), counts)


def distributions(inputs: Inputs, residuals: dict[str, F64]) -> list[Distribution]:
    """All pairs: frame pairs by confidence, error and residual, clip pairs by their checks."""
    pairs = inputs.pairs
    agreements = [p.mouth_agreement for p in pairs if p.mouth_agreement is not None]
    return [
        distribution("confidence", "Confidence of frame pairs", "", 0, 1, 20,
                     {"frame pairs": per_frame(pairs, "confidence")}),
        distribution("error", "Claimed time error", "ms", 0, 100, 20,
                     {"frame pairs": per_frame(pairs, "error_ms")}),
        distribution("sentence", "Sentence score (low: same sentence)", "", 0, 1.5, 15,
                     {"pairs": np.array([p.sentence_score for p in pairs], np.float64)}),
        distribution("mouth", "Mouth agreement", "r", -1, 1, 20,
                     {"pairs": np.array(agreements, np.float64)}),
        distribution("residual", "Pose residual", "of the eye distance", 0, 0.4, 20,
                     {key.removeprefix("residual_"): v for key, v in residuals.items()}),
    ]  # fmt: skip


def per_frame(pairs: Sequence[Pair], column: str) -> F64:
    """A per-frame column of all pairs, concatenated."""
    parts = [np.asarray(getattr(pair, column), np.float64) for pair in pairs]
    return np.concatenate(parts) if parts else np.empty(0)


def pose_residuals(inputs: Inputs) -> dict[str, F64]:
    """`residual_before` and `residual_after` of all frame pairs, concatenated."""
    by_speaker = [inputs.residuals(speaker) for speaker in inputs.speakers]
    names = ("residual_before", "residual_after")
    return {
        name: np.concatenate([np.empty(0), *(one[name] for one in by_speaker)]) for name in names
    }


def dataset_metrics(inputs: Inputs, residuals: dict[str, F64]) -> dict[str, Any]:
    """The nested numbers of metrics.json; None where there is nothing to measure."""
    metrics: dict[str, Any] = {
        stage: {
            "planned": summary["planned"],
            "kept": summary["kept"],
            "rejected": dict(summary["reasons"]),
        }
        for stage, summary in inputs.summaries.items()
    }
    metrics["extract"] |= _of_clips(inputs)
    metrics["align"] |= _of_pairs(inputs.pairs)
    metrics["pose"] |= {
        "frame_pairs": sum(row.n_kept for row in inputs.posed.values()),
        "residual_before_median": median(residuals["residual_before"]),
        "residual_after_median": median(residuals["residual_after"]),
        "residual_after_p95": quantile(residuals["residual_after"], 0.95),
    }
    return metrics


def _of_clips(inputs: Inputs) -> dict[str, Any]:
    clips = inputs.clips.values()
    frames = sum(clip.n_frames for clip in clips)
    return {
        "speakers": len(inputs.speakers),
        "frames": frames,
        "found_share": share(sum(clip.n_found for clip in clips), frames),
        "with_video": sum(clip.has_video for clip in clips),
        "findings": dict(sorted(kept_with_findings(inputs).items())),
    }


def _speech_shares(pairs: Sequence[Pair]) -> dict[str, float | None]:
    """Shares of the frame pairs at which both takes, one or none speaks."""
    speaks = per_frame(pairs, "speech_a") + per_frame(pairs, "speech_b")
    names = ("both_silent_share", "one_silent_share", "both_speak_share")
    return {name: share(int((speaks == n).sum()), len(speaks)) for n, name in enumerate(names)}


def _of_pairs(pairs: Sequence[Pair]) -> dict[str, Any]:
    emotions = Counter(pair.emotion_b for pair in pairs)
    confidence = per_frame(pairs, "confidence")
    return {
        "pairs": len(pairs),
        "frame_pairs": sum(len(pair.frame_a) for pair in pairs),
        "pairs_per_emotion": {e: emotions[e] for e in CORPUS_EMOTIONS if e in emotions},
        "confidence_median": median(confidence),
        "confident_share": share(int((confidence >= 0.5).sum()), len(confidence)),
        "error_ms_median": median(per_frame(pairs, "error_ms")),
        **_speech_shares(pairs),
        "mouth_gap_p95": quantile(per_frame(pairs, "mouth_gap"), 0.95),
        "coverage_median": median(pair.coverage for pair in pairs),
        "sentence_score_median": median(pair.sentence_score for pair in pairs),
        "mouth_agreement_median": median(
            pair.mouth_agreement for pair in pairs if pair.mouth_agreement is not None
        ),
    }
