from __future__ import annotations

import json
from dataclasses import replace

from pipeline.stages.report.page import render, render_within, script_json
from tests.builders.report_page import EVIL, SUMMARY, Tags, content


def page(name: str) -> str:
    """The page on one pair of that name, as text."""
    return render(content(name)).decode()


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
