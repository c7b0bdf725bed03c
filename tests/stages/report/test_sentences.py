from dataclasses import replace

from pipeline.records import rejected
from pipeline.stages.report.coverage import coverage
from pipeline.stages.report.sentences import UNKNOWN, sentence_grids
from tests.builders.many_pairs import many_pairs
from tests.builders.report_rows import clip, pair, sentence

A1, A2 = clip("S1", "neutral", "001"), clip("S1", "neutral", "002")
B1, B2, B3 = (clip("S1", "sad", f"00{k}", level=3) for k in (1, 2, 3))
C1 = clip("S1", "happy", "001", level=3)
CLIPS = {c.take_id: c for c in (A1, A2, B1, B2, B3, C1)}
SAYS = {A1: "c1", A2: "c2", B1: "c1", B2: None, B3: "c3", C1: "c2"}


def grids() -> dict:
    content = many_pairs(2, cards=0)
    rejects = (
        rejected("align", "clip pair", B2.take_id, "no_partner", "says another thing"),
        rejected("align", "clip pair", f"{A2.take_id}--{C1.take_id}", "straddles_split", ""),
        rejected("extract", "take", "S1_sad_3_front_009", "unreadable", ""),
    )
    inputs = replace(
        content.inputs, clips=CLIPS, pairs=(pair(A1, B1),), rejects=rejects,
        sentences=tuple(sentence(c, sentence=s, level=c.level) for c, s in SAYS.items()),
    )  # fmt: skip
    return sentence_grids(inputs, coverage(inputs))


def cell(name: str, emotion: str) -> tuple[int, int, str | None]:
    found = grids()
    own = found["speakers"]["S1"]
    column = [c[0] for c in found["columns"]].index(emotion)
    pairs, takes, *reason = own["cells"][own["sentences"].index(name)][column]
    return pairs, takes, found["reasons"][reason[0]] if reason else None


def test_cells_count_pairs_and_anchors_count_takes() -> None:
    assert cell("c1", "sad") == (1, 1, None)
    assert cell("c1", "neutral") == (1, 1, None)
    assert cell("c2", "neutral") == (0, 1, None)


def test_holes_say_what_became_of_their_takes() -> None:
    assert cell(UNKNOWN, "sad") == (0, 1, "no partner")
    assert cell("c2", "happy") == (0, 1, "straddles split")
    assert cell("c3", "sad") == (0, 1, "no neutral take of this sentence")


def test_holes_without_a_take_say_where_it_may_be() -> None:
    assert cell("c1", "happy") == (0, 0, "no take has this sentence")
    lost = (
        "no take is known to have this sentence; of 4 takes, "
        "1 rejected by extract and 1 without a known sentence"
    )
    assert cell("c2", "sad") == (0, 0, lost)
    assert "fear" not in [c[0] for c in grids()["columns"]]


def test_the_last_row_is_of_takes_without_a_sentence() -> None:
    assert grids()["speakers"]["S1"]["sentences"] == ["c1", "c2", "c3", UNKNOWN]
