"""Upper bounds from an inventory, and which units a change affects."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import params
from pipeline.runtime.run import Run
from pipeline.stages import STAGES
from pipeline.tools.plan.rates import (
    Bound,
    affected,
    bound_of_dataset,
    bound_of_names,
    grain_of,
    universe,
)

TAKES = {"A/1": "neutral", "A/2": "happy", "B/1": "contempt"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("demo", params.load(None), tmp_path)


def test_units_follow_from_takes(run: Run) -> None:
    assert universe(run, "score", TAKES) == set(TAKES)
    assert universe(run, "invert", TAKES) == {"A/1", "A/2"}  # not one of the seven emotions
    assert universe(run, "synth", TAKES) == {
        name for name, emotion in TAKES.items() if emotion in run.params.synth.source_emotions
    }
    assert universe(run, "pose", TAKES) == {"A", "B"}


def test_changed_takes_affect_their_speakers_and_no_others() -> None:
    assert affected({"A", "B"}, {"extract": {"A/2"}}) == {"A"}
    assert affected(TAKES, {"extract": {"A/2"}}) == {"A/2"}
    assert affected(TAKES, {"align": {"A"}}) == {"A/1", "A/2"}
    assert affected({"A", "B"}, {"align": {"B"}, "extract": set()}) == {"B"}
    assert affected(TAKES, {"directions": set()}) == set(TAKES)
    assert affected(TAKES, {"extract": set()}) == set()


def test_effort_counts_takes() -> None:
    assert bound_of_names("align", {"A"}, TAKES) == Bound(1, 2)
    assert bound_of_names("score", {"A/1", "B/1"}, TAKES) == Bound(2, 2)


def test_bounds_of_stages_that_read_the_whole_dataset(run: Run) -> None:
    assert bound_of_dataset(run, "filter", TAKES) == Bound(2, 3)
    assert bound_of_dataset(run, "directions", TAKES) == Bound(6, 6)
    each = run.params.directions.model_copy(update={"speakers": "each"})
    of_each = Run("demo", run.params.model_copy(update={"directions": each}), run.data)
    assert bound_of_dataset(of_each, "directions", TAKES) == Bound(12, 12)
    files = sum(run.params.shards.n_shards.model_dump().values())
    assert bound_of_dataset(run, "shards", TAKES) == Bound(3 * files, 6 * 3)
    section = run.params.report
    sheets = section.pairs + 3 + 21 + section.suspects + section.grids + 2
    assert bound_of_dataset(run, "report", TAKES) == Bound(sheets, sheets)


def test_stages_by_what_a_unit_reads() -> None:
    grains = {stage: grain_of(stage) for stage in STAGES}
    assert [stage for stage, grain in grains.items() if grain == "dataset"] == [
        "demo", "filter", "directions", "shards", "report",
    ]  # fmt: skip
