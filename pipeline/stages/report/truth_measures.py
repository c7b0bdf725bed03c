"""Accuracy as text: one line per subject for the terminal, one row per measure for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.stages.report.measure import CAVEAT

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One measure with its value and the expected value; `met` is None where there is no limit."""

    subject: str
    measure: str
    value: str
    expected: str = ""
    met: bool | None = None


def measures(figures: Figures) -> list[Measure]:
    """All measures by subject. Expected values were measured on the same kind of material."""
    return [
        *_sync(figures.get("sync")),
        *_alignment(figures["alignment"], figures["calibration"]),
        *_identity(figures["identity"]),
        *_landmarks(figures["landmarks"]),
        *_head_pose(figures["head_pose"]),
        *_mouth(figures["mouth"]),
        *_pose(figures["pose"]),
        *_emotions(figures.get("emotions")),
    ]


def notes(figures: Figures) -> list[str]:
    """One line per subject, each with the caveat."""
    lines: dict[str, list[str]] = {}
    for row in measures(figures):
        lines.setdefault(row.subject, []).append(f"{row.measure} {row.value}")
    return [
        f"ground truth, {subject}: {'; '.join(parts)} ({CAVEAT})"
        for subject, parts in lines.items()
    ]


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


def _alignment(f: Figures, c: Figures) -> list[Measure]:
    name = "alignment"
    return [
        Measure(name, "time map, median error", number(f["map_median_ms"], 1, " ms"),
                "about 3 to 5 ms"),
        Measure(name, "time map, 95th percentile", number(f["map_p95_ms"], 1, " ms"),
                "about 11 to 31 ms"),
        Measure(name, "frame pairs, median error", number(f["median_ms"], 1, " ms"),
                "10 ms is rounding at 25 fps"),
        Measure(name, "frame pairs, 95th percentile", number(f["p95_ms"], 1, " ms")),
        Measure(name, "within 40 ms",
                f"{percent(f['within_40ms_share'], 2)} of {f['frames']} frames", "about 99 %"),
        Measure(name, "coverage, median", number(f["coverage_median"]), "about 0.84"),
        Measure(name, "true error within the claimed error", percent(c["claim_holds_share"])),
        Measure(name, "confidence, calibration gap", number(c["confidence_gap"], 3),
                "0: calibrated"),
        Measure(name, "rank correlation of claimed and true error", number(c["rank_correlation"])),
    ]  # fmt: skip


def _sync(f: Figures | None) -> list[Measure]:
    """Offsets of recording sessions; empty where sync has not run."""
    if not f or not f["sessions"]:
        return []
    name = "image and audio"
    return [
        Measure(name, "recording sessions out of sync", f"{f['sessions_off']} of {f['sessions']}"),
        Measure(name, "error after the correction, median of sessions",
                number(f["error_ms_median"], 1, " ms"), "15 ms or less",
                _at_most(f["error_ms_median"], 15)),
        Measure(name, "95th percentile", number(f["error_ms_p95"], 1, " ms"), "40 ms or less",
                _at_most(f["error_ms_p95"], 40)),
        Measure(name, "largest shift of a session in sync",
                number(f["in_sync_moved_ms_max"], 0, " ms"), "20 ms or less",
                _at_most(f["in_sync_moved_ms_max"], 20)),
    ]  # fmt: skip


def _identity(f: Figures) -> list[Measure]:
    name = "sentences"
    return [
        Measure(name, "pairs with different words", f"{f['pairs_wrong']} of {f['pairs']}", "none",
                f["pairs_wrong"] == 0),
        Measure(name, "parallel takes paired",
                f"{f['parallel_found']} of {f['parallel_possible']}"),
        Measure(name, "sentences labelled correctly",
                f"{f['labels_right']} of {f['labels']} ({f['labels_wrong']} wrong, "
                f"{f['labels_missed']} missed)"),
    ]  # fmt: skip


def _landmarks(f: Figures) -> list[Measure]:
    name = "landmarks"
    error = f["error_percent_median"]
    return [
        Measure(name, "faces found", percent(f["found_share"]), "99 % or more",
                _at_least(f["found_share"], 0.99)),
        Measure(name, "median error, of eye distance", number(error, 2, " %"), "below 3.5 %",
                _at_most(error, 3.5)),
        Measure(name, "95th percentile", number(f["error_percent_p95"], 2, " %")),
    ]  # fmt: skip


def _head_pose(f: Figures) -> list[Measure]:
    rows = []
    for angle in ("yaw", "pitch", "roll"):
        fit = f[angle]
        text = f"r {number(fit['r'], 3)}, slope {number(fit['slope'])}"
        text += f", residual {number(fit['residual_sd'])}°"
        expected, met = "", None
        if angle == "yaw":
            expected, met = "r above 0.98", _at_least(fit["r"], 0.98)
        elif angle == "roll":
            expected, met = "residual below 1.5°", _at_most(fit["residual_sd"], 1.5)
        rows.append(Measure("head pose", angle, text, expected, met))
    return rows


def _mouth(f: Figures) -> list[Measure]:
    worst = number(f["worst_clip_r"], 3)
    return [
        Measure("mouth opening", "all frames", f"r {number(f['r'], 3)}, slope {number(f['slope'])}",
                "r above 0.90", _at_least(f["r"], 0.90)),
        Measure("mouth opening", "median of takes", f"r {number(f['clip_r_median'], 3)}"),
        Measure("mouth opening", "worst take", f"r {worst} ({f['worst_clip'] or 'none'})",
                "r above 0.75", _at_least(f["worst_clip_r"], 0.75)),
    ]  # fmt: skip


def _pose(f: Figures) -> list[Measure]:
    name = "pose affine"
    return [
        Measure(name, "residual at the true eyes and nose bridge, before",
                number(f["residual_before_median"], 3)),
        Measure(name, "after the fitted affine", number(f["residual_ours_median"], 3)),
        Measure(name, "after the optimal affine", number(f["residual_best_median"], 3)),
        Measure(name, "after, as measured by the stage", number(f["residual_claimed_median"], 3)),
    ]  # fmt: skip


def _emotions(f: Figures | None) -> list[Measure]:
    """Scores and clear frames; empty where no frame was scored."""
    if not f:
        return []
    name, wrong = "clear frames", f["mislabelled"]
    right, detected = f["accuracy"]["truly_clear"], f"{wrong['found']} of {wrong['takes']}"
    return [
        Measure(name, "most probable emotion correct, at half intensity or more", percent(right)),
        Measure(name, "purity before the filter", percent(f["purity_before"])),
        Measure(name, "purity of D_n", percent(f["purity"]), "95 % or more",
                _at_least(f["purity"], 0.95)),
        Measure(name, "recall of truly clear frames",
                f"{percent(f['truly_clear_kept_share'])} "
                f"({percent(f['truly_clear_passing_share'])} pass the threshold)", "half or more",
                _at_least(f["truly_clear_kept_share"], 0.5)),
        Measure(name, "deliberately mislabelled takes, found",
                f"{detected}, {wrong['false_alarms']} false alarms", "all, no false alarms",
                wrong["found"] == wrong["takes"] and not wrong["false_alarms"]),
    ]  # fmt: skip
