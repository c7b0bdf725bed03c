"""The page: one self-contained HTML file. Names come from untrusted corpora, so all is escaped."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline import __version__
from pipeline.errors import REASONS
from pipeline.models.networks import Network, describe
from pipeline.models.slots import GUIDE
from pipeline.records import Pair, Rejected
from pipeline.stages.report import truth_measures
from pipeline.stages.report.choice import Choice, doubts
from pipeline.stages.report.clear_page import ClearPage
from pipeline.stages.report.coverage import Coverage, takes_of
from pipeline.stages.report.families import FamiliesPage
from pipeline.stages.report.idle_notes import idle
from pipeline.stages.report.inputs import Inputs
from pipeline.stages.report.measure import CAVEAT, Accuracy
from pipeline.stages.report.metrics import Distribution
from pipeline.stages.report.pair_table import Drawn, middle, pair_table
from pipeline.stages.report.recording_findings import FindingCount
from pipeline.stages.report.sentences import sentence_grids
from pipeline.stages.report.sync import SyncPage

ANCHOR = "pair-"
_SPARE = 0.97


@dataclass(frozen=True)
class Content:
    """Everything that the page shows. `cards` by pair id, `faces` (data URIs) by take id."""

    inputs: Inputs
    metrics: Mapping[str, Any]
    distributions: Sequence[Distribution]
    coverage: Coverage
    choice: Choice
    cards: Mapping[str, Mapping[str, Any]]
    faces: Mapping[str, str]
    accuracy: Accuracy | None
    examples: int
    clear: ClearPage | None = None
    made: FamiliesPage | None = None
    findings: Sequence[FindingCount] = ()
    sync: SyncPage | None = None
    networks: Sequence[Network] = ()


_GROUPS = {
    "worst": ("Worst first", "the least reliable by the mean rank of five checks"),
    "best": ("Best first", "the most reliable by the same rank"),
    "random": ("Random", "a random sample of the rest with a fixed seed"),
}


def render(content: Content) -> bytes:
    """The page in UTF-8. Equal content gives equal bytes."""
    inputs, accuracy = content.inputs, content.accuracy
    ranked = doubts(inputs.pairs, inputs.posed)
    doubt, weak = ranked.by_id(), ranked.weak()
    choice = content.choice
    groups = dict(zip(_GROUPS, (choice.worst, choice.best, choice.random), strict=True))
    cards = {
        pair.pair_id: _card(pair, content, n, doubt, weak) for n, pair in enumerate(choice.all)
    }
    drawn = {
        pair.pair_id: Drawn(cards[pair.pair_id]["anchor"], group)
        for group, pairs in groups.items()
        for pair in pairs
    }
    pieces = template("page.html.j2").generate(
        version=__version__,
        dataset=inputs.dataset,
        inputs=inputs,
        metrics=content.metrics,
        distributions=content.distributions,
        coverage=content.coverage,
        sentences=sentence_grids(inputs, content.coverage),
        idle=idle(inputs.summaries, inputs.missing),
        recording_findings=content.findings,
        used=describe(content.networks),
        lacking=[one for one in content.networks if one.why_not],
        guide=GUIDE,
        groups=[(name, *_GROUPS[name], pairs) for name, pairs in groups.items() if pairs],
        cards=cards,
        overlays=_overlays(choice, content),
        rejects=reject_groups(content),
        measures=truth_measures.measures(accuracy.figures) if accuracy else [],
        accuracy=accuracy,
        caveat=CAVEAT,
        table=pair_table(inputs.pairs, inputs.posed, accuracy, doubt, drawn),
        n_pairs=len(inputs.pairs),
        clear=content.clear,
        made=content.made,
        sync=content.sync,
    )  # fmt: skip
    page = io.BytesIO()
    for piece in pieces:  # as one str, a single dash would double the memory
        page.write(piece.encode())
    return page.getvalue()


def render_within(content: Content, limit_bytes: float) -> tuple[bytes, int]:
    """The page and its number of pair cards: as many as fit into `limit_bytes`.

    A page without cards may still exceed the limit.
    """
    page = render(content)
    while len(page) > limit_bytes and content.choice.all:
        share = _SPARE * limit_bytes / len(page)
        content = replace(content, choice=content.choice.fewer(share))
        page = render(content)
    return page, len(content.choice.all)


def template(name: str) -> Template:
    """A template of this package, with its filters."""
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.stages.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": truth_measures.number,
        "percent": truth_measures.percent,
        "whole": lambda value: "–" if value is None else f"{value:,}",  # noqa: RUF001
        "signed": lambda value: f"{value:+d}".replace("-", "−"),  # noqa: RUF001
        "words": lambda slug: slug.replace("_", " "),
        "script_json": script_json,
        "tojson_plain": lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False),
    }
    environment.globals["source"] = _source
    script = hashlib.sha256(_source("page.js").encode()).digest()
    environment.globals["script_hash"] = f"sha256-{base64.b64encode(script).decode()}"
    return environment


def _source(name: str) -> Markup:
    """The unescaped content of a file in `templates`."""
    path = resources.files("pipeline.stages.report") / "templates" / name
    return Markup(path.read_text(encoding="utf-8"))


def script_json(value: Any) -> Markup:
    """JSON that is safe in a script element, whatever strings it contains."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _card(
    pair: Pair,
    content: Content,
    n: int,
    doubt: Mapping[str, float],
    weak: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    error = content.accuracy.pairs.get(pair.pair_id) if content.accuracy else None
    posed = content.inputs.posed.get(pair.pair_id)
    return {
        "anchor": f"{ANCHOR}{n + 1}",
        "pair": pair,
        "doubt": doubt[pair.pair_id],
        "weak": weak[pair.pair_id],
        "posed": posed,
        "content": content.cards.get(pair.pair_id),
        "confidence": middle(pair.confidence),
        "error_ms": middle(pair.error_ms),
        "both_speak": _both_speak(pair),
        "true_ms": middle(error.inside_ms) if error else None,
        "wrong": bool(content.accuracy and pair.pair_id in content.accuracy.wrong),
    }


def _both_speak(pair: Pair) -> float | None:
    """The share of the frame pairs at which both takes speak."""
    both = [a and b for a, b in zip(pair.speech_a, pair.speech_b, strict=True)]
    return sum(both) / len(both) if both else None


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
    """Rejects by stage and reason in pipeline order, each with its first examples."""
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
