"""Leaks are found for the unit of the split, and named."""

from __future__ import annotations

import itertools

import pytest

from pipeline.params import SplitRule
from pipeline.splits import unit_of
from spfem_data.leaks import UNITS, Placed, find_leaks, leak_line, unit_name

A, B = "train", "test"


@pytest.mark.parametrize(
    ("unit", "leaks"),
    [
        ("speaker", {"M003": ("test", "train")}),
        ("sentence", {"c01": ("test", "train"), "c02": ("test", "train")}),
        ("speaker+sentence", {"M003+c01": ("test", "train")}),
        ("take", {"M003_sad_1": ("test", "train")}),
    ],
)
def test_leaks_are_those_of_the_unit(unit: str, leaks: dict[str, tuple[str, ...]]) -> None:
    placed = [
        Placed(A, "M003", "c01", "M003_sad_1"),
        Placed(B, "M003", "c01", "M003_sad_1"),
        Placed(A, "W011", "c02", "W011_sad_1"),
        Placed(B, "M003", "c02", "M003_fear_2"),
        Placed(A, "W011", None, "W011_fear_3"),
    ]
    assert find_leaks(unit, placed) == leaks
    assert find_leaks(unit, placed[:1]) == {}


def test_line_names_them_and_how_many_more() -> None:
    one = {"M003": (B, A)}
    assert leak_line("speaker", one) == "1 speaker is in more than one split: M003 (test, train)"
    many = {f"s{k:02d}": (B, A) for k in range(10)}
    line = leak_line("sentence", many)
    assert line.startswith("10 sentences are in more than one split: s00 (test, train), s01")
    assert line.endswith("s07 (test, train) and 2 more")


def test_units_are_those_of_the_split_rules() -> None:
    for unit, sentence in itertools.product(UNITS, ("c01", None)):
        rule = SplitRule.model_validate(
            {"unit": unit, "seed": 0, "validation": 0.1, "test": 0.1, "assign": {}, "only": []}
        )
        wanted = unit_of(rule, speaker="M003", sentence=sentence, utterance_id="u")
        assert unit_name(unit, Placed(A, "M003", sentence, "u")) == wanted


def test_unknown_unit_is_a_bug() -> None:
    with pytest.raises(ValueError, match="unit 'camera': expected one of"):
        find_leaks("camera", [])
