"""The result of an audit, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.tools.audit.compare import Compared
from pipeline.tools.audit.measures import FLAGS, Group, Measures, group_pairs, measure_all
from pipeline.tools.audit.pairlist import ListedPair

TextTable = tuple[str, list[str], list[list[str]]]
_NUMBERS: dict[str, Callable[[Measures], float]] = {
    "length ratio, longer over shorter": lambda row: row.excess,
    "longest run of one frame": lambda row: row.longest_run,
    "share of diagonal steps": lambda row: row.diagonal,
    "share of frame pairs one-to-one": lambda row: row.one_to_one,
}
_PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class Audit:
    """The result of an audit; `compared` is empty without a dataset."""

    measured: Sequence[Measures]
    groups: Sequence[Group]
    compared: Sequence[Compared] = ()

    @property
    def flagged(self) -> list[Measures]:
        """The flagged pairs, worst first: by the number of flags, then by ratio and run."""
        rows = [row for row in self.measured if row.flags]
        return sorted(rows, key=lambda r: (-len(r.flags), -r.excess, -r.longest_run, r.pair.name))

    def as_json(self) -> dict[str, object]:
        """The result as JSON values, pairs in the order of the list."""
        value: dict[str, object] = {
            "summary": {
                "pairs": len(self.measured),
                "frame_pairs": sum(len(row.pair.frame_a) for row in self.measured),
                "speakers": len({row.pair.speaker for row in self.measured}),
                "flagged": len(self.flagged),
                "flags": self._flag_counts(),
                "monotone": sum(row.monotone for row in self.measured),
            },
            "pairs": [_measures_json(row) for row in self.measured],
            "groups": [_group_json(group) for group in self.groups],
        }
        if self.compared:
            value["dataset"] = [_compared_json(row) for row in self.compared]
        return value

    def tables(self) -> list[TextTable]:
        """The result as tables (title, columns, rows) of text, without empty ones."""
        found = [
            self._summary(), self._numbers(), self._flagged_table(), self._group_table(),
            self._verdicts(), self._compared_table(),
        ]  # fmt: skip
        return [table for table in found if table[2]]

    def _flag_counts(self) -> dict[str, int]:
        counts = Counter(flag for row in self.measured for flag in row.flags)
        return {flag: counts[flag] for flag in FLAGS}

    def _summary(self) -> TextTable:
        counts = self._flag_counts()
        n = len(self.measured)
        frames = sum(len(row.pair.frame_a) for row in self.measured)
        speakers = len({row.pair.speaker for row in self.measured})
        rows = [[flag, str(counts[flag]), f"{counts[flag] / n:.1%}", FLAGS[flag]] for flag in FLAGS]
        rows.append(["any flag", str(len(self.flagged)), f"{len(self.flagged) / n:.1%}", ""])
        title = f"{n} clip pairs of {speakers} speakers, {frames} frame pairs"
        return title, ["flag", "pairs", "share", "meaning"], rows

    def _numbers(self) -> TextTable:
        rows = []
        for name, number in _NUMBERS.items():
            values = [number(row) for row in self.measured]
            low, middle, high = np.percentile(values, _PERCENTILES)
            ends = (min(values), low, middle, high, max(values))
            rows.append([name, *(f"{value:.2f}" for value in ends)])
        columns = ["", "min", "p5", "median", "p95", "max"]
        return "over all clip pairs", columns, rows

    def _flagged_table(self) -> TextTable:
        columns = [
            "pair", "frames a", "frames b", "ratio", "run a", "run b", "diagonal", "one-to-one",
            "start", "end", "flags",
        ]  # fmt: skip
        return "flagged pairs, worst first", columns, [_row(row) for row in self.flagged]

    def _group_table(self) -> TextTable:
        rows = [
            [
                g.emotion, g.take_a, " ".join(g.takes_b), f"{len(g.odd)} of {g.n_pairs}",
                f"{g.median_ratio:.2f}", f"{g.median_diagonal:.2f}", " ".join(g.odd),
            ]
            for g in sorted(self.groups, key=lambda g: -len(g.odd))
            if g.suspect
        ]  # fmt: skip
        columns = ["emotion", "neutral take", "its takes", "odd", "ratio", "diagonal", "speakers"]
        title = (
            "groups with length_ratio flags for at least three speakers and a quarter of the pairs"
        )
        return title, columns, rows

    def _verdicts(self) -> TextTable:
        counts = Counter((row.verdict, row.reason) for row in self.compared)
        rows = [[verdict, reason, str(n)] for (verdict, reason), n in sorted(counts.items())]
        return "comparison with the dataset", ["verdict", "reason", "pairs"], rows

    def _compared_table(self) -> TextTable:
        order = {"rejected": 0, "unknown": 1, "accepted": 2}
        ordered = sorted(self.compared, key=lambda r: (order[r.verdict], -(r.p95_ms or 0)))
        rows = [
            [
                row.pair.name, row.verdict, _number(row.score), _number(row.median_ms, 0),
                _number(row.p95_ms, 0), _number(row.image_median_ms, 0),
                _number(row.image_late_ms, 0),
                f"{row.reason}: {row.detail}" if row.reason else row.detail,
            ]
            for row in ordered
        ]  # fmt: skip
        columns = [
            "pair", "verdict", "score", "median ms", "p95 ms", "image ms", "image late ms", "why",
        ]  # fmt: skip
        return "listed frames compared with our alignment", columns, rows


def audit(pairs: Sequence[ListedPair], compared: Sequence[Compared] = ()) -> Audit:
    """Measure a list; `compared` are the same pairs compared with a dataset."""
    measured = measure_all(pairs)
    return Audit(measured, group_pairs(measured), compared)


def _row(row: Measures) -> list[str]:
    return [
        row.pair.name, str(row.n_frames_a), str(row.n_frames_b), f"{row.ratio:.2f}",
        str(row.run_a.length), str(row.run_b.length), f"{row.diagonal:.2f}",
        f"{row.one_to_one:.2f}", _pair_text(row.start), _pair_text(row.end), " ".join(row.flags),
    ]  # fmt: skip


def _pair_text(frames: tuple[int, int]) -> str:
    return f"{frames[0]},{frames[1]}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _place_json(pair: ListedPair) -> dict[str, Any]:
    return {"speaker": pair.speaker, "emotion": pair.emotion, "key": pair.key}


def _measures_json(row: Measures) -> dict[str, Any]:
    odd = row.ratio_among_fellows
    return {
        **_place_json(row.pair),
        "frame_pairs": len(row.pair.frame_a),
        "frames": [row.n_frames_a, row.n_frames_b],
        "ratio": round(row.ratio, 4),
        "ratio_among_fellows": None if odd is None else round(odd, 4),
        "runs": [{**vars(run), "place": round(run.place, 4)} for run in (row.run_a, row.run_b)],
        "diagonal": round(row.diagonal, 4),
        "one_to_one": round(row.one_to_one, 4),
        "monotone": row.monotone,
        "start": list(row.start),
        "end": list(row.end),
        "flags": list(row.flags),
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "emotion": group.emotion,
        "take_a": group.take_a,
        "takes_b": list(group.takes_b),
        "pairs": group.n_pairs,
        "odd": list(group.odd),
        "median_ratio": round(group.median_ratio, 4),
        "median_diagonal": round(group.median_diagonal, 4),
        "suspect": group.suspect,
    }


def _compared_json(row: Compared) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    return {
        **_place_json(row.pair),
        "verdict": row.verdict,
        "reason": row.reason,
        "detail": row.detail,
        "score": rounded(row.score),
        "frame_pairs_compared": row.n_compared,
        "median_ms": rounded(row.median_ms),
        "p95_ms": rounded(row.p95_ms),
        "image_median_ms": rounded(row.image_median_ms),
        "image_late_ms": rounded(row.image_late_ms),
    }
