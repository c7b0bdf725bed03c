"""Action units as displacement fields of the face mesh, and a rotating jaw.

Numbers are those of the Facial Action Coding System (Ekman, Friesen 1978) where one matches;
`wide` spreads the lip corners (as in /i/). Two lists of points separate upper and lower lids
and lips, because a plain Gaussian would move both.
"""

from __future__ import annotations

import numpy as np

from pipeline.demo_corpus.geometry import (
    EYE_CORNERS,
    EYE_HOLE_LEFT,
    F64,
    LIP_CORNERS,
    LOWER_INNER,
    LOWER_LID,
    LOWER_LID_FOLD,
    LOWER_LIP,
    LOWER_ROWS,
    UPPER_INNER,
    UPPER_LID,
    UPPER_LID_FOLD,
    UPPER_LIP,
    UPPER_ROWS,
    both_sides,
    bump,
    mirrored,
    symmetrised,
)

UNITS = (
    "1", "2", "4", "5", "6", "7", "9", "10", "12", "15", "17", "18", "20", "23", "25", "43", "wide",
)  # fmt: skip
UNIT_INDEX = {name: i for i, name in enumerate(UNITS)}
JAW_MAX_DEG = 17.0
JAW_AXIS_YZ = (-0.28, -0.5)


def _arch(points: F64, index: int) -> float:
    """A weight of 1 at the centre of the eye and 0 at its corners."""
    outer, inner = EYE_CORNERS[0] if points[index, 0] < 0 else EYE_CORNERS[1]
    middle = (points[outer, 0] + points[inner, 0]) / 2
    return float(max(1 - ((points[index, 0] - middle) / 0.17) ** 2, 0))


def _lid_field(points: F64, rim: list[int], fold: list[int], rim_up: float, fold_up: float) -> F64:
    field = np.zeros_like(points)
    for i in both_sides(rim):
        field[i, 1] = rim_up * _arch(points, i)
    field[both_sides(fold), 1] = fold_up
    return field


def _eyes_shut(points: F64) -> F64:
    field = np.zeros_like(points)
    upper = UPPER_LID + mirrored(UPPER_LID)
    lower = LOWER_LID + mirrored(LOWER_LID)
    field[upper] = (points[lower] - points[upper]) * 0.95
    field[upper, 2] += 0.015
    field[both_sides(UPPER_LID_FOLD), 1] -= 0.02
    return field


def _lips_tight(points: F64) -> F64:
    field = np.zeros_like(points)
    lips = UPPER_LIP + LOWER_LIP + LIP_CORNERS
    field[lips, 1] = -(points[lips, 1] - points[13, 1]) * 0.5
    field[lips, 2] = -0.02
    return field + bump(points, 61, 0.1, (0.02, 0, 0)) * 0.8


def _lips_round(points: F64) -> F64:
    weight = np.exp(-((points - points[13]) ** 2).sum(1) / (2 * 0.26**2))
    weight[points[:, 1] > points[2, 1]] *= 0.2
    field = np.zeros_like(points)
    field[:, 0] = -points[:, 0] * 0.5 * weight
    field[:, 2] = 0.09 * weight
    return field


def _lips_part(points: F64) -> F64:
    field = np.zeros_like(points)
    for row, sign in ((UPPER_LIP, 1), (LOWER_LIP, -1)):
        reach = np.maximum(0, 1 - (points[row, 0] / points[291, 0]) ** 2)
        field[row, 1] = sign * 0.032 * reach
    return field


def _brow_fields(p: F64, eyes: list[int]) -> dict[str, F64]:
    return {
        "1": bump(p, 107, 0.11, (0.01, 0.15, 0), without=eyes)
        + bump(p, 66, 0.08, (0, 0.06, 0), without=eyes),
        "2": bump(p, 70, 0.13, (0, 0.13, 0), without=eyes)
        + bump(p, 105, 0.10, (0, 0.05, 0), without=eyes),
        "4": bump(p, 55, 0.11, (0.07, -0.10, 0.03), without=eyes)
        + bump(p, 107, 0.10, (0.03, -0.06, 0.03), without=eyes)
        + bump(p, 105, 0.12, (0.01, -0.06, 0.02), without=eyes),
        "5": _lid_field(p, UPPER_LID, UPPER_LID_FOLD, 0.055, 0.03),
        "7": _lid_field(p, LOWER_LID, LOWER_LID_FOLD, 0.035, 0.025),
        "43": _eyes_shut(p),
    }


