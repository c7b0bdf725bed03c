"""Entries of datasets in a params.yaml: added and replaced, everything else kept to the byte."""

from __future__ import annotations

import pytest

from pipeline import params
from pipeline.errors import ParameterError
from pipeline.tools.init import Entry, add_entry, entries, free_name, without_datasets

MEAD = Entry("mead", "mead", "/disk/MEAD", ("front",), "asccl36")


def test_only_the_entrys_lines_are_new() -> None:
    old = params.default_text()
    new = add_entry(old, MEAD)
    before, after = old.splitlines(), new.splitlines()
    at = after.index("  mead:")
    assert after[at : at + 5] == MEAD.lines()
    assert after[:at] + after[at + 5 :] == before
    assert before[at].strip().startswith("#")  # behind the last entry, before the examples
    loaded = params.parse(new, "x")
    assert loaded.datasets["mead"].root == "/disk/MEAD"
    assert loaded.datasets["mead"].select.views == ["front"]
    assert loaded.datasets["demo"] == params.load(None).datasets["demo"]


@pytest.mark.parametrize("root", ["/disk/with space", "C:\\takes", "/ä/#1: x", "12", "/a/\"b'"])
def test_odd_roots_come_back(root: str) -> None:
    text = add_entry(params.default_text(), Entry("x", "custom", root, (), "by_speaker"))
    assert params.parse(text, "x").datasets["x"].root == root
    assert entries(text)["x"] == root


def test_replaces_an_entry_in_the_middle() -> None:
    text = "datasets:\n  a:\n    root: 1  # one\n\n  # of b\n  b:\n    root: 2\nsplits: {}\n"
    made = add_entry(text, Entry("a", "custom", "/new", (), "s"))
    assert made.startswith("datasets:\n  a:\n    corpus: custom\n    root: /new\n")
    assert made.endswith("    split: s\n\n  # of b\n  b:\n    root: 2\nsplits: {}\n")
    again = add_entry(text, Entry("b", "custom", "/new", (), "s"))
    assert again.startswith("datasets:\n  a:\n    root: 1  # one\n\n  # of b\n  b:\n")
    assert again.endswith("    split: s\nsplits: {}\n")


def test_datasets_at_the_end() -> None:
    made = add_entry("datasets:\n  a:\n    root: 1\n# end", MEAD)
    assert made == "datasets:\n  a:\n    root: 1\n" + "\n".join(MEAD.lines()) + "\n# end\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets: {a: {root: x}}\n", "are on one line"),
        ("datasets: {}\n", "are on one line"),
        ("splits: {}\n", "has no section datasets"),
        ("- 1\n", "has no section datasets"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_what_cannot_be_added_to(text: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        add_entry(text, MEAD)


@pytest.mark.parametrize(
    ("wanted", "taken", "name"),
    [
        ("MEAD", [], "mead"), ("mead", ["mead"], "mead-2"), ("My Takes!", [], "my-takes"),
        ("ä", [], "takes"), ("mead", ["mead", "mead-2"], "mead-3"),
    ],
)  # fmt: skip
def test_names(wanted: str, taken: list[str], name: str) -> None:
    assert free_name(wanted, taken) == name


DEMO = Entry("demo", "demo", "data/demo/corpus", (), "by_speaker")


@pytest.mark.slow
def test_a_new_project_has_neither_datasets_nor_exclusions_of_another() -> None:
    clean = params.default_text()
    used = add_entry(add_entry(clean, MEAD), Entry("studio", "custom", "/s.csv", (), "by_speaker"))
    used = used.replace("forgotten: {}", "forgotten:\n  mead: [M003]\n  studio: [anna]")
    assert params.parse(used, "x").forgotten == {"mead": ["M003"], "studio": ["anna"]}
    assert without_datasets(used, DEMO) == clean
    assert without_datasets(clean, DEMO) == clean
    without_demo = used.replace("  demo:\n    corpus: demo ", "  mine:\n    corpus: demo ", 1)
    made = params.parse(without_datasets(without_demo, DEMO), "x")
    assert (list(made.datasets), made.forgotten) == (["demo"], {})
