"""Keeping the mouth: the step along an emotion's direction that leaves lips where speech has them.

Taking the ridge coefficient of mouth opening out of a direction does nothing on real networks: a
coefficient says how to *read* opening from a code, not how a code must move to open the mouth.
What moves the mouth is the pattern: the regression of codes on measures (Haufe et al. 2014). How
much of it to take away is found by making pictures and measuring them, round by round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
ShiftOf = Callable[[F64], F64]
"""From a step (d,) to the mean change (k,) of the measures in pictures made with and without it."""

_RIDGE = 1e-3  # of the measures' mean variance: for measures that hardly differ
_MIN_ROWS = 8
_MIN_READOUT = 30
_STRENGTHS = np.logspace(-6, 1, 15)


@dataclass(frozen=True)
class Kept:
    """A step whose mouth was kept.

    Attributes
    ----------
    step
        (d,) the step after the last round.
    shifts
        (rounds + 1, k) what the calibrating measurer saw before the first round and after each.
    """

    step: F64
    shifts: F64


class Pattern:
    """How codes move when the mouth does, from frames that come a few at a time.

    The regression of codes on measures within groups: means of each group are taken off both, so
    that an emotion's own mouth (or a speaker's) is not taken for speech. What is held is sums: they
    are of deviations from means as they are known so far (Chan, Golub, LeVeque 1983), so that
    nothing is lost where measures differ little.
    """

    def __init__(self, n_measures: int) -> None:
        self._n, self._spread = 0, np.zeros((n_measures, n_measures))
        self._with_codes: F64 = np.zeros((n_measures, 0))
        self._means: dict[str, tuple[int, F64, F64]] = {}

    def add(self, group: str, codes: F64, measures: F64) -> None:
        """Take in frames of one group (a speaker in an emotion).

        Parameters
        ----------
        codes, measures
            (n, d) and (n, k) of the same frames, finite.
        """
        n = len(codes)
        if n == 0 or measures.shape[1] == 0:
            return
        if self._n == 0:
            self._with_codes = np.zeros((measures.shape[1], codes.shape[1]))
        mean, mean_code = measures.mean(axis=0), codes.mean(axis=0)
        near = measures - mean
        self._spread += near.T @ near
        self._with_codes += near.T @ (codes - mean_code)
        before, old, old_code = self._means.get(group, (0, mean, mean_code))
        step, step_code, weight = mean - old, mean_code - old_code, n / (before + n)
        self._spread += before * weight * np.outer(step, step)
        self._with_codes += before * weight * np.outer(step, step_code)
        self._means[group] = before + n, old + weight * step, old_code + weight * step_code
        self._n += n

    def solve(self) -> F64:
        """(k, d): row j moves measure j by 1 and no other.

        Raises
        ------
        ValueError
            With fewer frames than eight a measure, or measures that never change.
        """
        if self._n < _MIN_ROWS * len(self._spread):
            raise ValueError(f"{self._n} frames are too few for {len(self._spread)} measures")
        scale = np.sqrt(np.diag(self._spread))
        if scale.min(initial=np.inf) < 1e-9:
            raise ValueError("a measure never changes within its groups")
        # In units of each measure's own spread, or the ridge would weigh wide measures less.
        correlation = self._spread / np.outer(scale, scale)
        stiff = correlation + _RIDGE * np.eye(len(scale))
        found = np.linalg.solve(stiff, self._with_codes / scale[:, None])
        return np.asarray(found / scale[:, None])


def readout(seen: F64, measures: F64, groups: Sequence[str] | NDArray[np.str_]) -> F64:
    """How much of each measure is in what a measurer sees: (k, f), to be applied to differences.

    Ridge regression of measures on what is seen, within groups (speakers); its strength by leaving
    one frame out. Fitted on real frames, it makes one measurer speak in another's units.

    Parameters
    ----------
    seen, measures
        (n, f) and (n, k) of the same frames, finite.

    Raises
    ------
    ValueError
        With fewer than thirty frames.
    """
    if len(seen) < _MIN_READOUT:
        raise ValueError(f"{len(seen)} frames are too few to fit a readout of the mouth")
    from sklearn.linear_model import RidgeCV  # takes a second to import, and few get here

    machine = RidgeCV(alphas=_STRENGTHS, fit_intercept=False)
    machine.fit(_within(seen, groups), _within(measures, groups))
    return np.asarray(machine.coef_, dtype=np.float64).reshape(measures.shape[1], seen.shape[1])


def keep_mouth(step: F64, moves: F64, shift_of: ShiftOf, rounds: int, gain: float) -> Kept:
    """The step with the mouth's part taken out, in a closed loop.

    Each round makes pictures with the step, measures by how much the mouth moved, and takes that
    much of the patterns away.

    Parameters
    ----------
    step
        (d,) beta times the direction, at which the loop is closed.
    moves
        (k, d) as `pattern` gives.
    gain
        How much of what was seen is taken away each round; 1 trusts the pattern's scale.
    """
    seen = [shift_of(step)]
    for _ in range(rounds):
        step = step - gain * seen[-1] @ moves
        seen.append(shift_of(step))
    return Kept(step, np.array(seen))


def _within(values: F64, groups: Sequence[str] | NDArray[np.str_]) -> F64:
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    member = member.reshape(-1)
    sums = np.zeros((member.max() + 1, values.shape[1]))
    np.add.at(sums, member, values)
    return np.asarray(values - (sums / np.bincount(member)[:, None])[member])
