"""Accuracy in words: one line a subject for the terminal, one row a measure for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.stages.report.measure import CAVEAT

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One measure: what, how much in words, what is expected; `met` None where nothing is set."""

    subject: str
    measure: str
    value: str
    expected: str = ""
    met: bool | None = None


def findings(figures: Figures) -> list[Finding]:
    """All measures, subject by subject. What is expected comes from facts measured beforehand."""
    return [
        *_alignment(figures["alignment"], figures["calibration"]),
        *_identity(figures["identity"]),
        *_landmarks(figures["landmarks"]),
        *_head_pose(figures["head_pose"]),
        *_mouth(figures["mouth"]),
        *_pose(figures["pose"]),
        *_emotions(figures.get("emotions")),
    ]


def notes(figures: Figures) -> list[str]:
    """One line a subject, with the caveat beside every number."""
    lines: dict[str, list[str]] = {}
    for row in findings(figures):
        lines.setdefault(row.subject, []).append(f"{row.measure} {row.value}")
    return [f"truth, {subject}: {'; '.join(parts)} ({CAVEAT})" for subject, parts in lines.items()]


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """A number with fixed digits, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}{unit}"  # noqa: RUF001


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent, or a dash."""
    return number(None if value is None else 100 * value, digits, " %")


def _at_least(value: float | None, limit: float) -> bool | None:
    return None if value is None else value >= limit


def _at_most(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def _alignment(f: Figures, c: Figures) -> list[Finding]:
    name = "alignment"
    return [
        Finding(name, "time map, median error", number(f["map_median_ms"], 1, " ms"),
                "about 3 to 5 ms"),
        Finding(name, "time map, 95th percentile", number(f["map_p95_ms"], 1, " ms"),
                "about 11 to 31 ms"),
        Finding(name, "frame pairs, median error", number(f["median_ms"], 1, " ms"),
                "10 ms at 25 frames a second are rounding"),
        Finding(name, "frame pairs, 95th percentile", number(f["p95_ms"], 1, " ms")),
        Finding(name, "within 40 ms",
                f"{percent(f['within_40ms_share'], 2)} of {f['frames']} frames", "about 99 %"),
        Finding(name, "coverage, median", number(f["coverage_median"]), "about 0.84"),
        Finding(name, "true error at most the claimed one", percent(c["claim_holds_share"])),
        Finding(name, "confidence off by, mean", number(c["confidence_gap"], 3), "0: honest"),
        Finding(name, "rank correlation of claim and truth", number(c["rank_correlation"])),
    ]  # fmt: skip


def _identity(f: Figures) -> list[Finding]:
    name = "sentences"
    return [
        Finding(name, "pairs of different words", f"{f['pairs_wrong']} of {f['pairs']}", "none",
                f["pairs_wrong"] == 0),
        Finding(name, "parallel takes paired",
                f"{f['parallel_found']} of {f['parallel_possible']}"),
        Finding(name, "sentences told right",
                f"{f['labels_right']} of {f['labels']} ({f['labels_wrong']} wrong, "
                f"{f['labels_missed']} missed)"),
    ]  # fmt: skip


def _landmarks(f: Figures) -> list[Finding]:
    name = "landmarks"
    error = f["error_percent_median"]
    return [
        Finding(name, "faces found", percent(f["found_share"]), "99 % or more",
                _at_least(f["found_share"], 0.99)),
        Finding(name, "median error, of eye distance", number(error, 2, " %"), "below 3.5 %",
                _at_most(error, 3.5)),
        Finding(name, "95th percentile", number(f["error_percent_p95"], 2, " %")),
    ]  # fmt: skip


def _head_pose(f: Figures) -> list[Finding]:
    rows = []
    for angle in ("yaw", "pitch", "roll"):
        fit = f[angle]
        text = f"r {number(fit['r'], 3)}, slope {number(fit['slope'])}"
        text += f", left {number(fit['residual_sd'])}°"
        expected, met = "", None
        if angle == "yaw":
            expected, met = "r above 0.98", _at_least(fit["r"], 0.98)
        elif angle == "roll":
            expected, met = "left below 1.5°", _at_most(fit["residual_sd"], 1.5)
        rows.append(Finding("head pose", angle, text, expected, met))
    return rows


def _mouth(f: Figures) -> list[Finding]:
    worst = number(f["worst_clip_r"], 3)
    return [
        Finding("mouth opening", "all frames", f"r {number(f['r'], 3)}, slope {number(f['slope'])}",
                "r above 0.90", _at_least(f["r"], 0.90)),
        Finding("mouth opening", "a take, median", f"r {number(f['clip_r_median'], 3)}"),
        Finding("mouth opening", "worst take", f"r {worst} ({f['worst_clip'] or 'none'})",
                "r above 0.75", _at_least(f["worst_clip_r"], 0.75)),
    ]  # fmt: skip


def _pose(f: Figures) -> list[Finding]:
    name = "pose affine"
    return [
        Finding(name, "residual at the true eyes and bridge, before",
                number(f["residual_before_median"], 3)),
        Finding(name, "after our affine", number(f["residual_ours_median"], 3)),
        Finding(name, "best that an affine can", number(f["residual_best_median"], 3)),
        Finding(name, "as the stage itself saw it", number(f["residual_claimed_median"], 3)),
    ]  # fmt: skip


def _emotions(f: Figures | None) -> list[Finding]:
    """Scores and clear frames; nothing where no frame was scored."""
    if not f:
        return []
    name, wrong = "clear frames", f["mislabelled"]
    right, found = f["accuracy"]["truly_clear"], f"{wrong['found']} of {wrong['takes']}"
    return [
        Finding(name, "likeliest emotion right, half intensity and more", percent(right)),
        Finding(name, "D_n truly clear, before the filter", percent(f["purity_before"])),
        Finding(name, "D_n truly clear, after", percent(f["purity"]), "95 % or more",
                _at_least(f["purity"], 0.95)),
        Finding(name, "of the truly clear frames, kept",
                f"{percent(f['truly_clear_kept_share'])} "
                f"({percent(f['truly_clear_passing_share'])} pass)", "half or more",
                _at_least(f["truly_clear_kept_share"], 0.5)),
        Finding(name, "takes mislabelled on purpose, found",
                f"{found}, {wrong['false_alarms']} false alarms", "all, none",
                wrong["found"] == wrong["takes"] and not wrong["false_alarms"]),
    ]  # fmt: skip
