"""Rates: what runs leave behind, what a plan makes of it, and what is shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import params
from pipeline.runtime.costs import Cost, Provenance, ProvenanceCache, Rates, Stopwatch, spent
from pipeline.runtime.run import Run
from pipeline.stages import STAGES
from pipeline.tools.plan import rating
from pipeline.tools.plan.default_rates import MACHINE_S, SHIPPED
from pipeline.tools.plan.rating import Rate, rate_of

RATE = Rate(2.0, 3.0, 5.0, 7.0, 0.0, 100.0, 10.0, 50.0, "made")


def _costs() -> list[Cost]:
    """Two workers on six units of 10 frames: 1 s a frame, and 4 s for each worker's first."""
    first = [Cost(10, 20, 14.0, 300.0, is_first=True)] * 2
    return [*first, *[Cost(10, 20, 10.0, 310.0, is_first=False)] * 4]


def _run(folder: Path) -> Run:
    return Run("demo", params.load(None), folder)


def _remember(folder: Path, dataset: str = "demo") -> None:
    cost = spent(_costs(), planned=[10.0] * 8, loop_s=39.0, workers=2, out_bytes=6000)
    rates = Rates(folder / dataset / ".local" / "rates.json")
    rates.remember("extract", replace(cost, whole_s=42.0))


def test_a_run_tells_rate_warm_up_and_rest(tmp_path: Path) -> None:
    _remember(tmp_path)
    rate = rate_of(_run(tmp_path), "extract")
    assert rate.source == "runs of this dataset here"
    assert rate.unit_s == pytest.approx(1.0)
    assert rate.warm_s == pytest.approx(4.0)
    assert rate.spawn_s == pytest.approx(39.0 - 68 / 2)
    assert rate.rest_s == SHIPPED["extract"].rest_s
    assert rate.each_s == pytest.approx((3.0 - rate.rest_s) / 80)
    assert rate.unit_bytes == pytest.approx(50.0)
    assert rate.memory_mb == 310.0


def test_seconds_are_shared_by_workers_but_not_the_longest_unit() -> None:
    assert RATE.seconds([], 2) == 7.0
    assert RATE.seconds([10.0], 2) == pytest.approx(7 + 20 + 3 + 5)
    assert RATE.seconds([10.0] * 4, 2) == pytest.approx(7 + 40 + 3 + 5)
    assert RATE.seconds([30.0, 1.0], 2) == pytest.approx(7 + 60 + 3 + 5)
    assert RATE.seconds([10.0] * 4, 1) == pytest.approx(7 + 80 + 3 + 5)
    assert RATE.seconds([10.0] * 4, 0) == pytest.approx(7 + 80 + 3)  # in the run's own process


def test_what_all_units_cost_grows_with_them_also_with_those_that_stay() -> None:
    rate = replace(RATE, each_s=0.1)
    assert rate.seconds([10.0], 2, planned=200.0) == pytest.approx(7 + 20 + 20 + 3 + 5)


def test_units_that_were_all_some_worker_s_first_do_not_make_all_units_dear(tmp_path: Path) -> None:
    """Two speakers on two workers: what compiling cost is not of the sound."""
    first = [Cost(100, 100, 10.0, 300.0, is_first=True)] * 2
    cost = spent(first, planned=[100.0] * 2, loop_s=11.0, workers=2, out_bytes=0)
    Rates(_run(tmp_path).local("rates.json")).remember("align", cost)
    rate, usual_s = rate_of(_run(tmp_path), "align"), SHIPPED["align"].warm_s
    assert rate.unit_s == pytest.approx((20 - 2 * usual_s) / 200)
    assert rate.warm_s == pytest.approx(usual_s)
    assert rate.seconds([100.0], 2) == pytest.approx(10.0 + rate.spawn_s + rate.rest_s, abs=0.01)


def test_the_nearest_rates_are_taken(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert rate_of(run, "extract").source.startswith("shipped")
    assert rate_of(run, "extract", RATE).source == "made"
    _remember(tmp_path, "other")
    assert rate_of(run, "extract").source == "runs of other here"
    assert rate_of(run, "extract", RATE).source == "made"
    _remember(tmp_path)
    assert rate_of(run, "extract", RATE).source == "runs of this dataset here"


def test_shipped_rates_go_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating, "machine_s", lambda: 3 * MACHINE_S)
    rate = rating.shipped("pose")
    assert rate.unit_s == pytest.approx(3 * SHIPPED["pose"].unit_s)
    assert rate.unit_bytes == SHIPPED["pose"].unit_bytes
    assert rate.source == "shipped; this machine takes 3.00 times as long"


def test_every_stage_has_a_shipped_rate() -> None:
    assert set(SHIPPED) == set(STAGES)


def test_eight_runs_are_remembered_and_another_version_tells_nothing(tmp_path: Path) -> None:
    rates = Rates(tmp_path / "rates.json")
    for n in range(10):
        rates.remember("pose", spent(_costs(), planned=[1.0] * n, loop_s=1, workers=1, out_bytes=0))
    assert [run.planned for run in rates.known("pose")] == list(range(2, 10))
    (tmp_path / "rates.json").write_text('{"pose": [{"seconds": 3}]}')
    assert rates.known("pose") == []
    (tmp_path / "rates.json").write_text("{broken")
    assert rates.known("pose") == []


def test_the_first_unit_of_a_kind_is_told_apart() -> None:
    kind = "tests.tools.plan"
    assert [Stopwatch(kind).cost(1.0, 1.0).is_first for _ in range(3)] == [True, False, False]


def test_origins_hold_for_the_key_they_were_made_with(tmp_path: Path) -> None:
    memory = tmp_path / "origins.json"
    ProvenanceCache(memory).keep(
        {"a": ("k1", Provenance("c", "p")), "b": ("k2", Provenance("c", "q", "t"))}
    )
    again = ProvenanceCache(memory)
    assert again.of("a", "k1") == Provenance("c", "p")
    assert again.of("b", "k2") == Provenance("c", "q", "t")
    assert again.of("a", "k2") is None
    assert again.of("c", "k1") is None
    stamp = memory.stat().st_mtime_ns
    again.keep({"a": ("k1", Provenance("c", "p")), "b": ("k2", Provenance("c", "q", "t"))})
    assert memory.stat().st_mtime_ns == stamp
