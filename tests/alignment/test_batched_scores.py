"""Scores of many pairs at once are those of the aligner, whatever lies side by side."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.alignment import batched_scores as many
from pipeline.alignment.align import same_sentence
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.alignment.sentence_score import UNJUDGED
from pipeline.params import Align
from tests.builders.babble import babble


@pytest.fixture
def takes(params: Align) -> list[TakeFeatures]:
    """Twenty takes of four sentences, of 1 to 3 seconds."""
    recordings = [babble(6 + k % 5, 0.16 + 0.02 * (k % 7), seed=k % 4) for k in range(20)]
    return [take_features(audio, params.features) for audio in recordings]


@pytest.mark.slow
def test_each_score_is_the_aligners(takes: list[TakeFeatures], params: Align) -> None:
    a, b = takes[:2], takes
    table = many.score_table(a, b, np.ones((2, 20)), params.steps)
    wanted = [[same_sentence(one, other, params) for other in b] for one in a]
    np.testing.assert_allclose(table, wanted, rtol=1e-3, atol=1e-6)  # a take against itself: 1e-7


def test_what_lies_beside_a_take_changes_nothing(takes: list[TakeFeatures], params: Align) -> None:
    together = many.score_table(takes[:3], takes, np.ones((3, 20)), params.steps)
    for column in (0, 7, 19):
        alone = many.score_table(takes[:3], [takes[column]], np.ones((3, 1)), params.steps)
        np.testing.assert_allclose(alone[:, 0], together[:, column], rtol=1e-4)


def test_only_what_is_tried_has_a_score(takes: list[TakeFeatures], params: Align) -> None:
    tried = np.random.default_rng(0).random((4, 20)) < 0.3
    tried[2] = False
    table = many.score_table(takes[:4], takes, tried, params.steps)
    np.testing.assert_array_equal(np.isfinite(table), tried)


def test_takes_too_long_for_lanes_are_compared_one_by_one(
    takes: list[TakeFeatures], params: Align, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = many.score_table(takes[:3], takes[3:9], np.ones((3, 6)), params.steps)
    monkeypatch.setattr(many, "LONGEST_CELLS", 150)
    lengths = [len(take.mel) for take in takes[:9]]
    assert min(lengths) < 150 < max(lengths)
    table = many.score_table(takes[:3], takes[3:9], np.ones((3, 6)), params.steps)
    np.testing.assert_allclose(table, wanted, rtol=1e-3)


def test_takes_that_never_speak_are_not_judged(takes: list[TakeFeatures], params: Align) -> None:
    silent = replace(takes[0], speech=np.zeros_like(takes[0].speech))
    table = many.score_table([takes[1]], [silent, takes[2]], np.ones((1, 2)), params.steps)
    assert table[0, 0] == UNJUDGED
    assert table[0, 1] < UNJUDGED


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(0, 0), (2, 0), (0, 3)])
def test_nothing_to_compare(n: int, m: int, takes: list[TakeFeatures], params: Align) -> None:
    table = many.score_table(takes[:n], takes[:m], np.zeros((n, m)), params.steps)
    assert table.shape == (n, m)
