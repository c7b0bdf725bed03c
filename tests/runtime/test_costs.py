"""Remembered costs and provenance: what is kept, and what is ignored."""

from __future__ import annotations

from pathlib import Path

from pipeline.runtime.costs import (
    Provenance,
    ProvenanceCache,
    Rates,
    StageCost,
    UnitCost,
    stage_cost,
)


def _cost(planned: int) -> StageCost:
    costs = [UnitCost(14.0, 300.0), UnitCost(10.0, 310.0)]
    return stage_cost(costs, planned=planned, effort=20, loop_s=39.0, workers=4, out_bytes=6000)


def test_costs_add_up() -> None:
    assert _cost(8) == StageCost(
        planned=8, done=2, effort=20, busy_s=24.0, loop_s=39.0, whole_s=39.0, processes=2,
        out_bytes=6000, memory_mb=310.0,
    )  # fmt: skip
    idle = stage_cost([], planned=8, effort=0, loop_s=0.1, workers=4, out_bytes=0)
    assert (idle.processes, idle.busy_s, idle.memory_mb) == (0, 0, 0.0)


def test_eight_runs_are_remembered_and_other_versions_are_ignored(tmp_path: Path) -> None:
    rates = Rates(tmp_path / "rates.json")
    for n in range(10):
        rates.remember("pose", _cost(n))
    assert [run.planned for run in rates.known("pose")] == list(range(2, 10))
    (tmp_path / "rates.json").write_text('{"pose": [{"seconds": 3}]}')
    assert rates.known("pose") == []
    (tmp_path / "rates.json").write_text("{broken")
    assert rates.known("pose") == []


def test_provenance_holds_for_its_key(tmp_path: Path) -> None:
    file = tmp_path / "provenance.json"
    recorded = {"a": ("k1", Provenance("c", "p")), "b": ("k2", Provenance("c", "q"))}
    ProvenanceCache(file).keep(recorded)
    again = ProvenanceCache(file)
    assert again.of("a", "k1") == Provenance("c", "p")
    assert again.of("b", "k2") == Provenance("c", "q")
    assert again.of("a", "k2") is None
    assert again.of("c", "k1") is None
    stamp = file.stat().st_mtime_ns
    again.keep(recorded)
    assert file.stat().st_mtime_ns == stamp
    file.write_text('{"kinds": [["c", "p", "thresholds"]], "units": {"a": ["k1", 0]}}')
    assert ProvenanceCache(file).of("a", "k1") is None  # of an earlier version
