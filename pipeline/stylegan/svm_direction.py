"""Emotion directions: the linear boundary between neutral codes and an emotion's (SSERD eq. 11).

W+ codes are rows of (n_latent * dim,) numbers. What the paper does not specify (C, frames, splits,
pooling) are arguments here, and parameters of the stages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Norm = Literal["flattened", "per_layer"]
Balance = Literal["none", "classes", "speakers"]

_TOLERANCE = 1e-6
_LEFT = 1e-6
_MOST_FOLDS = 10


@dataclass(frozen=True)
class Labelled:
    """Codes of a set of speakers, with speaker, take and class of each.

    Attributes
    ----------
    codes
        (n, d), centred per speaker if the caller does so.
    is_emotion
        (n,) True for the emotion, False for neutral.
    speakers, takes
        (n,) names; frames of one take are near copies and are never on both sides of a split.
    """

    codes: F64
    is_emotion: NDArray[np.bool_]
    speakers: NDArray[np.str_]
    takes: NDArray[np.str_]

    def __post_init__(self) -> None:
        lengths = {len(self.codes), len(self.is_emotion), len(self.speakers), len(self.takes)}
        if len(lengths) != 1:
            raise ValueError(f"labelled codes of lengths {sorted(lengths)}")

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labelled:
        """Some of the rows."""
        return Labelled(
            self.codes[rows], self.is_emotion[rows], self.speakers[rows], self.takes[rows]
        )

    @property
    def has_both(self) -> bool:
        """Whether both classes have rows."""
        return bool(self.is_emotion.any() and not self.is_emotion.all())


@dataclass(frozen=True)
class Boundary:
    """`codes @ normal + intercept` is positive on the emotion's side; any length."""

    normal: F64
    intercept: float


@dataclass
class Middle:
    """The centre of one speaker's codes, with equal weight for each take; uses no labels.

    Raw codes can be separated by skin and background; after centring, expression remains.
    """

    n: int = 0
    _n_takes: int = 0
    _of_takes: F64 = field(default_factory=lambda: np.zeros(1))
    _mean: F64 = field(default_factory=lambda: np.zeros(1))
    _squares: float = 0.0

    def add(self, codes: F64) -> None:
        """Add the codes (n, d) of one take."""
        mean = codes.mean(axis=0)
        self._of_takes = self._of_takes + mean
        self._n_takes += 1
        step, weight = mean - self._mean, len(codes) / (self.n + len(codes))
        self._squares += float(np.sum((codes - mean) ** 2))
        self._squares += float(np.sum(step**2)) * self.n * weight
        self._mean = self._mean + weight * step
        self.n += len(codes)

    def centre(self) -> F64:
        """The centre (d,)."""
        return np.asarray(self._of_takes / self._n_takes)

    def squares(self) -> float:
        """The sum of the squared distances of all codes from the centre."""
        return self._squares + self.n * float(np.sum((self._mean - self.centre()) ** 2))


def evenly(
    cap: int, speakers: NDArray[np.str_], labels: NDArray[np.bool_], takes: NDArray[Any]
) -> NDArray[np.int64]:
    """Indices of at most `cap` rows of each speaker and class, spread over its takes; 0: all."""
    kept: list[int] = []
    for speaker in np.unique(speakers):
        for label in (False, True):
            rows = np.flatnonzero((speakers == speaker) & (labels == label))
            rows = rows[np.argsort(takes[rows], kind="stable")]
            if cap and len(rows) > cap:
                rows = rows[np.linspace(0, len(rows) - 1, cap).round().astype(np.int64)]
            kept.extend(rows.tolist())
    return np.array(sorted(kept), dtype=np.int64)


def weights(balance: Balance, data: Labelled) -> F64:
    """The weight of each row (n,), 1 on average.

    `classes`: equal total weight for both classes. `speakers`: equal total weight for both classes
    of every speaker, so that a speaker's habit is not learnt as the emotion.
    """
    groups = {
        "none": np.zeros(len(data.codes), dtype=np.int64),
        "classes": data.is_emotion.astype(np.int64),
        "speakers": _numbers(data.speakers) * 2 + data.is_emotion,
    }[balance]
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    share: F64 = len(groups) / (len(counts) * counts[member].astype(np.float64))
    return share


