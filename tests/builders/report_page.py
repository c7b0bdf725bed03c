"""The content of a report page with one pair, and a parser of the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from pipeline.records import rejected
from pipeline.runtime.store import ItemStore
from pipeline.stages.report.choice import Choice
from pipeline.stages.report.clear_page import ClearPage
from pipeline.stages.report.coverage import coverage
from pipeline.stages.report.figure import TakeCurves, figure
from pipeline.stages.report.inputs import Inputs
from pipeline.stages.report.metrics import dataset_metrics, distributions
from pipeline.stages.report.page import Content, render
from tests.builders.report_rows import clip, pair, posed

EVIL = "</script><img src=x onerror=alert(1)>\"'&<!--"


NOTHING = {"residual_before": np.empty(0), "residual_after": np.empty(0)}


SUMMARY = {"grain": "take", "planned": 2, "kept": 1, "reasons": {"no_face": 1}}


class Tags(HTMLParser):
    """What a browser would make of the page: elements, their attributes, the scripts' text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


def content(name: str, *, pairs: bool = True) -> Content:
    """A page of one pair, in which every name that comes from outside is `name`."""
    store = ItemStore(Path("nowhere"))
    a, b = replace(clip("S1", "neutral"), speaker=name), replace(clip("S1", "happy"), speaker=name)
    made = pair(a, b, pair_id=f"p-{name}", sentence=name, view=name)
    shown = (made,) if pairs else ()
    rejects = (rejected("extract", "take", f"take-{name}", "no_face", f"detail {name}"),)
    inputs = Inputs(
        name, {c.take_id: c for c in (a, b)}, (), shown, {made.pair_id: posed(made, 0.2, 0.1)},
        rejects, {stage: SUMMARY for stage in ("extract", "align", "pose", "shards")}, store, store,
    )  # fmt: skip
    curves = TakeCurves((np.arange(20) + 0.5) / 25, np.linspace(0, 1, 20), 0.0, 0.8)
    card = {
        "figure": figure(made, curves, curves, [0, 2], []), "mels": {"a": "data:,", "b": "data:,"},
        "recordings": {"a": "data:,", "b": "data:,"}, "audio_starts_s": {"a": 0.0, "b": 0.0},
        "strip": None, "overlay": None,
    }  # fmt: skip
    return Content(
        inputs, dataset_metrics(inputs, NOTHING), distributions(inputs, NOTHING), coverage(inputs),
        Choice(shown, (), ()), {made.pair_id: card}, {}, None, 5,
    )  # fmt: skip


def with_clear(content: Content, clear: ClearPage) -> str:
    """The page with a section on clear frames."""
    return render(replace(content, clear=clear)).decode()
