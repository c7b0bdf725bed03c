"""What is applied to which take, from rows as the worker gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline import params
from pipeline.params import Sync
from pipeline.records import Clip, SyncTake
from pipeline.stages.sync.decisions import Decided, decide
from pipeline.stages.sync.stage import notes
from tests.builders.pair_lists import clip


@pytest.fixture
def section() -> Sync:
    return params.load(None).sync


def _clip(speaker: str, emotion: str, take: str) -> Clip:
    made = clip(emotion, take, speaker=speaker)
    return replace(
        made, n_frames=9, n_found=9, frames_sha256="f", fps=25.0, crop_px=64, video_path="v.mp4"
    )


def _own(
    clip: Clip, offset_s: float, error_s: float = 0.01, strength: float = 0.6
) -> dict[str, Any]:
    return {
        "take_id": clip.take_id, "offset_s": offset_s, "error_s": error_s, "strength": strength,
    }  # fmt: skip


def _group(clips: list[Clip], offset_s: float, error_s: float = 0.01, strength: float = 0.6,
           pooled: str = "session", part: str = "") -> dict[str, Any]:  # fmt: skip
    return {
        "pooled": pooled, "part": part, "take_ids": [c.take_id for c in clips],
        "offset_s": offset_s, "error_s": error_s, "strength": strength,
    }  # fmt: skip


NEUTRAL = [_clip("S1", "neutral", "001"), _clip("S1", "neutral", "002")]
HAPPY = [_clip("S1", "happy", "001"), _clip("S1", "happy", "002")]
SAD = [_clip("S1", "sad", "001")]
ALONE = [_clip("S2", "neutral", "001")]
CLIPS = [*NEUTRAL, *HAPPY, *SAD, *ALONE]


def _decided(section: Sync, **changes: Any) -> Decided:
    """Neutral in sync, happy 103 ms late, sad too weak, another speaker with one session."""
    offsets = {"neutral": 0.05, "happy": 0.153, "sad": -0.2, **changes}
    takes = [_own(c, offsets[c.emotion]) for c in CLIPS]
    groups = [
        _group(NEUTRAL, offsets["neutral"]), _group(HAPPY, offsets["happy"], 0.012),
        _group(SAD, offsets["sad"], 0.08), _group(ALONE, 0.05),
    ]  # fmt: skip
    return decide(CLIPS, takes, groups, section)


def _by_take(decided: Decided) -> dict[str, SyncTake]:
    return {row.take_id: row for row in decided.takes}


def test_offsets_are_relative_to_the_commonest_and_significant(section: Sync) -> None:
    decided = _decided(section)
    rows = _by_take(decided)
    assert decided.zero_s == pytest.approx(0.05)
    late = rows[HAPPY[0].take_id]
    assert (late.status, late.applied_ms, late.remaining_ms) == ("applied", 105.0, 10.0)
    assert late.offset_ms == pytest.approx(103.0)
    still = rows[NEUTRAL[0].take_id]
    assert (still.status, still.applied_ms, still.remaining_ms) == ("not_significant", 0.0, 10.0)
    weak = rows[SAD[0].take_id]
    assert (weak.status, weak.applied_ms) == ("weak", 0.0)
    assert weak.remaining_ms == 60.0  # as far as measured sessions are from zero
    alone = rows[ALONE[0].take_id]
    assert (alone.status, alone.applied_ms) == ("one_session", 0.0)


def test_report_measures_and_applies_nothing(section: Sync) -> None:
    decided = _decided(section.model_copy(update={"mode": "report"}))
    row = _by_take(decided)[HAPPY[0].take_id]
    assert (row.status, row.applied_ms) == ("reported", 0.0)
    assert row.remaining_ms == 105.0  # the offset itself is what remains
    assert {row.applied_ms for row in decided.takes} == {0.0}


def test_takes_that_disagree_are_placed_one_by_one(section: Sync) -> None:
    takes = [_own(c, 0.0) for c in CLIPS]
    groups = [
        _group(NEUTRAL, 0.0), _group(ALONE, 0.0), _group(SAD, 0.0),
        _group(HAPPY[:1], 0.1, pooled="take", part=HAPPY[0].take_id),
        _group(HAPPY[1:], -0.1, pooled="take", part=HAPPY[1].take_id),
    ]  # fmt: skip
    decided = decide(CLIPS, takes, groups, section)
    rows = _by_take(decided)
    assert [rows[c.take_id].applied_ms for c in HAPPY] == [100.0, -100.0]
    assert [rows[c.take_id].pooled for c in HAPPY] == ["take", "take"]
    parts = [row.part for row in decided.sessions if row.emotion == "happy"]
    assert parts == [HAPPY[0].take_id, HAPPY[1].take_id]


def test_a_take_without_a_mouth_moves_with_its_session(section: Sync) -> None:
    unseen = HAPPY[1]
    groups = [_group(NEUTRAL, 0.0), _group(HAPPY[:1], 0.1), _group(ALONE, 0.0)]
    takes = [_own(c, 0.0) for c in (*NEUTRAL, HAPPY[0], *ALONE)]
    rows = _by_take(decide(CLIPS, takes, groups, section))
    assert (rows[unseen.take_id].applied_ms, rows[unseen.take_id].offset_ms) == (100.0, None)
    assert rows[SAD[0].take_id].status == "no_mouth"
    assert rows[SAD[0].take_id].remaining_ms is None


def test_nothing_measured_leaves_every_take_where_it_is(section: Sync) -> None:
    decided = decide(CLIPS, [], [], section)
    assert {(row.status, row.applied_ms, row.remaining_ms) for row in decided.takes} == {
        ("not_measured", 0.0, None)
    }


def test_the_summary_states_the_zero_and_what_was_not_shifted(section: Sync) -> None:
    lines = notes(_decided(section), section)
    assert lines[0] == ("1 of 4 recording sessions shifted: image from +103 to +103 ms (+ is late)")
    assert lines[1].startswith("zero is the commonest offset: 1 sessions are within 20 ms of it")
    assert lines[2] == (
        "others: 1 in sync within their error; 1 too weak to measure; 1 the only session of their "
        "speaker, so that no pair depends on it"
    )
