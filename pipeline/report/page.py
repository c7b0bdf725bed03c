"""The page: one HTML file with everything inside. Names come from strangers, so all is escaped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline import __version__
from pipeline.errors import REASONS
from pipeline.records import Pair, Rejected
from pipeline.report import findings
from pipeline.report.choice import Choice
from pipeline.report.coverage import Coverage, takes_of
from pipeline.report.inputs import Inputs
from pipeline.report.measure import CAVEAT, Accuracy
from pipeline.report.metrics import Distribution

ANCHOR = "pair-"


@dataclass(frozen=True)
class Content:
    """All that the page shows. `cards` by pair id, `faces` (data URIs) by take id."""

    inputs: Inputs
    metrics: Mapping[str, Any]
    distributions: Sequence[Distribution]
    coverage: Coverage
    choice: Choice
    cards: Mapping[str, Mapping[str, Any]]
    faces: Mapping[str, str]
    accuracy: Accuracy | None
    examples: int


def render(content: Content) -> str:
    """The page as text; equal content gives equal text."""
    choice, accuracy = content.choice, content.accuracy
    cards = {pair.pair_id: _card(pair, content, n) for n, pair in enumerate(choice.all)}
    return _environment().get_template("page.html.j2").render(
        version=__version__,
        dataset=content.inputs.dataset,
        inputs=content.inputs,
        metrics=content.metrics,
        distributions=content.distributions,
        coverage=content.coverage,
        groups=[
            ("worst", "Worst first", "least trusted by the mean rank of five checks", choice.worst),
            ("best", "Best first", "most trusted by the same rank", choice.best),
            ("random", "By lot", "drawn by a fixed seed from the rest", choice.random),
        ],
        cards=cards,
        overlays=_overlays(choice, content),
        rejects=reject_groups(content),
        findings=findings.findings(accuracy.figures) if accuracy else [],
        accuracy=accuracy,
        caveat=CAVEAT,
        table=_table(content, cards),
        n_pairs=len(content.inputs.pairs),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": findings.number,
        "percent": findings.percent,
        "whole": lambda value: "–" if value is None else f"{value:,}",  # noqa: RUF001
        "words": lambda slug: slug.replace("_", " "),
        "script_json": script_json,
    }
    environment.globals["source"] = lambda name: Markup(
        (environment.loader and environment.loader.get_source(environment, name)[0]) or ""
    )
    return environment


def script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _card(pair: Pair, content: Content, n: int) -> dict[str, Any]:
    error = content.accuracy.pairs.get(pair.pair_id) if content.accuracy else None
    posed = content.inputs.posed.get(pair.pair_id)
    return {
        "anchor": f"{ANCHOR}{n + 1}",
        "pair": pair,
        "posed": posed,
        "content": content.cards.get(pair.pair_id),
        "confidence": float(np.median(pair.confidence)) if pair.confidence else None,
        "error_ms": float(np.median(pair.error_ms)) if pair.error_ms else None,
        "true_ms": _median(error.inside_ms) if error else None,
        "wrong": bool(content.accuracy and pair.pair_id in content.accuracy.wrong),
    }


def _median(values: Any) -> float | None:
    return float(np.median(values)) if len(values) else None


def _overlays(choice: Choice, content: Content) -> list[tuple[Pair, Mapping[str, Any]]]:
    shown = [
        (pair, content.cards[pair.pair_id]["overlay"])
        for pair in choice.all
        if content.cards.get(pair.pair_id, {}).get("overlay")
    ]
    posed = content.inputs.posed
    left = {pair.pair_id: posed[pair.pair_id].residual_after or 0.0 for pair, _ in shown}
    return sorted(shown, key=lambda row: (-left[row[0].pair_id], row[0].pair_id))


def reject_groups(content: Content) -> list[dict[str, Any]]:
    """Rejects by stage and reason in the order of the way, each with its first examples."""
    groups: dict[tuple[str, str], list[Rejected]] = {}
    for row in content.inputs.rejects:
        groups.setdefault((row.stage, row.reason), []).append(row)
    stages = list(content.inputs.summaries)
    ordered = sorted(groups.items(), key=lambda g: (stages.index(g[0][0]), -len(g[1]), g[0][1]))
    return [
        {
            "stage": stage,
            "reason": reason,
            "kind": rows[0].kind,
            "meaning": REASONS[reason].meaning,
            "n": len(rows),
            "grains": _grains(rows),
            "examples": [
                (row, [content.faces[take] for take in takes_of(row.item) if take in content.faces])
                for row in rows[: content.examples]
            ],
        }
        for (stage, reason), rows in ordered
    ]


def _grains(rows: Sequence[Rejected]) -> str:
    counts = sorted(Counter(row.grain for row in rows).items())
    return ", ".join(f"{n} {grain}{'s' if n > 1 else ''}" for grain, n in counts)


_COLUMNS = [
    ["pair", "text"], ["speaker", "text"], ["a", "text"], ["b", "text"], ["view", "text"],
    ["sentence", "text"], ["split", "text"], ["frames", "0"], ["coverage", "2"],
    ["confidence", "2"], ["claimed ms", "1"], ["sentence score", "2"], ["mouth r", "2"],
    ["residual before", "3"], ["residual after", "3"],
]  # fmt: skip
_TRUE_COLUMNS = [["true ms (demo)", "1"], ["words (demo)", "text"]]


def _table(content: Content, cards: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All pairs as rows of plain values; `anchors` leads from a pair to its card."""
    columns = _COLUMNS + (_TRUE_COLUMNS if content.accuracy else [])
    return {
        "columns": columns,
        "rows": [_row(pair, content) for pair in content.inputs.pairs],
        "anchors": {name: card["anchor"] for name, card in cards.items()},
    }


def _row(pair: Pair, content: Content) -> list[Any]:
    posed = content.inputs.posed.get(pair.pair_id)
    row = [
        pair.pair_id, pair.speaker, f"{pair.emotion_a} {pair.level_a}",
        f"{pair.emotion_b} {pair.level_b}", pair.view, pair.sentence, pair.split,
        len(pair.frame_a), _short(pair.coverage), _short(_median(pair.confidence)),
        _short(_median(pair.error_ms)), _short(pair.sentence_score), _short(pair.mouth_agreement),
        _short(posed.residual_before if posed else None),
        _short(posed.residual_after if posed else None),
    ]  # fmt: skip
    if content.accuracy:
        error = content.accuracy.pairs.get(pair.pair_id)
        wrong = pair.pair_id in content.accuracy.wrong
        row += [_short(_median(error.inside_ms)) if error else None, "differ" if wrong else "same"]
    return row


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4) + 0.0
