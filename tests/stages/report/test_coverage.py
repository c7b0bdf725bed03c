from pathlib import Path

from pipeline.records import Clip, Pair, Rejected, rejected
from pipeline.runtime.store import ItemStore
from pipeline.stages.report.coverage import coverage, takes_of
from pipeline.stages.report.inputs import Inputs
from tests.builders.report_rows import clip, pair

A, HAPPY, SAD = clip("S1", "neutral"), clip("S1", "happy", level=3), clip("S1", "sad", level=3)


def inputs(clips: list[Clip], pairs: list[Pair], rejects: list[Rejected]) -> Inputs:
    store = ItemStore(Path("nowhere"))
    by_id = {c.take_id: c for c in clips}
    return Inputs("made", by_id, (), tuple(pairs), {}, tuple(rejects), {}, store, store)


def test_pairs_count_in_the_cells_of_both_takes() -> None:
    found = coverage(inputs([A, HAPPY, SAD], [pair(A, HAPPY)], []))
    assert found.columns == (("neutral", 1), ("happy", 3), ("sad", 3))
    assert found.cell("S1", ("happy", 3)).pairs == 1
    assert found.cell("S1", ("neutral", 1)).pairs == 1
    assert found.most_pairs == 1
    assert found.n_holes == 1


def test_a_hole_says_why() -> None:
    rows = [
        rejected("align", "clip pair", SAD.take_id, "no_partner", "alone"),
        rejected("align", "clip pair", f"{A.take_id}--{HAPPY.take_id}", "wrong_sentence", "no"),
        rejected("extract", "take", "S1_fear_2_front_007", "no_face", "none"),
        rejected("extract", "take", "odd/file.mp4", "unreadable", "broken"),
    ]
    found = coverage(inputs([A, HAPPY, SAD], [], rows))
    assert found.cell("S1", ("sad", 3)).why == "no partner 1"
    assert found.cell("S1", ("happy", 3)).why == "wrong sentence 1"
    fear = found.cell("S1", ("fear", 2))
    assert (fear.takes, fear.clips, fear.why) == (1, 0, "no face 1")
    assert found.cell("S2", ("sad", 3)).why == "the corpus has no such take"


def test_a_cell_counts_no_rejects_of_later_stages() -> None:
    rows = [
        rejected("filter", "take", HAPPY.take_id, "unclear", "faint"),
        rejected("pose", "clip pair", f"{A.take_id}--{HAPPY.take_id}", "large_residual", "far"),
        rejected("shards", "clip pair", f"{A.take_id}--{HAPPY.take_id}", "low_confidence", "no"),
    ]
    found = coverage(inputs([A, HAPPY], [pair(A, HAPPY)], rows))
    assert (found.cell("S1", ("happy", 3)).pairs, found.cell("S1", ("happy", 3)).why) == (1, "")


def test_rejects_of_utterances_count_in_the_cell_of_their_takes() -> None:
    rows = [rejected("align", "utterance", SAD.utterance_id, "too_long", "90 s")]
    assert coverage(inputs([A, SAD], [], rows)).cell("S1", ("sad", 3)).why == "too long 1"


def test_emotions_come_in_the_project_s_order_with_their_levels() -> None:
    angry = [clip("S2", "angry", level=k) for k in (2, 1)]
    found = coverage(inputs([SAD, *angry, A], [], []))
    assert found.emotions == [("neutral", 1), ("angry", 2), ("sad", 1)]
    assert found.speakers == ("S1", "S2")


def test_items_name_takes() -> None:
    assert takes_of("S1/a--b") == ["a", "b"]
    assert takes_of("S1_sad_3_front_001") == ["S1_sad_3_front_001"]
