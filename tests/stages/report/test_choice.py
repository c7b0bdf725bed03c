import numpy as np
import pytest

from pipeline.stages.report.choice import choose, doubts, overlaid
from tests.builders.report_rows import clip, pair, posed

A = clip("S1", "neutral")
PAIRS = [
    pair(A, clip("S1", "happy", f"{k:03d}"), sentence_score=k / 10, coverage=1 - k / 20,
         mouth_agreement=1 - k / 10, confidence=(1 - k / 20,) * 4)
    for k in range(12)
]  # fmt: skip


def test_doubt_orders_pairs_that_get_worse_in_all() -> None:
    posed_pairs = {p.pair_id: posed(p, 0.2, k / 100) for k, p in enumerate(PAIRS)}
    score = doubts(PAIRS, posed_pairs).mean
    assert list(np.argsort(score)) == list(range(12))
    assert score[0] == pytest.approx(0.5 / 12)


def test_what_a_pair_lacks_ranks_in_the_middle() -> None:
    lone = pair(A, clip("S1", "sad"), mouth_agreement=None)
    assert doubts([lone], {}).mean.tolist() == [0.5]


def test_a_third_from_each_end_and_the_rest_by_lot() -> None:
    choice = choose(PAIRS, {}, 6, seed=0)
    assert [p.sentence_score for p in choice.worst] == [1.1, 1.0]
    assert [p.sentence_score for p in choice.best] == [0.0, 0.1]
    assert len(choice.random) == 2
    assert len({p.pair_id for p in choice.all}) == 6


def test_the_lot_goes_by_seed_and_not_by_order() -> None:
    def drawn(pairs: list, seed: int) -> set[str]:
        return {p.pair_id for p in choose(pairs, {}, 6, seed).random}

    assert drawn(PAIRS, 0) == drawn(PAIRS[::-1], 0)
    assert len({frozenset(drawn(PAIRS, seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize(("n", "count"), [(0, 3), (1, 3), (2, 24), (3, 1), (12, 24)])
def test_every_pair_is_shown_once_where_there_is_room(n: int, count: int) -> None:
    shown = [p.pair_id for p in choose(PAIRS[:n], {}, count, seed=0).all]
    assert len(shown) == len(set(shown)) == min(n, count)


def test_overlays_have_the_least_and_the_largest_residual_and_lots_that_stay() -> None:
    posed_pairs = {p.pair_id: posed(p, 0.2, k / 100) for k, p in enumerate(PAIRS)}
    posed_pairs[PAIRS[3].pair_id] = posed(PAIRS[3], None, None)
    chosen = overlaid(PAIRS, posed_pairs, 5, seed=0)
    assert {PAIRS[0].pair_id, PAIRS[11].pair_id} < chosen
    assert len(chosen) == 5
    assert overlaid(PAIRS, posed_pairs, 1, seed=0) == {PAIRS[11].pair_id}
    assert overlaid(PAIRS[:1], posed_pairs, 5, seed=0) == {PAIRS[0].pair_id}
    for k in range(1, 11):
        fewer = overlaid([*PAIRS[:k], *PAIRS[k + 1 :]], posed_pairs, 5, seed=0)
        assert chosen - fewer <= {PAIRS[k].pair_id}
        assert len(fewer - chosen) <= 1


def test_the_checks_that_make_a_pair_doubtful_are_named() -> None:
    weak = doubts(PAIRS, {}).weak()
    assert weak[PAIRS[11].pair_id] == ("sentence", "mouth", "confidence", "coverage")
    assert weak[PAIRS[5].pair_id] == ()


def test_fewer_pairs_begin_with_the_extremes() -> None:
    choice = choose(PAIRS, {}, 12, seed=0).fewer(0.5)
    assert [p.sentence_score for p in choice.worst] == [1.1, 1.0]
    assert [p.sentence_score for p in choice.best] == [0.0, 0.1]
    assert len(choice.random) == 2
    assert len(choice.fewer(0.99).all) == 5
    assert choice.fewer(0.1).all == ()