def _mouth_fields(p: F64) -> dict[str, F64]:
    above_lip = UPPER_LIP + np.nonzero(p[:, 1] > p[0, 1])[0].tolist()
    return {
        "10": bump(p, 39, 0.10, (-0.01, 0.085, 0.02), without=LOWER_LIP)
        + bump(p, 0, 0.08, (0, 0.05, 0.01), without=LOWER_LIP),
        "12": bump(p, 61, 0.14, (-0.085, 0.125, -0.05)) + bump(p, 17, 0.1, (0, 0.01, -0.02)),
        "15": bump(p, 61, 0.11, (0, -0.12, -0.01)) + bump(p, 0, 0.10, (0, 0.015, 0.01)),
        "17": bump(p, 17, 0.13, (0, 0.04, 0.03), without=UPPER_LIP),
        "18": _lips_round(p),
        "20": bump(p, 61, 0.13, (-0.10, -0.05, -0.04))
        + bump(p, 91, 0.1, (-0.03, -0.03, 0), only=LOWER_LIP),
        "23": _lips_tight(p),
        "25": _lips_part(p),
        "wide": bump(p, 61, 0.13, (-0.06, 0, -0.03)),
        "9": bump(p, 48, 0.09, (-0.01, 0.05, 0.02))
        + bump(p, 4, 0.10, (0, 0.045, 0))
        + bump(p, 0, 0.09, (0, 0.03, 0), only=above_lip),
    }


def unit_fields(points: F64) -> F64:
    """Return the displacement of every unit at full strength.

    Parameters
    ----------
    points
        (468, 3) neutral face of a person.

    Returns
    -------
    (17, 468, 3) in the order of `UNITS`, each symmetric.
    """
    eyes = both_sides(EYE_HOLE_LEFT)
    fields = _brow_fields(points, eyes) | _mouth_fields(points)
    fields["6"] = bump(points, 50, 0.16, (-0.02, 0.06, 0.04), without=eyes) + fields["7"] * 0.6
    fields["9"] += bump(points, 193, 0.08, (0.02, -0.03, 0.04), without=eyes)
    fields["12"] += bump(points, 205, 0.14, (-0.02, 0.05, 0.03), without=eyes)
    return np.stack([symmetrised(fields[name]) for name in UNITS])


def jaw_weights(points: F64) -> F64:
    """How far each point follows the jaw: (468,), 0 upper lip, .42 corners, 1 lower lip, chin."""
    y = points[:, 1]
    weight = np.clip((points[13, 1] + 0.14 - y) / 0.5, 0, 1)
    weight = weight**2 * (3 - 2 * weight)
    weight *= np.clip(1 - (np.abs(points[:, 0]) - 0.35) / 0.5, 0, 1) ** 0.5
    weight[LOWER_LIP] = 1
    weight[UPPER_LIP] = 0
    weight[LIP_CORNERS] = 0.42
    weight[[95, 324, 96, 325, 77, 307, 146, 375]] = 0.8
    weight[[191, 415, 183, 407, 184, 408, 185, 409]] = 0.12
    weight[(y < points[17, 1] - 0.01) & (np.abs(points[:, 0]) < 0.32)] = 1
    weight[y > points[2, 1] - 0.03] = 0
    return np.asarray(weight)


def _press_lips(points: F64, press: float) -> None:
    """Move both lips towards the middle of their gap, in place."""
    gap = points[UPPER_INNER[1:-1], 1] - points[LOWER_INNER[1:-1], 1]
    move = press * np.clip(gap, 0, None) / 2
    for row in UPPER_ROWS:
        points[row[1:-1], 1] -= move
    for row in LOWER_ROWS:
        points[row[1:-1], 1] += move


class Muscles:
    """A deformable face.

    Parameters
    ----------
    points
        (468, 3) neutral face.
    """

    def __init__(self, points: F64) -> None:
        self.points = points
        fields = unit_fields(points)
        right = np.clip((points[:, 0] + 0.12) / 0.24, 0, 1)
        right = (right**2 * (3 - 2 * right))[None, :, None]
        # One matrix for both halves: a row per (unit, side).
        self._fields = np.concatenate([fields * (1 - right), fields * right]).reshape(
            2 * len(UNITS), -1
        )
        self._jaw = jaw_weights(points)

    def deform(self, units: F64, jaw: float, press: float = 0.0) -> F64:
        """Move the face.

        Parameters
        ----------
        units
            (2, 17) strength of each unit in the image-left and image-right half, about 0..1.2.
        jaw
            0 closed .. 1 open by `JAW_MAX_DEG`.
        press
            0..1 share of the gap between the lips that is closed: 1 for p, b, m in any emotion.

        Returns
        -------
        (468, 3); the lips never cross.
        """
        points = self.points + (units.reshape(-1) @ self._fields).reshape(-1, 3)
        angle = np.deg2rad(JAW_MAX_DEG) * jaw * self._jaw
        y, z = points[:, 1] - JAW_AXIS_YZ[0], points[:, 2] - JAW_AXIS_YZ[1]
        points[:, 1] = JAW_AXIS_YZ[0] + np.cos(angle) * y - np.sin(angle) * z
        points[:, 2] = JAW_AXIS_YZ[1] + np.sin(angle) * y + np.cos(angle) * z
        _press_lips(points, press)
        upper, lower = UPPER_INNER[1:-1], LOWER_INNER[1:-1]
        middle = (points[upper, 1] + points[lower, 1]) / 2
        crossed = points[upper, 1] < points[lower, 1] + 0.002
        points[upper, 1] = np.where(crossed, middle + 0.001, points[upper, 1])
        points[lower, 1] = np.where(crossed, middle - 0.001, points[lower, 1])
        return np.asarray(points)
