"""Emotion directions: the linear boundary between neutral codes and an emotion's (SSERD eq. 11).

W+ codes are rows of (n_latent * dim,) numbers. What the paper leaves open (C, which frames, how
they are split, whether codes are pooled) are arguments here; stages take them from params.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Norm = Literal["flattened", "per_layer"]
Balance = Literal["none", "classes", "speakers"]

_TOLERANCE = 1e-6
_FULL_RANK = 1e-6
_LEFT = 1e-6
_MOST_FOLDS = 10


@dataclass(frozen=True)
class Labelled:
    """Codes of one speaker set, each with who and what it shows.

    Attributes
    ----------
    codes
        (n, d), centred per speaker where the caller wishes.
    is_emotion
        (n,) True for the emotion, False for neutral.
    speakers, takes
        (n,) names; frames of one take are near copies and never stand on both sides of a split.
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
        """Whether there is something to separate."""
        return bool(self.is_emotion.any() and not self.is_emotion.all())


@dataclass(frozen=True)
class Boundary:
    """`codes @ normal + intercept` is positive on the emotion's side; the normal is not scaled."""

    normal: F64
    intercept: float


@dataclass
class Middle:
    """The middle of one speaker's codes, each take weighing alike; no label is looked at.

    Raw codes separate perfectly by skin and background; what is left after centring is expression.
    """

    n: int = 0
    _n_takes: int = 0
    _of_takes: F64 = field(default_factory=lambda: np.zeros(1))
    _mean: F64 = field(default_factory=lambda: np.zeros(1))
    _squares: float = 0.0

    def add(self, codes: F64) -> None:
        """Take in the codes (n, d) of one take."""
        mean = codes.mean(axis=0)
        self._of_takes = self._of_takes + mean
        self._n_takes += 1
        step, weight = mean - self._mean, len(codes) / (self.n + len(codes))
        self._squares += float(np.sum((codes - mean) ** 2))
        self._squares += float(np.sum(step**2)) * self.n * weight
        self._mean = self._mean + weight * step
        self.n += len(codes)

    def centre(self) -> F64:
        """The middle (d,)."""
        return np.asarray(self._of_takes / self._n_takes)

    def squares(self) -> float:
        """The sum of the squared lengths of all codes, from the middle."""
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
    """How much each row counts (n,), 1 on average.

    `classes`: both classes alike. `speakers`: both classes of every speaker alike, so that no
    speaker's habit is taken for the emotion.
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

    Hinge loss, intercept not penalised: sklearn's SVC(kernel="linear"), as InterFaceGAN takes it.
    It is solved on the Gram matrix: codes have many more dimensions than there are rows.

    Raises
    ------
    ValueError
        When one of the classes is absent.
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
    """A direction (d,) at the length that beta multiplies.

    `flattened`: length 1 over all n_latent rows, so that beta is beta / sqrt(n_latent) a row (root
    mean square; 15 is 3.54 a row of 18). `per_layer`: 1 a row, length sqrt(n_latent); 15 is 15.
    """
    length = float(np.linalg.norm(direction))
    if length < _LEFT:
        raise ValueError("a direction of no length")
    return direction / length * (np.sqrt(n_latent) if norm == "per_layer" else 1.0)


def project_out(direction: F64, conditions: F64) -> F64:
    """The unit direction (d,) with the span of `conditions` (k, d) taken out, for any k.

    Raises
    ------
    ValueError
        Where the conditions are dependent, or nothing of the direction is left.
    """
    scaled = conditions / np.linalg.norm(conditions, axis=1, keepdims=True)
    basis, upper = np.linalg.qr(scaled.T)
    if np.abs(np.diag(upper)).min() < _FULL_RANK:
        raise ValueError(f"the {len(conditions)} conditions to be taken out are dependent")
    # Twice: the first pass leaves rounding of the order of the part taken out.
    left = direction - basis @ (basis.T @ direction)
    left = left - basis @ (basis.T @ left)
    length = float(np.linalg.norm(left))
    if length < _LEFT * float(np.linalg.norm(direction)):
        raise ValueError("the direction lies in the span of what is to be taken out")
    return np.asarray(left / length)


def walk(codes: F64, direction: F64, distances: Sequence[float]) -> F64:
    """Codes moved along a unit direction, one a distance.

    Parameters
    ----------
    codes
        (d,): `distances` are counted from the boundary through the origin, as InterFaceGAN does
        for W. (n_latent, d): they are counted from the code itself, as it does for W+; SSERD's
        eq. 12 is of this kind.
    direction
        (d,).
    """
    steps = np.asarray(distances, np.float64)
    if codes.ndim == 1:
        return np.asarray(codes + (steps - codes @ direction)[:, None] * direction)
    return np.asarray(codes + steps[:, None, None] * direction)


def class_gap(data: Labelled, direction: F64) -> float:
    """How far the classes' means lie apart along a direction, in its units.

    The mean over speakers who show both; over all rows where none does.
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
    """Mean of both classes' recalls on held-out folds; None where no fold can be judged.

    Parameters
    ----------
    folds
        (n,) which fold holds each row out, -1 for rows that always train.
    """
    right: dict[bool, list[bool]] = {False: [], True: []}
    gram = data.codes @ data.codes.T  # once: each fold's is a part of it
    for train, test in _splits(folds):
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
    """The fold (n,) of each row: whole takes, dealt out in turn within each speaker and class.

    A speaker's only take of a class always trains (-1): held out, its class would be unknown.
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
    """The fold (n,) of each row: one a speaker; of more than ten speakers each holds several."""
    return _numbers(data.speakers) % _MOST_FOLDS


def _splits(
    folds: NDArray[np.int64],
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    for fold in np.unique(folds[folds >= 0]):
        test = folds == fold
        yield ~test, test


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64).reshape(-1)
