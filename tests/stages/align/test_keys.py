"""The key of a speaker: it decides which users' items are redone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline import params
from pipeline.digests import digest
from pipeline.records import SyncTake
from pipeline.runtime.run import Run
from pipeline.stages.align import stage as align


def _clip(take: str) -> Any:
    return SimpleNamespace(
        take_id=take, audio_sha256="a" * 64, audio_start_s=0.1, frames_sha256=None, sentence="1",
        sentence_source="name",
    )  # fmt: skip


def test_the_form_of_the_key(tmp_path: Path) -> None:
    """Thresholds have a digest of their own in the key; it cannot change without redoing items."""
    run = Run("demo", params.load(None), tmp_path)
    section, rule = run.params.align, run.params.split_rule("demo")
    late = SyncTake("t2", "s", 62.0, 9.0, 0.5, "session", 60.0, 10.0, "applied")
    sync = {"t2": late, "t3": replace(late, take_id="t3")}
    unit = align._unit("S1", (_clip("t1"), _clip("t2")), run, rule, sync)
    names = ("max_score_named", "odd_spans", "min_pairs")
    settings = section.key(without=(*names, "max_score_files"))
    inputs = [(take, "a" * 64, 0.1, None, "1", "name") for take in ("t1", "t2")]
    base = digest(["align", align.VERSION, settings, rule.key(), inputs, [("t2", 60.0, 10.0)]])
    thresholds = digest([[section.max_score_named, section.odd_spans, section.min_pairs]])[:12]
    assert unit.key == digest([base, thresholds])
    assert unit.effort == 2
