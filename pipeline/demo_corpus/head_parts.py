"""Skull, hair, ears, neck and shoulders as grids of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo_corpus.geometry import F64, OVAL

N_COLUMNS = 72
N_RINGS = 12
SKULL_CENTRE = np.array([0.0, 0.12, -0.62])
NECK_PIVOT = np.array([0.0, -1.15, -0.62])
N_NECK_ROWS = 9


@dataclass(frozen=True)
class HairShape:
    """The shape of a person's hair.

    Attributes
    ----------
    side
        Thickness at the sides relative to the top.
    start
        Hairline, from 0 at the face oval to 1 at the back pole, for directions from the centre of
        the face: below the ear, ear, temple, forehead. 2: no hair.
    thickness
        In units, above the skull.
    curl
        Height of the bumps, units.
    curtain_y
        Lower end of long hair; 0 for none.
    bun
        Whether there is a bun on the crown.
    """

    side: float = 1.0
    start: tuple[float, float, float, float] = (2.0, 2.0, 2.0, 2.0)
    thickness: float = 0.0
    curl: float = 0.0
    curtain_y: float = 0.0
    bun: bool = False

    def start_at(self, upness: F64) -> F64:
        """The hairline for directions with this sine above the horizontal (any shape)."""
        return np.asarray(np.interp(upness, [-0.45, -0.1, 0.25, 0.6], self.start))

    def cover(self, depth: F64, upness: F64) -> F64:
        """The relative thickness 0..1 of hair at a depth 0..1 behind the face."""
        rise = np.clip((depth - self.start_at(upness)) / 0.30, 0, 1)
        return np.asarray(rise**0.8)


def halved_oval(face: F64) -> F64:
    """The face oval with halved edges: (73, 3), the first point repeated at the end."""
    corner = face[OVAL]
    loop = np.empty((N_COLUMNS + 1, 3))
    loop[0:N_COLUMNS:2] = corner
    loop[1:N_COLUMNS:2] = (corner + np.roll(corner, -1, axis=0)) / 2
    loop[N_COLUMNS] = corner[0]
    return loop


def _smooth_noise(rng: np.random.Generator, rows: int, columns: int) -> F64:
    """Noise on a grid with periodic columns, standard deviation about 1."""
    noise = rng.standard_normal((rows, columns - 1))
    noise = noise + 0.5 * (np.roll(noise, 1, 1) + np.roll(noise, -1, 1))
    noise[1:-1] += 0.4 * (noise[:-2] + noise[2:])
    noise /= noise.std()
    return np.concatenate([noise, noise[:, :1]], axis=1)


def skull(face: F64, hair: HairShape, width: float, rng: np.random.Generator) -> tuple[F64, F64]:
    """Rings from the face oval to the back of the head: (13, 73, 3), and the columns' upness."""
    rim = halved_oval(face)
    angle = np.arctan2(rim[:, 1] + 0.25, rim[:, 0])
    up = np.sin(angle)
    t = (np.arange(N_RINGS + 1) / N_RINGS)[:, None]
    blend = np.minimum(1, t * 1.9)
    blend = (blend**2 * (3 - 2 * blend))[..., None]
    polar = np.deg2rad(72 + 108 * t)
    reach_y = np.where(up > 0, 1.02, 0.98)
    ellipsoid = np.stack(
        [
            0.86 * width * np.cos(angle) * np.sin(polar),
            SKULL_CENTRE[1] + reach_y * up * np.sin(polar),
            SKULL_CENTRE[2] + 0.95 * np.cos(polar) * np.ones_like(angle),
        ],
        axis=-1,
    )
    rings = rim * (1 - blend) + ellipsoid * blend
    covered = hair.cover(t, up) * np.interp(up, [-0.1, 0.45], [hair.side, 1.0])
    bumps = hair.curl * _smooth_noise(rng, N_RINGS + 1, N_COLUMNS + 1)
    outwards = rings - SKULL_CENTRE
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    return rings + outwards * (covered * (hair.thickness + bumps))[..., None], up


def ear(side: int, x: float) -> F64:
    around, out = np.meshgrid(np.linspace(0, 2 * np.pi, 15), np.linspace(0, 1, 5))
    reach = np.sin(out * np.pi / 2)
    stand = 0.07 * np.cos(out * np.pi / 2) + 0.05 * reach * (1 - np.cos(around)) / 2
    return np.stack(
        [
            side * (x + 0.01 + stand),
            -0.20 + 0.21 * reach * np.sin(around) * (1 - 0.1 * np.cos(around)),
            -0.60 + 0.115 * reach * np.cos(around) - 0.03 * reach * np.sin(around),
        ],
        axis=-1,
    )


def curtain(bottom_y: float, rng: np.random.Generator) -> F64:
    """Long hair behind the face: locks of varying length, from one cheek to the other."""
    n = 81
    around = np.linspace(np.deg2rad(-16), np.deg2rad(196), n)
    down = np.linspace(0, 1, 14)[:, None]
    length = bottom_y + 0.12 * np.sin(around * 2.3) + 0.10 * rng.standard_normal(n)
    y = 1.02 + (length - 1.02) * down**1.15
    cap = np.sqrt(np.clip(1 - ((np.clip(y, 0.1, None) - 0.1) / 0.97) ** 2, 0.1, 1))
    locks = 1 + 0.030 * np.sin(around * 11 + 1.0 * down) + 0.018 * np.sin(around * 23 - 2 * down)
    tips = 1 - 0.16 * np.clip((down - 0.72) / 0.28, 0, 1) ** 2
    reach = cap * locks * tips
    front = np.clip(1 - np.abs(np.sin(around)) / 0.45, 0, 1) * np.clip(1 - y, 0, 1)
    x = 0.99 * np.cos(around) * reach - 0.05 * np.sign(np.cos(around)) * front
    return np.stack([x, y, -0.55 - 0.85 * np.sin(around) * reach + 0.16 * front], axis=-1)


def bun() -> F64:
    around, polar = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
    twist = 1 + 0.03 * np.sin(4 * around + 5 * polar)
    return np.stack(
        [
            0.40 * np.sin(polar) * np.cos(around) * twist,
            1.17 + 0.30 * np.cos(polar),
            -0.78 + 0.38 * np.sin(polar) * np.sin(around) * twist,
        ],
        axis=-1,
    )


def _half_tube(y: F64, half_width: F64, depth: F64, columns: int) -> F64:
    """The front half of a tube with the given rows: (rows, columns, 3)."""
    around = np.linspace(np.pi + 0.25, -0.25, columns)
    x = half_width[:, None] * np.cos(around)
    z = SKULL_CENTRE[2] + depth[:, None] * np.sign(np.sin(around)) * np.abs(np.sin(around)) ** 0.8
    return np.stack([x, np.broadcast_to(y[:, None], x.shape), z], axis=-1)


def neck(width: float) -> F64:
    y = np.linspace(-0.62, -1.95, N_NECK_ROWS)
    radius = width * (0.47 - 0.06 * np.sin((y + 0.62) / -1.33 * np.pi) + 0.08 * (y < -1.7))
    return _half_tube(y, radius, radius * 0.95, 21)


def torso(width: float) -> F64:
    y = np.array([-1.36, -1.33, -1.42, -1.52, -1.63, -1.78, -1.98, -2.3, -3.0, -4.2])
    half = np.array([0.47, 0.52, 0.60, 0.80, 1.10, 1.42, 1.66, 1.80, 1.88, 1.92])
    depth = np.array([0.44, 0.49, 0.55, 0.62, 0.68, 0.74, 0.80, 0.88, 0.95, 1.0])
    return _half_tube(y, half * width, depth, 33)
