import numpy as np
import pytest

from pipeline.alignment.align import align, same_sentence
from pipeline.alignment.features import take_features
from pipeline.alignment.sentence_score import resolve
from pipeline.params import Align, load
from tests.builders.babble import babble

PARAMS = load(None).align.model_copy(
    update={"max_score": 1.0, "min_margin": 0.02, "prior_bonus": 0.05}
)


def test_the_same_sentence_scores_below_another_of_like_length(params: Align) -> None:
    a, same, other = (
        take_features(audio, params.features)
        for audio in (babble(10, 0.2), babble(10, 0.25), babble(10, 0.2, seed=4))
    )
    assert same_sentence(a, same, params) < 0.5
    assert same_sentence(a, other, params) > 1.0
    assert same_sentence(a, same, params) == align(a, same, params).score


def test_resolve_finds_the_one_to_one_assignment() -> None:
    scores = [[0.3, 1.2, 1.1], [1.3, 1.2, 0.4], [1.2, 1.3, 1.25]]
    found = resolve(scores, np.zeros((3, 3)), PARAMS)
    assert found.column.tolist() == [0, 2, -1]
    np.testing.assert_allclose(found.score, [0.3, 0.4, 1.2])
    np.testing.assert_allclose(found.margin, [0.9, 0.8, np.nan])


def test_resolve_lets_the_assignment_decide_where_two_want_one() -> None:
    found = resolve([[0.30, 0.5], [0.35, 0.9]], np.zeros((2, 2)), PARAMS)
    assert found.proposed.tolist() == [1, 0]


def test_near_twins_that_are_both_there_hold_each_other_off() -> None:
    scores = np.array([[0.60, 0.64], [0.66, 0.58]])
    found = resolve(scores, np.zeros((2, 2)), PARAMS)
    assert found.column.tolist() == [0, 1]
    np.testing.assert_allclose(found.margin, [0.12, 0.12])
    alone = resolve(scores[:, :1], np.zeros((2, 1)), PARAMS)
    np.testing.assert_allclose(alone.margin[0], 0.06)


def test_the_prior_breaks_ties_and_carries_no_more_than_its_bonus() -> None:
    free = PARAMS.model_copy(update={"min_margin": -1.0})
    prior = np.array([[0.0, 1.0]])
    assert resolve([[0.50, 0.52]], prior, free).column.tolist() == [1]
    assert resolve([[0.50, 0.60]], prior, free).column.tolist() == [0]
    assert resolve([[1.30, 1.04]], prior, free).column.tolist() == [1]
    assert resolve([[1.30, 1.06]], prior, free).column.tolist() == [-1]


def test_a_close_rival_leaves_the_row_without_partner() -> None:
    found = resolve([[0.50, 0.51]], np.zeros((1, 2)), PARAMS)
    assert found.column.tolist() == [-1]
    assert found.proposed.tolist() == [0]


def test_cells_that_are_no_candidates_are_never_matched() -> None:
    found = resolve([[np.inf, np.nan], [0.4, np.inf]], np.ones((2, 2)), PARAMS)
    assert found.column.tolist() == [-1, 0]
    assert np.isnan(found.score[0])
    assert np.isinf(found.margin[1])


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
def test_nothing_to_match(shape: tuple[int, int]) -> None:
    assert resolve(np.zeros(shape), np.zeros(shape), PARAMS).column.tolist() == [-1] * shape[0]


def test_refuses_a_prior_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"must agree, got \(2, 2\) and \(2, 3\)"):
        resolve(np.zeros((2, 2)), np.zeros((2, 3)), PARAMS)
