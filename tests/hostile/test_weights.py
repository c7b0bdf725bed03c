"""Weights that mean harm, a few of each kind; `python -m tests.hostile.weights` has thousands."""

from __future__ import annotations

import pytest

from tests.builders import isolated_cases
from tests.hostile.weights import MADE, Bench, Case, cases, make_bench, try_weights

LOOKED_THROUGH = {
    "kind_odd.safetensors": "looked through: converted by this project: stylegan9",
    "config_odd.safetensors": "looked through: converted by this project: stylegan2-generator",
    "config_giant.safetensors": "looked through: converted by this project: stylegan2-generator",
    "kind_deep.safetensors": "looked through: converted by this project: arcface",
    "kind_digits.safetensors": "looked through: converted by this project: arcface",
}
"""What can be told of a file; the networks of all of them are refused."""
SLOW = ("many.safetensors",)


@pytest.fixture(scope="module")
def bench() -> Bench:
    """The folder and the networks of one worker."""
    return make_bench()


@pytest.mark.parametrize("name", [name for name in MADE if name not in SLOW])
def test_made_by_hand(name: str, bench: Bench) -> None:
    assert try_weights(bench, Case(name)) == LOOKED_THROUGH.get(name, "refused")


@pytest.mark.slow
def test_mutants_are_read_or_refused_in_one_line(bench: Bench) -> None:
    ends = [try_weights(bench, case) for _, case in cases(120, seed=3) if case.base not in SLOW]
    assert not set(ends) & set(isolated_cases.BAD)
    assert ends.count("refused") > 80
