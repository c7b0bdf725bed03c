from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.stylegan import svm_direction as boundary
from pipeline.stylegan.svm_direction import Labelled


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "fixtures" / "interfacegan_io.npz") as file:
        return {name: value.astype(np.float64) for name, value in file.items()}


def _labelled(codes: np.ndarray, labels: np.ndarray, speakers: list[str] | None = None) -> Labelled:
    names = np.array(speakers or ["s"] * len(codes))
    takes = np.array([f"{s}{k // 4}" for k, s in enumerate(names)])
    return Labelled(codes, labels.astype(bool), names, takes)


@pytest.mark.parametrize("c", ["0.01", "1.0", "100.0"])
def test_boundary_is_that_of_the_reference(given: dict[str, np.ndarray], c: str) -> None:
    found = boundary.fit(_labelled(given["svm_X"], given["svm_y"]), float(c))
    wanted = given[f"svc_C{c}_coef"]
    np.testing.assert_allclose(found.normal, wanted, atol=1e-5 * np.abs(wanted).max())
    assert found.intercept == pytest.approx(float(given[f"svc_C{c}_intercept"]), abs=1e-5)


def test_fifteen_is_three_and_a_half_a_row_or_fifteen() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=18 * 512)
    for norm, a_row in (("flattened", 15 / np.sqrt(18)), ("per_layer", 15.0)):
        step = 15 * boundary.unit(raw, 18, norm).reshape(18, 512)
        assert np.sqrt(np.mean(np.sum(step**2, axis=1))) == pytest.approx(a_row)
    with pytest.raises(ValueError, match="has length 0"):
        boundary.unit(np.zeros(4), 2, "flattened")


def test_the_middle_weighs_takes_alike() -> None:
    takes = [np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 4.0]]), np.array([[6.0, 0.0]])]
    middle = boundary.Middle()
    for codes in takes:
        middle.add(codes)
    assert middle.n == 4
    assert middle.centre() == pytest.approx([3.0, 1.0])
    assert middle.squares() == pytest.approx(np.sum((np.concatenate(takes) - [3.0, 1.0]) ** 2))


def test_many_speakers_are_held_out_by_tenths() -> None:
    def folds(n: int) -> np.ndarray:
        data = _labelled(np.zeros((n, 1)), np.zeros(n, int), [f"s{k:02}" for k in range(n)])
        return boundary.folds_by_speaker(data)

    assert folds(6).tolist() == [0, 1, 2, 3, 4, 5]
    assert np.bincount(folds(25)).tolist() == [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]


def test_balanced_speakers_hide_a_speaker_s_habit() -> None:
    """One speaker leans its head when it smiles; weighed alike, its many frames do not decide."""
    rng = np.random.default_rng(1)
    codes, labels, names = [], [], []
    for speaker, n, lean in (("a", 200, 3.0), ("b", 12, 0.0), ("c", 12, 0.0)):
        for label in (0, 1):
            middle = np.array([1.0, lean]) * (2 * label - 1)
            codes.append(rng.normal(0, 1, (n, 2)) + middle)
            labels.append(np.full(n, label))
            names += [speaker] * n
    data = _labelled(np.concatenate(codes), np.concatenate(labels), names)
    leans = {}
    for balance in ("none", "speakers"):
        normal = boundary.fit(data, 1e-2, balance).normal
        leans[balance] = abs(normal[1]) / np.linalg.norm(normal)
    assert leans["none"] > 0.75
    assert leans["speakers"] < leans["none"] - 0.15
    assert boundary.weights("speakers", data).mean() == pytest.approx(1.0)


def test_cap_spreads_over_takes() -> None:
    takes = np.array([f"t{k // 10}" for k in range(40)])
    rows = boundary.evenly(4, np.array(["s"] * 40), np.zeros(40, dtype=bool), takes)
    assert sorted(takes[rows]) == ["t0", "t1", "t2", "t3"]
    assert len(boundary.evenly(0, np.array(["s"] * 40), np.zeros(40, dtype=bool), takes)) == 40


def test_a_gap_is_the_distance_of_the_means_in_lengths() -> None:
    codes = np.array([[0.0, 0.0], [0.0, 2.0], [5.0, 0.0], [5.0, 2.0]])
    data = _labelled(codes, np.array([0, 0, 1, 1]))
    assert boundary.class_gap(data, np.array([1.0, 0.0])) == pytest.approx(5.0)
    assert boundary.class_gap(data, np.array([2.0, 0.0])) == pytest.approx(2.5)


def _takes_that_know_each_other(n_takes: int) -> Labelled:
    """Codes that tell their take and nothing else: frames of a take are near copies."""
    rng = np.random.default_rng(2)
    middles = rng.normal(0, 1, (n_takes, 60))
    codes = np.repeat(middles, 8, axis=0) + rng.normal(0, 0.05, (n_takes * 8, 60))
    takes = np.repeat([f"t{k}" for k in range(n_takes)], 8)
    labels = np.repeat(np.arange(n_takes) % 2 == 1, 8)
    return Labelled(codes, labels, np.array(["s"] * len(codes)), takes)


def test_accuracy_by_take_is_chance_where_frames_only_know_their_take() -> None:
    data = _takes_that_know_each_other(24)
    by_frame = boundary.accuracy(data, np.arange(len(data.codes)) % 4, 1.0, "classes")
    by_take = boundary.accuracy(data, boundary.folds_by_take(data, 4), 1.0, "classes")
    assert by_frame == 1.0
    assert by_take is not None
    assert abs(by_take - 0.5) < 0.25


def test_folds_keep_takes_whole_and_an_only_take_at_home() -> None:
    data = _takes_that_know_each_other(6)
    folds = boundary.folds_by_take(data, 3)
    assert all(len(set(folds[data.takes == t])) == 1 for t in set(data.takes))
    two = data.chosen(np.isin(data.takes, ["t0", "t1"]))
    assert set(boundary.folds_by_take(two, 3)) == {-1}
    assert boundary.accuracy(two, boundary.folds_by_take(two, 3), 1.0, "none") is None


def test_accuracy_by_speaker_asks_who_was_not_there() -> None:
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 60)
    codes = rng.normal(0, 0.3, (120, 3))
    codes[:, 0] += labels
    speakers = [f"s{k // 40}" for k in range(120)]
    turned = codes.copy()
    turned[80:, 0] *= -1  # the third speaker does the opposite
    for values, low, high in ((codes, 0.9, 1.0), (turned, 0.2, 0.8)):
        data = _labelled(values, labels, speakers)
        found = boundary.accuracy(data, boundary.folds_by_speaker(data), 10.0, "speakers")
        assert found is not None
        assert low <= found <= high


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="needs codes of both classes"):
        boundary.fit(_labelled(np.ones((4, 2)), np.zeros(4)), 1.0)
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        Labelled(np.ones((3, 1)), np.zeros(2, bool), np.array(["s"] * 3), np.array(["t"] * 3))
