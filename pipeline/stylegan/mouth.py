"""Remove mouth motion from a step along an emotion's direction.

Projecting out the ridge coefficients of mouth opening has no effect on real networks: coefficients
say how to *read* the opening from a code, not how a code changes when the mouth opens. That is the
pattern, the regression of codes on measures (Haufe et al. 2014). The amount to subtract is found in
a closed loop: generate images, measure, correct.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
ShiftOf = Callable[[F64], F64]
"""From a step (d,) to the mean change (k,) of the measures between images without and with it."""

_RIDGE = 1e-3  # of the measures' mean variance, for nearly constant measures
_MIN_ROWS = 8
_MIN_READOUT = 30
_STRENGTHS = np.logspace(-6, 1, 15)


@dataclass(frozen=True)
class Kept:
    """A step without mouth motion.

    Attributes
    ----------
    step
        (d,) the step after the last round.
    shifts
        (rounds + 1, k) the measured changes before the first round and after each.
    """

    step: F64
    shifts: F64


class Pattern:
    """The change of codes per change of the mouth, accumulated over groups of frames.

    The regression of codes on measures within groups: group means are subtracted from both, so
    that a typical mouth of an emotion or speaker does not count as speech. Sums of deviations are
    updated with running means (Chan, Golub, LeVeque 1983), so that no precision is lost if measures
    vary little.
    """

    def __init__(self, n_measures: int) -> None:
        self._n, self._spread = 0, np.zeros((n_measures, n_measures))
        self._with_codes: F64 = np.zeros((n_measures, 0))
        self._means: dict[str, tuple[int, F64, F64]] = {}

    def add(self, group: str, codes: F64, measures: F64) -> None:
        """Add frames of one group (a speaker in an emotion).

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
        """(k, d): row j changes measure j by 1 and no other.

        Raises
        ------
        ValueError
            With fewer than eight frames per measure, or constant measures.
        """
        if self._n < _MIN_ROWS * len(self._spread):
            raise ValueError(f"{self._n} frames are too few for {len(self._spread)} measures")
        scale = np.sqrt(np.diag(self._spread))
        if scale.min(initial=np.inf) < 1e-9:
            raise ValueError("a measure never changes within its groups")
        # Scaled by each measure's spread; otherwise the ridge would favour some measures.
        correlation = self._spread / np.outer(scale, scale)
        stiff = correlation + _RIDGE * np.eye(len(scale))
        found = np.linalg.solve(stiff, self._with_codes / scale[:, None])
        return np.asarray(found / scale[:, None])


def readout(seen: F64, measures: F64, groups: Sequence[str] | NDArray[np.str_]) -> F64:
    """A linear readout (k, f) of measures from features, to be applied to differences.

    Ridge regression within groups (speakers), its strength chosen by leave-one-out. Fitted on real
    frames, it converts one measurer's features to another's units.

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
    """The step without mouth motion, by a closed loop.

    Each round generates images with the step, measures the change of the mouth, and subtracts the
    patterns in proportion.

    Parameters
    ----------
    step
        (d,) beta times the direction, at which the loop measures.
    moves
        (k, d) from `Pattern.solve`.
    gain
        Share of the measured change to subtract each round; 1 trusts the pattern's scale.
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
