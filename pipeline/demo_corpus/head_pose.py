"""The pose of a head: rotation, position and scale in the frame, and the projection of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo_corpus.geometry import F64
from pipeline.demo_corpus.head_parts import NECK_PIVOT


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> F64:
    """Return the (3, 3) matrix R = Rz(roll) Rx(pitch) Ry(yaw).

    In the image: yaw > 0 turns the nose to the image's right, pitch > 0 lifts it, roll
    > 0 tilts the top of the head to the image's left (counter-clockwise).
    """
    yaw, pitch, roll = np.deg2rad([yaw_deg, -pitch_deg, roll_deg])
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(around_z @ around_x @ around_y)


@dataclass(frozen=True)
class Pose:
    """A head's pose in one frame.

    Attributes
    ----------
    yaw_deg, pitch_deg, roll_deg
        See `rotation`.
    scale_px
        Pixels per unit of head coordinates (about the distance of the outer eye corners).
    neck_x_px, neck_y_px
        The pivot in the neck, in pixel-edge coordinates, about which the head rotates.
    body_yaw_deg
        Rotation of the shoulders, as from a camera at the side.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    scale_px: float
    neck_x_px: float
    neck_y_px: float
    body_yaw_deg: float = 0.0

    @property
    def matrix(self) -> F64:
        """(3, 3) rotation of the head."""
        return rotation(self.yaw_deg, self.pitch_deg, self.roll_deg)

    @property
    def origin_px(self) -> tuple[float, float]:
        """tx, ty: the position of the head's origin (between the eyes) in the frame.

        A head point V is projected to tx + scale (R V)_x, ty - scale (R V)_y.
        """
        pivot = self.matrix @ NECK_PIVOT
        return (
            float(self.neck_x_px - self.scale_px * pivot[0]),
            float(self.neck_y_px + self.scale_px * pivot[1]),
        )

    def to_screen(self, turned: F64) -> F64:
        """Project rotated points (N, 3) to x, y (down) and z in px."""
        x, y = self.origin_px
        return np.stack(
            [x + self.scale_px * turned[:, 0], y - self.scale_px * turned[:, 1],
             self.scale_px * turned[:, 2]], axis=1,
        )  # fmt: skip