def fit(data: Labelled, c: float, balance: Balance = "none") -> Boundary:
    """The linear support vector machine (Cortes, Vapnik 1995) of emotion against neutral.

    Hinge loss, intercept not penalised: sklearn's SVC(kernel="linear"), as in
    InterFaceGAN. Solved on the Gram matrix, since codes have many more dimensions than rows.

    Raises
    ------
    ValueError
        When one of the classes has no rows.
    """
    machine = _machine(data, data.codes @ data.codes.T, c, balance)
    normal = machine.dual_coef_[0] @ data.codes[machine.support_]
    return Boundary(np.asarray(normal, np.float64), float(machine.intercept_[0]))


def _machine(data: Labelled, gram: F64, c: float, balance: Balance) -> Any:
    if not data.has_both:
        raise ValueError("a boundary needs codes of both classes")
    from sklearn.svm import SVC  # takes a second to import, and few get here

    machine = SVC(C=c, kernel="precomputed", tol=_TOLERANCE, cache_size=500)
    return machine.fit(gram, data.is_emotion, weights(balance, data))


def unit(direction: F64, n_latent: int, norm: Norm) -> F64:
    """A direction (d,) scaled to the length that beta multiplies.

    `flattened`: length 1 over all n_latent rows, so that a row moves by beta / sqrt(n_latent) (root
    mean square; 15 is 3.54 per row of 18). `per_layer`: length 1 per row, sqrt(n_latent) in all.
    """
    length = float(np.linalg.norm(direction))
    if length < _LEFT:
        raise ValueError("the direction has length 0")
    return direction / length * (np.sqrt(n_latent) if norm == "per_layer" else 1.0)


def class_gap(data: Labelled, direction: F64) -> float:
    """The distance of the classes' means along a direction, in its units.

    The mean over speakers with both classes; over all rows if there are none.
    """
    gaps = []
    for speaker in np.unique(data.speakers):
        theirs = data.chosen(data.speakers == speaker)
        if theirs.has_both:
            gaps.append(_gap(theirs, direction))
    return float(np.mean(gaps)) if gaps else _gap(data, direction)


def _gap(data: Labelled, direction: F64) -> float:
    along = data.codes @ direction / np.linalg.norm(direction) ** 2
    return float(along[data.is_emotion].mean() - along[~data.is_emotion].mean())


def accuracy(data: Labelled, folds: NDArray[np.int64], c: float, balance: Balance) -> float | None:
    """Mean of both classes' recalls on held-out folds; None if no fold has both classes.

    Parameters
    ----------
    folds
        (n,) the fold in which each row is held out; -1 for rows that always train.
    """
    right: dict[bool, list[bool]] = {False: [], True: []}
    gram = data.codes @ data.codes.T  # computed once; each fold uses a part of it
    for fold in np.unique(folds[folds >= 0]):
        train, test = folds != fold, folds == fold
        known = data.chosen(train)
        if not known.has_both:
            continue
        machine = _machine(known, gram[np.ix_(train, train)], c, balance)
        said = machine.decision_function(gram[np.ix_(test, train)]) > 0
        for label in (False, True):
            rows = data.is_emotion[test] == label
            right[label].extend((said[rows] == label).tolist())
    if not all(right.values()):
        return None
    return float(np.mean([np.mean(hits) for hits in right.values()]))


def folds_by_take(data: Labelled, n_folds: int) -> NDArray[np.int64]:
    """The fold (n,) of each row: whole takes, assigned in turn within each speaker and class.

    A speaker's only take of a class always trains (-1); otherwise its class would be unseen.
    """
    folds = np.full(len(data.codes), -1, dtype=np.int64)
    for speaker in np.unique(data.speakers):
        for label in (False, True):
            rows = (data.speakers == speaker) & (data.is_emotion == label)
            takes = np.unique(data.takes[rows])
            if len(takes) < 2:
                continue
            for k, take in enumerate(takes):
                folds[rows & (data.takes == take)] = k % min(n_folds, len(takes))
    return folds


def folds_by_speaker(data: Labelled) -> NDArray[np.int64]:
    """The fold (n,) of each row: one per speaker, several speakers per fold for more than ten."""
    return _numbers(data.speakers) % _MOST_FOLDS


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64).reshape(-1)
