"""Rates: what earlier runs cost, and the defaults."""

from __future__ import annotations

from pathlib import Path

from pipeline import params
from pipeline.runtime.costs import Rates, StageCost
from pipeline.runtime.run import Run
from pipeline.stages import STAGES
from pipeline.tools.plan.rates import DEFAULTS, Rate, rate_of


def _cost(effort: int, busy_s: float) -> StageCost:
    return StageCost(
        planned=8, done=6, effort=effort, busy_s=busy_s, loop_s=30.0, whole_s=42.0, processes=2,
        out_bytes=6000, memory_mb=310.0,
    )  # fmt: skip


def _run(folder: Path) -> Run:
    return Run("demo", params.load(None), folder)


def _remember(folder: Path, dataset: str, *costs: StageCost) -> None:
    for cost in costs:
        Rates(folder / dataset / ".local" / "rates.json").remember("extract", cost)


def test_the_last_of_the_largest_runs_counts(tmp_path: Path) -> None:
    _remember(tmp_path, "demo", _cost(60, 30.0), _cost(60, 60.0), _cost(1, 9.0), _cost(0, 0.0))
    rate = rate_of(_run(tmp_path), "extract")
    assert rate == Rate(1.0, 42.0 - 60.0 / 2, 100.0, "measured on demo")


def test_workers_share_units() -> None:
    rate = Rate(2.0, 7.0, 100.0, "made")
    assert rate.seconds(40, 4, workers=2) == 7 + 40
    assert rate.seconds(40, 1, workers=2) == 7 + 80
    assert rate.seconds(40, 4, workers=0) == 7 + 80  # ray, or the run's own process


def test_the_nearest_rates_are_taken(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert rate_of(run, "extract") == Rate(*DEFAULTS["extract"], source="defaults")
    _remember(tmp_path, "other", _cost(60, 30.0))
    assert rate_of(run, "extract").source == "measured on other"
    assert rate_of(run, "align").source == "defaults"
    _remember(tmp_path, "demo", _cost(60, 30.0))
    assert rate_of(run, "extract").source == "measured on demo"


def test_every_stage_has_a_default() -> None:
    assert tuple(DEFAULTS) == STAGES
    assert all(min(values) > 0 for values in DEFAULTS.values())
