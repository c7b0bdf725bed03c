"""An item whose worker hangs or returns another item's result is recorded and can be retried."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.options import make_options
from pipeline import params
from pipeline.errors import ParameterError
from pipeline.runtime.executor import Limits
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore, write_bytes
from pipeline.runtime.units import Unit, UnitResult, run_units


def _work(state: None, store: ItemStore, unit: str, payload: str) -> UnitResult:
    if payload == "hangs":
        time.sleep(600)
    write_bytes(store.path(unit, ".txt"), unit.encode())
    return UnitResult([".txt"])


def _units(**payloads: str) -> list[Unit]:
    return [Unit(name, f"key of {name}", payload) for name, payload in payloads.items()]


def _why(batch: Any) -> dict[str, tuple[str, str, str]]:
    return {row.item: (row.reason, row.kind, row.detail) for row in batch.rejects()}


@pytest.mark.slow
def test_an_item_that_hangs_is_a_failed_row_and_is_tried_again_when_asked(tmp_path: Path) -> None:
    options = Options("processes", 2, limits=Limits(item_s=4.0))
    run = Run("demo", params.load(None), tmp_path, options)
    units = _units(a="fine", b="hangs", c="fine", d="fine")
    batch = run_units(run, "align", "take", units, _work)
    detail = "it took longer than --item-timeout 4 (seconds)"
    assert _why(batch) == {"b": ("timed_out", "failed", detail)}
    assert (batch.done, len(batch.receipts)) == (4, 4)
    calm = _units(a="fine", b="fine", c="fine", d="fine")
    again = run_units(run, "align", "take", calm, _work)
    assert (again.done, _why(again)) == (0, _why(batch))
    retried = replace(run, options=replace(options, retry_failed=True))
    repaired = run_units(retried, "align", "take", calm, _work)
    assert (repaired.done, _why(repaired)) == (1, {})


def test_an_answer_of_another_item_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("demo", params.load(None), tmp_path, Options("serial"))

    def swapped(fn: Any, items: Any, **_: Any) -> Any:
        """An engine whose workers swap two results and return an invalid third one."""
        state = None
        yield "a", fn(state, items["b"])
        yield "b", fn(state, items["b"])
        yield "c", {"rows": 3}

    monkeypatch.setattr("pipeline.runtime.executor.run", swapped)
    batch = run_units(run, "align", "take", _units(a="fine", b="fine", c="fine"), _work)
    assert {item: why[:2] for item, why in _why(batch).items()} == {
        "a": ("worker_garbled", "failed"), "c": ("worker_garbled", "failed"),
    }  # fmt: skip


def test_options_say_the_limits() -> None:
    given = make_options(
        "ray", 0, "2/3", False, False, item_timeout=0, worker_memory=4, gpus_per_worker=0.5
    )
    assert given == Options("ray", 0, (2, 3), limits=Limits(None, 4), gpus_per_worker=0.5)
    assert make_options("serial", 1, "1/1", False, False).limits == Limits(3600.0, None)
    with pytest.raises(ParameterError, match=r"--gpus-per-worker 1.5: expected a whole number"):
        make_options("ray", 0, "1/1", False, False, gpus_per_worker=1.5)
