"""What plan says beside what the stages then do, on a small demo corpus."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import params
from pipeline.records import Pair
from pipeline.runtime.run import Options, Run, Summary
from pipeline.stages import STAGES, module_of
from pipeline.stages.pose import stage as pose
from pipeline.tools.plan import unit_status as fates
from pipeline.tools.plan.dataset_plan import WholePlan, make_plan

WAY = STAGES[1:]


def _changed(section: Any, **changes: Any) -> Any:
    return section.model_copy(update=changes)


def _plan(run: Run) -> WholePlan:
    return make_plan(run, STAGES, trial=0)


def _way(run: Run) -> dict[str, Summary]:
    modules = {stage: importlib.import_module(module_of(stage)) for stage in WAY}
    return {stage: module.run(replace(run)) for stage, module in modules.items()}


def _told(plan: WholePlan, stages: tuple[str, ...] = WAY) -> dict[str, tuple[int, int, int]]:
    """Units redone, reused and removed of each stage, as planned."""
    told = {one.fates.stage: one.fates for one in plan.stages}
    return {s: (len(told[s].redo), len(told[s].receipts), len(told[s].removed)) for s in stages}


def _done(way: dict[str, Summary]) -> dict[str, tuple[int, int, int]]:
    """The same as the stages did it."""
    return {s: (way[s].done, way[s].reused, way[s].removed) for s in WAY}


def _why(plan: WholePlan, stage: str) -> dict[str, int]:
    return next(one.fates.why() for one in plan.stages if one.fates.stage == stage)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A demo corpus of one actor, six takes, on which nothing has run."""
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
        invert=_changed(base.invert, encoder="", generator=""),  # what synth keeps nobody can tell
    )
    run = Run("demo", small, folder / "data", Options("serial", 1))
    importlib.import_module("pipeline.stages.demo.stage").run(run)
    return run


@pytest.fixture(scope="module")
def fresh(made: Run) -> tuple[WholePlan, dict[str, Summary]]:
    """The plan before anything ran, and the run."""
    return _plan(made), _way(made)


