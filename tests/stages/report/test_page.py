from __future__ import annotations

import json
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
from pipeline.stages.report.page import Content, render, render_within, script_json
from tests.stages.report.rows import clip, pair, posed

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
        "sounds": {"a": "data:,", "b": "data:,"}, "sound_starts_s": {"a": 0.0, "b": 0.0},
        "strip": None, "overlay": None,
    }  # fmt: skip
    return Content(
        inputs, dataset_metrics(inputs, NOTHING), distributions(inputs, NOTHING), coverage(inputs),
        Choice(shown, (), ()), {made.pair_id: card}, {}, None, 5,
    )  # fmt: skip


def page(name: str) -> str:
    """The page on one pair of that name, as text."""
    return render(content(name)).decode()


def with_clear(content: Content, clear: ClearPage) -> str:
    """The page with a section on clear frames."""
    return render(replace(content, clear=clear)).decode()


def test_hostile_names_stay_text() -> None:
    evil, plain = Tags(page(EVIL)), Tags(page("plain"))
    assert [tag for tag, _ in evil.found] == [tag for tag, _ in plain.found]
    assert not any("onerror" in attrs for _, attrs in evil.found)


def test_hostile_names_arrive_unharmed_in_the_table() -> None:
    found = [json.loads(t) for t in Tags(page(EVIL)).scripts if t.startswith("{")]
    table = next(value for value in found if "rows" in value)
    assert table["rows"][0][2] == EVIL
    assert table["rows"][0][-1] == f"p-{EVIL}"


def test_script_json_cannot_end_its_element() -> None:
    text = script_json([EVIL, "\u2028"])
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == [EVIL, "\u2028"]


def test_nothing_is_loaded_from_elsewhere() -> None:
    for _, attrs in Tags(page("plain")).found:
        for name in ("src", "href"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:"))


def test_every_link_leads_somewhere() -> None:
    found = Tags(page("plain")).found
    ids = {attrs["id"] for _, attrs in found if attrs.get("id")}
    links = {a["href"][1:] for t, a in found if t == "a" and str(a.get("href")).startswith("#")}
    stages = ("align", "pose", "shards")
    assert links - ids <= {f"reject-{stage}-no_face" for stage in stages}


def test_a_dataset_without_pairs_has_a_page() -> None:
    text = render(content("plain", pairs=False)).decode()
    assert "There are no pairs" in text
    assert "no face" in text


def test_equal_content_gives_equal_bytes() -> None:
    assert render(content("plain")) == render(content("plain"))


def test_stages_without_work_are_one_note_and_no_rows() -> None:
    idle = {**SUMMARY, "planned": 0, "kept": 0, "reasons": {}, "notes": ["no weights <named>"]}
    made = content("plain")
    summaries = {**made.inputs.summaries, **dict.fromkeys(("invert", "directions", "synth"), idle)}
    text = render(replace(made, inputs=replace(made.inputs, summaries=summaries))).decode()
    assert text.count("no weights &lt;named&gt;") == 4  # three stages, and the families' section
    assert '<th scope="row">invert</th>' not in text
    assert "name a generator and an encoder" in text


def test_cards_are_left_out_until_the_page_is_small_enough() -> None:
    made = content("plain")
    whole = len(render(made))
    assert render_within(made, whole) == (render(made), 1)
    smaller, n = render_within(made, whole - 1)
    assert (n, b"<template" in smaller) == (0, False)
