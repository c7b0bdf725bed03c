"""A list beside a dataset: verdicts with their reasons, and differences in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.records import Rejected, rejected
from pipeline.tools.audit.compare import Known, compare, compare_all, differences_ms
from pipeline.tools.audit.outcome import audit
from pipeline.tools.audit.pairlist import clips_by_name, one_view, pairs_of_level, to_listed
from tests.builders.pair_lists import EVEN, clip, listed, pair, sentence


def _rejected(reason: str, detail: str) -> Rejected:
    return rejected("align", "clip pair", "x", reason, detail)


N1, N2 = clip("neutral", "001", 1), clip("neutral", "002", 1)
H1, H2, H3, H4 = (clip("happy", f"00{k}") for k in (1, 2, 3, 4))
KNOWN = Known(
    clips=clips_by_name([N1, N2, H1, H2, H3, H4], None),
    pairs={f"{N1.take_id}--{H1.take_id}": pair(N1, H1)},
    rejected={
        f"{N1.take_id}--{H2.take_id}": _rejected("wrong_sentence", "score 1.4"),
        H3.take_id: _rejected("no_partner", "no neutral take recordings like it"),
    },
    sentences={
        N1.utterance_id: sentence(N1, "c01"),
        H4.utterance_id: sentence(H4, "c02", N2.utterance_id),
    },
    score=lambda a, b: 1.25,
    audio_fps=25.0,
)  # fmt: skip


def test_every_verdict_says_why() -> None:
    rows = compare_all([listed(f"00{k}", EVEN) for k in (1, 2, 3, 4, 9)], KNOWN, 30.0)
    assert [(row.verdict, row.reason, row.detail, row.score) for row in rows] == [
        ("accepted", "", "", 0.4),
        ("rejected", "wrong_sentence", "score 1.4", 1.25),
        ("rejected", "no_partner", "no neutral take recordings like it", 1.25),
        (
            "rejected",
            "wrong_sentence",
            "happy 004 has sentence c02 (that of neutral take M003_neutral_1_002), "
            "neutral 001 has c01",
            1.25,
        ),
        ("unknown", "", "the dataset has no usable take happy 009", None),
    ]


def test_differences_are_from_our_map_at_their_rate() -> None:
    ours = pair(N1, H1)
    same = compare(listed("001", EVEN), KNOWN, 30.0)
    assert (same.n_compared, same.median_ms, same.p95_ms) == (4, 0.0, 0.0)
    late = differences_ms(np.arange(5), np.arange(5) + 3, ours, (30.0, 30.0))
    assert late == pytest.approx([100.0] * 5)
    assert len(differences_ms(np.array([299, 300]), np.array([0, 0]), ours, (30.0, 30.0))) == 1


def test_without_a_rate_each_take_has_its_own() -> None:
    a, b = replace(N1, fps=30.0), replace(H1, fps=60.0)
    known = replace(KNOWN, clips=clips_by_name([a, b], None))
    every = (tuple(range(4)), tuple(range(0, 8, 2)))
    found = compare(listed("001", every), known, None)
    # at 60 a second frame 2 k of b is a quarter of a's frame before the middle of a's frame k
    assert found.median_ms == pytest.approx(1000 / 30 / 4)
    assert compare(listed("001", EVEN), KNOWN, None).median_ms == 0.0


def test_an_audit_with_a_dataset_shows_both_tables() -> None:
    pairs = [listed("001", EVEN), listed("002", EVEN)]
    found = audit(pairs, compare_all(pairs, KNOWN, 30.0))
    tables = {title: rows for title, _, rows in found.tables()}
    assert tables["comparison with the dataset"] == [
        ["accepted", "", "1"],
        ["rejected", "wrong_sentence", "1"],
    ]
    assert tables["listed frames compared with our alignment"][0][-1] == "wrong_sentence: score 1.4"
    assert len(found.as_json()["dataset"]) == 2  # type: ignore[arg-type]


def test_the_highest_level_of_speaker_and_emotion_is_chosen() -> None:
    low = clip("happy", "001", 2)
    pairs = [pair(N1, low), pair(N1, H1), pair(N1, clip("sad", "001", 2)), pair(H1, low)]
    assert [p.level_b for p in pairs_of_level(pairs, None)] == [3, 2]
    assert [p.emotion_b for p in pairs_of_level(pairs, 2)] == ["happy", "sad"]
    assert clips_by_name([H1, low, N1], None)["M003", "happy", "001"].level == 3
    assert clips_by_name([H1, low, N1], 2)["M003", "happy", "001"].level == 2
    assert clips_by_name([H1, low, N1], 2)["M003", "neutral", "001"].level == 1
    with pytest.raises(PipelineError, match="--level 1: the dataset has 2, 3"):
        pairs_of_level(pairs, 1)


def test_one_view_front_where_there_is_one() -> None:
    views = [clip("happy", "001", view=view) for view in ("down", "front", "top")]
    assert [c.view for c in one_view(views, None)] == ["front"]
    assert [c.view for c in one_view(views[:1] + views[2:], None)] == ["down"]
    assert [c.view for c in one_view(views, "top")] == ["top"]
    with pytest.raises(PipelineError, match="--view side: the dataset has down, front, top"):
        one_view(views, "side")


def test_what_cannot_be_exported_is_said() -> None:
    with pytest.raises(PipelineError, match="no pair with neutral to export"):
        to_listed([], [], level=None, view=None)
    with pytest.raises(PipelineError, match="extract no longer has; rerun align"):
        to_listed([pair(N1, H1)], [N1], level=None, view=None)
