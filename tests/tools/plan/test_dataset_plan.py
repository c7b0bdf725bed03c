"""Plans compared with what the stages then do, on a small demo corpus."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import params
from pipeline.records import rejected
from pipeline.runtime.run import Options, Run
from pipeline.runtime.summaries import Summary
from pipeline.stages import STAGES, module_of
from pipeline.stages.pose import stage as pose
from pipeline.tools.plan import unit_status
from pipeline.tools.plan.dataset_plan import DatasetPlan, StagePlan, make_plan
from pipeline.tools.plan.unit_status import UnitStatus, with_removal_reasons

TAKE = "01-01-03-02-01-01-25.mp4"


def _changed(section: Any, **changes: Any) -> Any:
    return section.model_copy(update=changes)


def _plan(run: Run) -> DatasetPlan:
    return make_plan(run, STAGES)


def _stage(plan: DatasetPlan, stage: str) -> StagePlan:
    return next(one for one in plan.stages if one.stage == stage)


def _run_stages(run: Run, stages: tuple[str, ...] = STAGES[1:]) -> dict[str, Summary]:
    modules = {stage: importlib.import_module(module_of(stage)) for stage in stages}
    return {stage: module.run(replace(run)) for stage, module in modules.items()}


def _counts(plan: DatasetPlan, stage: str) -> tuple[int, int, int]:
    """Units to run, reused and removed, of a stage whose counts are exact."""
    one = _stage(plan, stage)
    assert one.depends_on is None
    return len(one.status.run), len(one.status.reused), len(one.status.removed)


def _why(plan: DatasetPlan, stage: str) -> dict[str, int]:
    return _stage(plan, stage).reasons()


@contextmanager
def _without_a_take(run: Run) -> Iterator[None]:
    file = next(Path(run.entry.root).rglob(TAKE))
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


@pytest.fixture(autouse=True)
def no_file_of_the_demo_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests remove takes as a user would from a corpus; the demo would be made again instead."""
    monkeypatch.setattr("pipeline.stages.demo.stage._whole", lambda *_: True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A demo corpus of one actor, six takes, on which no stage has run."""
    folder = tmp_path_factory.mktemp("plan")
    base = params.load(None)
    entry = _changed(
        base.dataset("demo"),
        root=str(folder / "corpus"),
        select=_changed(base.dataset("demo").select, emotions=["neutral", "happy", "sad"]),
        split="by_speaker",
    )
    rule = _changed(base.splits["by_speaker"], assign={}, only=[])
    small = _changed(
        base,
        datasets={"demo": entry},
        splits={"by_speaker": rule},
        demo=_changed(base.demo, speakers=["25"], frame_px=256),
        invert=_changed(base.invert, encoder="", generator=""),
    )
    run = Run("demo", small, folder / "data", Options("serial", 1))
    importlib.import_module("pipeline.stages.demo.stage").run(run)
    return run


@pytest.fixture(scope="module")
def fresh(made: Run) -> tuple[DatasetPlan, dict[str, Summary]]:
    """The plan before any stage ran, and the run."""
    return _plan(made), _run_stages(made)


@pytest.mark.slow
def test_a_dataset_that_never_ran_has_upper_bounds(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]
) -> None:
    plan, done = fresh
    assert _counts(plan, "demo") == (0, 1, 0)
    assert _counts(plan, "extract") == (6, 0, 0)
    assert _why(plan, "extract") == {"new": 6}
    at_most = {one.stage: one.at_most for one in plan.stages[2:]}
    assert at_most == {
        "sync": 1, "align": 1, "pose": 1, "score": 6, "filter": 1, "invert": 0, "directions": 0,
        "synth": 0,
        "shards": at_most["shards"], "report": at_most["report"],
    }  # fmt: skip
    assert {one.depends_on for one in plan.stages[2:]} == {"extract"}
    for stage in ("align", "pose", "score", "filter", "shards", "report"):
        assert 0 < done[stage].done <= (at_most[stage] or 0)
    assert _stage(plan, "invert").idle.startswith("invert.encoder is empty")
    least, most = plan.totals(with_bounds=False), plan.totals(with_bounds=True)
    assert 0 < least[0] < most[0]
    assert 0 < least[1] < most[1]


def test_a_plan_writes_nothing(tmp_path: Path, made: Run) -> None:
    shutil.copytree(made.folder("demo"), tmp_path / "demo" / "demo")
    before = sorted((tmp_path / "demo").rglob("*"))
    assert _counts(_plan(replace(made, data=tmp_path)), "extract") == (6, 0, 0)
    assert sorted((tmp_path / "demo").rglob("*")) == before


def test_nothing_is_left_to_do(made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]) -> None:
    plan = _plan(made)
    assert plan.pending == []
    assert plan.totals(with_bounds=True) == (0.0, 0)
    for stage in STAGES[1:]:
        assert _counts(plan, stage) == (0, fresh[1][stage].done, 0)


def test_forced_units(made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]) -> None:
    plan = _plan(replace(made, options=replace(made.options, force=True)))
    assert _why(plan, "demo") == {unit_status.FORCED: 1}
    assert {one.depends_on for one in plan.stages[1:]} == {"demo", "extract"}


@pytest.mark.slow
def test_one_take_less_and_back(made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]) -> None:
    with _without_a_take(made):
        plan = _plan(made)
        assert _why(plan, "extract") == {unit_status.INPUT_MISSING: 1}
        assert _counts(plan, "extract") == (0, 5, 1)
        assert (_stage(plan, "align").depends_on, _stage(plan, "align").at_most) == ("extract", 1)
        assert _stage(plan, "score").at_most == 0  # the other takes stay as they are
        _run_stages(made, ("extract",))
        plan = _plan(made)
        assert _why(plan, "align") == {unit_status.INPUT: 1}
        assert _counts(plan, "score") == (0, 5, 1)
        assert _stage(plan, "pose").depends_on == "align"
        done = _run_stages(made)
        assert (done["align"].done, done["score"].removed) == (1, 1)
    plan = _plan(made)
    assert _counts(plan, "extract") == (1, 5, 0)
    assert _why(plan, "extract") == {"new": 1}
    assert _stage(plan, "score").at_most == 1
    done = _run_stages(made)
    assert (done["extract"].done, done["score"].done) == (1, 1)
    assert _plan(made).pending == []


def test_another_parameter_of_align(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]
) -> None:
    for change in ({"prior_bonus": made.params.align.prior_bonus + 0.001}, {"min_pairs": 9}):
        align = _changed(made.params.align, **change)
        plan = _plan(replace(made, params=_changed(made.params, align=align)))
        assert _counts(plan, "extract") == (0, 6, 0)
        assert _why(plan, "align") == {unit_status.PARAMETERS: 1}
        assert _counts(plan, "score") == (0, 6, 0)  # does not read align
        assert (_stage(plan, "pose").depends_on, _stage(plan, "pose").at_most) == ("align", 1)
        assert _stage(plan, "shards").depends_on == "align"


def test_a_new_version_of_code_is_named(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose, "VERSION", pose.VERSION + 1)
    plan = _plan(made)
    assert _why(plan, "pose") == {unit_status.CODE: 1}
    one, cost = _stage(plan, "pose"), made.rates().known("pose")[0]
    assert (one.rates_from, one.n_bytes) == ("measured on demo", cost.out_bytes)
    assert one.seconds > 0
    assert _counts(plan, "align") == (0, 1, 0)
    assert _counts(plan, "filter") == (0, 1, 0)
    assert _stage(plan, "shards").depends_on == "pose"


def test_why_takes_are_removed(made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]) -> None:
    select = _changed(made.entry.select, emotions=["neutral", "happy"])
    narrow = _changed(made.params, datasets={"demo": _changed(made.entry, select=select)})
    assert _why(_plan(replace(made, params=narrow)), "extract") == {unit_status.NOT_SELECTED: 2}


def test_every_reason_why_a_take_is_removed(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = SimpleNamespace(takes=[SimpleNamespace(take_id="b")])
    monkeypatch.setattr("pipeline.corpora.list_takes", lambda *_: corpus)
    run = replace(made, params=_changed(made.params, forgotten={"demo": ["m003"]}))
    removed = dict.fromkeys(("M003/a", "W009/b", "W009/c", "W009/d", "W009/e"), "")
    rejects = [
        rejected("extract", "take", "c", "not_admitted", "another split"),
        rejected("extract", "take", "d", "unreadable", "cut short"),
    ]
    status = UnitStatus(removed=removed)
    assert with_removal_reasons(run, status, rejects).removed == {
        "M003/a": unit_status.FORGOTTEN,
        "W009/b": unit_status.NOT_SELECTED,
        "W009/c": unit_status.NOT_ADMITTED,
        "W009/d": "input unusable (unreadable)",
        "W009/e": unit_status.INPUT_MISSING,
    }


def test_missing_files_and_unrecorded_causes(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]
) -> None:
    store = made.items("extract")
    audio = store.path(sorted(store.units())[0], ".audio.flac")
    content = audio.read_bytes()
    audio.unlink()
    assert _why(_plan(made), "extract") == {unit_status.FILES_MISSING: 1}
    audio.write_bytes(content)
    memory = made.local("provenance-extract.json")
    recorded = memory.read_bytes()
    memory.unlink()
    section = _changed(made.params.extract, jpeg_quality=50)
    other = replace(made, params=_changed(made.params, extract=section))
    assert _why(_plan(other), "extract") == {unit_status.UNRECORDED: 6}
    memory.write_bytes(recorded)
    assert _why(_plan(other), "extract") == {unit_status.PARAMETERS: 6}


def test_an_interrupted_stage_comes_first(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]
) -> None:
    marker = made.unfinished("align")
    marker.touch()
    plan = _plan(made)
    assert _counts(plan, "align") == (0, 1, 0)
    assert not _stage(plan, "align").is_done
    assert _stage(plan, "pose").depends_on == "align"
    assert _counts(plan, "score") == (0, 6, 0)
    marker.unlink()


def test_weights_that_were_taken_away(
    made: Run, fresh: tuple[DatasetPlan, dict[str, Summary]]
) -> None:
    score = _changed(made.params.score, weights="")
    plan = _plan(replace(made, params=_changed(made.params, score=score)))
    one = _stage(plan, "score")
    assert (one.idle or "").startswith("no frames are scored: score.weights is empty")
    assert not one.is_done  # its tables still hold scores
    assert one.status.removed == {}
    assert _stage(plan, "filter").depends_on == "score"


def test_before_the_demo_is_made(tmp_path: Path, made: Run) -> None:
    entry = _changed(made.entry, root=str(tmp_path / "corpus"))
    away = replace(made, params=_changed(made.params, datasets={"demo": entry}), data=tmp_path)
    plan = _plan(away)
    assert _counts(plan, "demo") == (1, 0, 0)
    extract = _stage(plan, "extract")
    assert extract.depends_on == "demo"
    assert extract.at_most is not None
    assert extract.at_most >= 6  # all takes of the demo, whatever `select` says
