"""Splits come from names alone, and stay when others join."""

from __future__ import annotations

import pytest

from pipeline.errors import ParameterError
from pipeline.params import SplitRule
from pipeline.splits import admitted, check_assigned, split_of


def _rule(**changes: object) -> SplitRule:
    values = {
        "unit": "speaker", "seed": 0, "validation": 0.1, "test": 0.2, "assign": {}, "only": [],
    }  # fmt: skip
    return SplitRule.model_validate({**values, **changes})


def _split(
    rule: SplitRule, speaker: str, sentence: str | None = "c01", take: str = "t"
) -> str | None:
    return split_of(rule, speaker=speaker, sentence=sentence, utterance_id=take)


def test_shares_are_met() -> None:
    found = [_split(_rule(), f"M{n:04d}") for n in range(5000)]
    assert found.count("test") / 5000 == pytest.approx(0.2, abs=0.02)
    assert found.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)


def test_all_takes_of_a_unit_share_its_split() -> None:
    rule = _rule(unit="speaker+sentence")
    found = {_split(rule, "M003", "c01", take) for take in ("a", "b", "c")}
    assert len(found) == 1


def test_named_units_go_where_they_are_told() -> None:
    rule = _rule(assign={"M003": "test", "M005": "train"})
    assert (_split(rule, "M003"), _split(rule, "M005")) == ("test", "train")


def test_a_sentence_that_is_not_known_yet_has_no_split() -> None:
    assert _split(_rule(unit="sentence"), "M003", None) is None


def test_another_seed_is_another_split() -> None:
    names = [f"W{n:03d}" for n in range(200)]
    assert [_split(_rule(), n) for n in names] != [_split(_rule(seed=1), n) for n in names]


def test_only_admits_the_named() -> None:
    rule = _rule(only=["M003"])
    assert admitted(rule, "M003")
    assert not admitted(rule, "M005")
    assert admitted(_rule(), "M005")


def test_a_rule_of_strangers_is_refused() -> None:
    with pytest.raises(ParameterError, match="names speakers M003 and the corpus has none"):
        check_assigned(_rule(assign={"M003": "test"}), ["Actor_01"])
    check_assigned(_rule(assign={"M003": "test"}), ["M003", "M005"])
