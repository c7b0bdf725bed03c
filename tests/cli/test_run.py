"""`spfem-data run`: order, locks, one commit, one line on the first error."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import OutOfOrderError
from pipeline.runtime.locks import Claim
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary
from pipeline.stages import READS, STAGES, module_of


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, params_here: Path) -> list[str]:
    """The names of the stages that ran; each only counts, and leaves nothing to redo."""
    names: list[str] = []
    for stage in STAGES:

        def work(run: Run, stage: str = stage) -> Summary:
            names.append(stage)
            return Summary(stage, run.dataset, "take", 3, 2, {"silent": 1}, 0, 3, 0)

        monkeypatch.setitem(sys.modules, module_of(stage), SimpleNamespace(run=work))
    return names


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What would be committed to dvc.lock, as if here were a DVC project."""
    calls: list[tuple[list[str], str]] = []
    monkeypatch.setattr("cli.dvc_commit.is_project_run", lambda *_: True)
    monkeypatch.setattr(
        "cli.dvc_commit.commit_stages", lambda stages, dataset: calls.append((stages, dataset))
    )
    return calls


def test_runs_all_stages_in_order_and_commits_once(call, ran, commits) -> None:
    code, out, err = call("run", "--dataset", "demo")
    assert (code, err) == (0, "")
    assert ran == list(STAGES)
    assert commits == [(list(STAGES), "demo")]
    lines = out.splitlines()
    assert len(lines) == len(STAGES)
    assert lines[3].startswith("align demo: up to date, 2 of 3 takes kept, ")


def test_stops_after_the_stage_asked_for(call, ran, commits) -> None:
    assert call("run", "--to", "pose")[0] == 0
    assert ran == ["demo", "extract", "sync", "align", "pose"]
    assert commits == [(["demo", "extract", "sync", "align", "pose"], "demo")]
    code, _, err = call("run", "--to", "algin")
    assert code == 1
    assert err.startswith("error: --to algin: not a stage; the stages are demo, extract, ")
    assert err.endswith("; did you mean 'align'?\n")


def test_only_a_demo_corpus_is_generated(call, ran, params_here: Path) -> None:
    text = params_here.read_text(encoding="utf-8").replace("corpus: demo  ", "corpus: mead  ", 1)
    params_here.write_text(text, encoding="utf-8")
    assert call("run", "--to", "align")[0] == 0
    assert ran == ["extract", "sync", "align"]


def test_the_first_error_is_one_line_and_finished_stages_are_committed(
    call, ran, commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Run) -> Summary:
        raise OutOfOrderError("demo has no extract yet")

    monkeypatch.setitem(sys.modules, module_of("pose"), SimpleNamespace(run=fail))
    code, _, err = call("run")
    assert (code, err) == (1, "error: demo has no extract yet\n")
    assert ran == ["demo", "extract", "sync", "align"]
    assert commits == [(["demo", "extract", "sync", "align"], "demo")]


def test_each_stage_holds_its_own_lock(
    call, ran, commits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    claims: list[Claim] = []

    @contextmanager
    def hold(folder: Path, claim: Claim, *, say: object):
        assert folder == Path("data/demo")
        claims.append(claim)
        yield

    monkeypatch.setattr("pipeline.runtime.locks.hold", hold)
    assert call("run", "--to", "align")[0] == 0
    assert claims == [
        Claim(("demo",)), Claim(("extract",)), Claim(("sync",), READS["sync"]),
        Claim(("align",), READS["align"]),
        Claim(("demo", "extract", "sync", "align")),
    ]  # fmt: skip


def test_json_is_one_value(call, ran) -> None:
    code, out, _ = call("run", "--to", "extract", "--json")
    value = json.loads(out)
    assert code == 0
    assert value["dataset"] == "demo"
    assert [stage["stage"] for stage in value["stages"]] == ["demo", "extract"]
    assert [(s["planned"], s["kept"], s["rejected"]) for s in value["stages"]] == [(3, 2, 1)] * 2


def test_a_stage_with_work_prints_its_summary(call, ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(run: Run) -> Summary:
        return Summary("demo", run.dataset, "take", 3, 2, {"silent": 1}, 1, 2, 0)

    monkeypatch.setitem(sys.modules, module_of("demo"), SimpleNamespace(run=work))
    out = call("run", "--to", "demo")[1]
    assert "  units     1 redone, 2 reused" in out.splitlines()


def test_a_stage_without_work_says_why(call, ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(run: Run) -> Summary:
        return Summary("demo", run.dataset, "take", 0, 0, {}, 0, 0, 0, ("no weights are named",))

    monkeypatch.setitem(sys.modules, module_of("demo"), SimpleNamespace(run=work))
    assert "  no weights are named" in call("run", "--to", "demo")[1].splitlines()
