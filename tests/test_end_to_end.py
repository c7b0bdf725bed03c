"""The whole way on a small demo corpus: same bytes for any workers, nothing redone in vain."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import OutOfOrderError
from pipeline.runtime.run import Options, Run
from pipeline.runtime.summaries import Summary
from pipeline.stages import STAGES, module_of
from tests.builders.digests import digests
from tests.builders.small_run import few_of_demo

WAY = STAGES[1:]


def _stage(run: Run, stage: str) -> Summary:
    return importlib.import_module(module_of(stage)).run(run)


def _way(run: Run) -> dict[str, Summary]:
    return {stage: _stage(run, stage) for stage in WAY}


def _changed(section: Any, **changes: Any) -> Any:
    return section.model_copy(update=changes)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A demo corpus of one actor, made with two workers; the run that made it."""
    folder = tmp_path_factory.mktemp("way")
    run = Run("demo", few_of_demo(folder / "corpus"), folder / "data", Options(workers=2))
    _stage(run, "demo")
    return run


@pytest.fixture(scope="module")
def first(corpus: Run) -> dict[str, Summary]:
    """The way's first passage, with two workers."""
    return _way(corpus)


@pytest.mark.slow
def test_the_way_gives_pairs(first: dict[str, Summary]) -> None:
    assert first["extract"].kept == 6
    assert first["align"].kept == 4
    assert first["directions"].kept == first["synth"].kept == 2
    for summary in first.values():
        assert summary.kept + sum(summary.reasons.values()) == summary.planned


@pytest.mark.slow
def test_a_second_passage_redoes_nothing(corpus: Run, first: dict[str, Summary]) -> None:
    before = digests(corpus.data)
    again = _way(corpus)
    assert {stage: summary.done for stage, summary in again.items()} == dict.fromkeys(WAY, 0)
    assert digests(corpus.data) == before


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_workers(corpus: Run, first: dict[str, Summary]) -> None:
    serial = replace(corpus, data=corpus.data.parent / "serial", options=Options("serial", 1))
    _stage(serial, "extract")
    for stage in WAY[1:]:
        _stage(serial, stage)
    assert digests(serial.data / "demo") == {
        name: value
        for name, value in digests(corpus.data / "demo").items()
        if not name.startswith("demo/")
    }
    shutil.rmtree(serial.data)


@pytest.mark.slow
def test_a_take_removed_and_put_back_changes_no_byte(
    corpus: Run, first: dict[str, Summary]
) -> None:
    before = digests(corpus.data)
    serial = replace(corpus, options=Options("serial"))
    victim = next(Path(corpus.entry.root).rglob("01-01-03-02-01-01-25.mp4"))
    aside = victim.with_suffix(".aside")
    victim.rename(aside)
    without = _way(serial)
    assert (without["extract"].done, without["extract"].removed) == (0, 1)
    assert without["align"].kept == 3
    aside.rename(victim)
    back = _way(serial)
    assert back["extract"].done == 1
    assert digests(corpus.data) == before


@pytest.mark.slow
def test_another_framing_decodes_nothing(corpus: Run, first: dict[str, Summary]) -> None:
    shards = _changed(corpus.params.shards, framing="ffhq", size_px=128)
    other = replace(corpus, params=_changed(corpus.params, shards=shards))
    summaries = {stage: _stage(other, stage) for stage in ("extract", "align", "pose", "shards")}
    assert [summaries[s].done for s in ("extract", "align", "pose")] == [0, 0, 0]
    assert summaries["shards"].done > 0
    assert _stage(corpus, "shards").done > 0


@pytest.mark.slow
def test_the_corpus_is_never_touched(corpus: Run, first: dict[str, Summary]) -> None:
    root = Path(corpus.entry.root)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}
    _way(replace(corpus, options=Options("serial", force=True)))
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")} == before


@pytest.mark.parametrize("stage", WAY[1:])
def test_out_of_order_names_the_command(corpus: Run, tmp_path: Path, stage: str) -> None:
    with pytest.raises(OutOfOrderError, match=r"run first: spfem-data \w+ --dataset demo"):
        _stage(replace(corpus, data=tmp_path), stage)


@pytest.mark.slow
def test_parts_of_a_run_add_up(corpus: Run, first: dict[str, Summary]) -> None:
    from pipeline.errors import PipelineError

    parts = replace(corpus, data=corpus.data.parent / "parts")
    with pytest.raises(PipelineError, match=r"part 1/2 is done; \d takes are left"):
        _stage(replace(parts, options=Options("serial", shard=(1, 2))), "extract")
    whole = _stage(replace(parts, options=Options("serial", shard=(2, 2))), "extract")
    assert whole.done < 6
    assert digests(parts.data / "demo" / "extract") == digests(corpus.data / "demo" / "extract")
    shutil.rmtree(parts.data)