def test_a_fresh_run_is_told_from_the_listing(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    plan, way = fresh
    assert _told(plan) == _done(way)
    assert _told(plan)["extract"] == (6, 0, 0)
    assert _why(plan, "extract") == {"new": 6}
    assert plan.seen.n_pairs == way["align"].planned == 4
    probed = plan.seen.probed
    assert probed is not None
    assert (probed.n_probed, probed.n_known, probed.n_unreadable) == (6, 0, 0)
    frames = sum(clip.n_frames for clip in probed.clips.values())
    sound_s = float(way["extract"].notes[0].split()[0]) * 60
    assert probed.duration_s == pytest.approx(sound_s, abs=3.5)
    assert f"{frames} frames" in way["extract"].notes[1]
    certain = {one.fates.stage: one.fates.certainty for one in plan.stages}
    assert certain["extract"] == "exact"
    assert certain["align"] == "expected"
    assert certain["report"] == "expected"


def test_a_plan_writes_no_output(tmp_path: Path, made: Run) -> None:
    shutil.copytree(made.folder("demo"), tmp_path / "demo" / "demo")
    before = sorted((tmp_path / "demo").rglob("*"))
    assert _told(_plan(replace(made, data=tmp_path)))["extract"] == (6, 0, 0)
    assert sorted((tmp_path / "demo").rglob("*")) == before


def test_nothing_is_left_to_do(made: Run, fresh: tuple[WholePlan, dict[str, Summary]]) -> None:
    plan = _plan(made)
    assert plan.open == []
    assert plan.growth_bytes == 0
    assert _told(plan)["report"] == (0, fresh[1]["report"].planned, 0)
    assert {one.fates.certainty for one in plan.stages} == {"exact"}
    sources = {one.price.source for one in plan.stages if one.price and one.fates.units}
    assert sources == {"runs of this dataset here"}


def test_disk_after_a_run_is_what_lies_there(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    forced = replace(made, options=replace(made.options, force=True))
    plan = _plan(forced)
    assert _why(plan, "extract") == {fates.FORCED: 6}
    for one in plan.stages[1:5]:
        assert one.price is not None
        assert one.price.disk_bytes == pytest.approx(one.price.now_bytes, rel=0.02)


def test_a_take_less_and_back(made: Run, fresh: tuple[WholePlan, dict[str, Summary]]) -> None:
    victim = next(Path(made.entry.root).rglob("01-01-03-02-01-01-25.mp4"))
    aside = victim.with_suffix(".aside")
    victim.rename(aside)
    plan = _plan(made)
    assert _why(plan, "extract") == {fates.LOST_INPUT: 1}
    assert _told(plan)["extract"] == (0, 5, 1)
    assert _why(plan, "align") == {fates.INPUT: 1}
    assert plan.seen.n_pairs == 3
    price = plan.stages[1].price
    assert price is not None
    assert price.disk_bytes < price.now_bytes
    assert _told(plan) == _done(_way(made))
    aside.rename(victim)
    plan = _plan(made)
    assert _told(plan)["extract"] == (1, 5, 0)
    assert _why(plan, "extract") == {"new": 1}
    assert _told(plan) == _done(_way(made))


def test_another_parameter_of_align_decodes_nothing(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    align = _changed(made.params.align, prior_bonus=made.params.align.prior_bonus + 0.001)
    other = replace(made, params=_changed(made.params, align=align))
    plan = _plan(other)
    assert _told(plan)["extract"] == (0, 6, 0)
    assert _why(plan, "align") == {fates.PARAMETERS: 1}
    assert [one.fates.certainty for one in plan.stages[2:4]] == ["exact", "at most"]
    align_run = importlib.import_module("pipeline.stages.align.stage").run(replace(other))
    assert (align_run.done, align_run.reused) == _told(plan)["align"][:2]
    after = _plan(other)
    assert _told(after)["pose"] == (0, 1, 0)  # the pairs came out the same
    importlib.import_module("pipeline.stages.align.stage").run(replace(made))


def _with_min_pairs(made: Run, count: int) -> Run:
    align = _changed(made.params.align, min_pairs=count)
    return replace(made, params=_changed(made.params, align=align))


def test_a_threshold_that_holds_nothing_back_is_told_exactly(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    other = _with_min_pairs(made, made.params.align.min_pairs + 1)
    plan = _plan(other)
    assert _why(plan, "align") == {fates.THRESHOLDS: 1}
    assert [one.fates.stage for one in plan.open] == ["align"]
    assert {one.fates.certainty for one in plan.stages} == {"exact"}
    assert _told(plan) == _done(_way(other))
    assert _told(_plan(made)) == _done(_way(made))


def test_pairs_that_a_threshold_holds_back_and_lets_return(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    shortest = min(len(pair.frame_a) for pair in made.need("align", "pairs", Pair))
    strict = _with_min_pairs(made, shortest + 1)
    plan = _plan(strict)
    assert plan.seen.n_pairs == 3
    certain = {one.fates.stage: one.fates.certainty for one in plan.stages}
    assert (certain["pose"], certain["shards"]) == ("exact", "expected")
    assert _told(plan) == _done(_way(strict))
    stricter = _plan(_with_min_pairs(made, shortest + 2))
    assert {one.fates.certainty for one in stricter.stages[:-1]} == {"exact"}
    plan = _plan(made)
    assert _why(plan, "align") == {fates.THRESHOLDS: 1}
    assert plan.seen.n_pairs == 4
    certain = {one.fates.stage: one.fates.certainty for one in plan.stages}
    assert (certain["align"], certain["pose"]) == ("exact", "expected")
    assert _told(plan) == _done(_way(made))


def test_a_threshold_beside_another_take_hides_no_change(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    victim = next(Path(made.entry.root).rglob("01-01-03-02-01-01-25.mp4"))
    aside = victim.with_suffix(".aside")
    victim.rename(aside)
    other = _with_min_pairs(made, made.params.align.min_pairs + 1)
    plan = _plan(other)
    assert _why(plan, "align") == {fates.PARAMETERS: 1}
    assert "exact" not in {one.fates.certainty for one in plan.stages[3:4]}
    aside.rename(victim)


def test_a_new_version_of_code_is_named(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose, "VERSION", pose.VERSION + 1)
    plan = _plan(made)
    assert _why(plan, "pose") == {fates.CODE: 1}
    assert _told(plan, ("extract", "align", "score")) == {
        "extract": (0, 6, 0),
        "align": (0, 1, 0),
        "score": (0, 6, 0),
    }


def test_a_narrower_selection_is_told_from_a_lost_file(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    select = _changed(made.entry.select, emotions=["neutral", "happy"])
    narrow = _changed(made.params, datasets={"demo": _changed(made.entry, select=select)})
    plan = _plan(replace(made, params=narrow))
    assert _why(plan, "extract") == {fates.NARROWED: 2}


def test_gone_files_and_unknown_origins_are_told(
    made: Run, fresh: tuple[WholePlan, dict[str, Summary]]
) -> None:
    store = made.items("extract")
    unit = sorted(store.units())[0]
    sound = store.path(unit, ".audio.flac")
    content = sound.read_bytes()
    sound.unlink()
    plan = _plan(made)
    assert _why(plan, "extract") == {fates.LOST_FILES: 1}
    sound.write_bytes(content)
    memory = made.local("origins-extract.json")
    told = memory.read_bytes()
    memory.unlink()
    section = _changed(made.params.extract, jpeg_quality=50)
    other = replace(made, params=_changed(made.params, extract=section))
    assert _why(_plan(other), "extract") == {fates.UNREMEMBERED: 6}
    memory.write_bytes(told)
    assert _why(_plan(other), "extract") == {fates.PARAMETERS: 6}


def test_before_the_demo_is_made_nothing_more_is_told(tmp_path: Path, made: Run) -> None:
    entry = _changed(made.entry, root=str(tmp_path / "corpus"))
    away = replace(made, params=_changed(made.params, datasets={"demo": entry}), data=tmp_path)
    plan = _plan(away)
    assert len(plan.stages[0].fates.redo) == 1
    assert {one.fates.certainty for one in plan.stages[1:]} == {"unknown"}
    assert all(one.price is None for one in plan.stages[1:])
