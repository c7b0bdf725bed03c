"""Random identities that are not in the demo corpus: shape, hair, colours and clothing.

The ranges include those of the demo's six speakers, so that the speakers are new identities of the
same distribution to a network trained on these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.geometry import FaceShape
from pipeline.demo_corpus.head_parts import HairShape
from pipeline.demo_corpus.speakers import Colour, Paint, Person, Voice

_SKINS = (
    (240, 206, 188), (232, 188, 162), (214, 165, 130), (190, 140, 104), (160, 110, 80),
    (130, 86, 62), (100, 66, 48),
)  # fmt: skip
_HAIRS = (
    (36, 28, 26), (60, 42, 32), (92, 60, 38), (138, 76, 42), (186, 106, 44), (202, 168, 108),
    (222, 198, 152), (120, 116, 114), (168, 166, 168), (206, 204, 204),
)  # fmt: skip
_IRISES = (
    (56, 36, 24), (84, 54, 30), (96, 116, 70), (74, 116, 150), (104, 122, 132), (64, 84, 96),
)  # fmt: skip
_SHAPES = {
    "jaw": (-0.12, 0.12),
    "chin": (-0.07, 0.10),
    "nose_y": (-0.03, 0.02),
    "nose_z": (-0.06, 0.07),
    "nose_width": (-0.01, 0.06),
    "eye_x": (-0.012, 0.015),
    "eye_open": (-0.09, 0.20),
    "mouth_width": (-0.06, 0.07),
    "lip_fullness": (-0.20, 0.28),
    "cheek": (-0.05, 0.06),
    "brow_y": (-0.03, 0.02),
    "brow_z": (0.0, 0.045),
}
"""Ranges of the shape parameters; they include those of the demo's speakers."""
_MUTE = Voice("en-us", 1.0, 50, 180, 30.0)
_FIRST_SEED = 1000  # the demo's speakers have 1 to 6
_PATTERNS = ("plain", "knit", "stripes", "check")
_SCENES = ("wall", "window", "shelf", "curtain")


def invent(seed: int, index: int) -> Person:
    """The `index`-th random identity of a seed."""
    rng = np.random.default_rng([seed, index, 21])
    light_x = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.2, 0.5))
    width = float(rng.uniform(0.92, 1.09))
    return Person(
        f"P{index:04d}",
        _FIRST_SEED + index,
        _shape(rng, width),
        (hair := _hair(rng)),
        _paint(rng, long_hair=bool(hair.curtain_y) or hair.bun),
        _MUTE,
        neck_width=float(np.clip(width + rng.normal(0, 0.08), 0.84, 1.16)),
        shoulder_width=float(rng.uniform(0.85, 1.12)),
        light_x=light_x,
        light_colour=(float(rng.uniform(0.98, 1.05)), 1.0, float(rng.uniform(0.94, 1.04))),
        grain_sd=float(rng.uniform(0.6, 1.5)),
    )


def _shape(rng: np.random.Generator, width: float) -> FaceShape:
    return FaceShape(width, **{name: float(rng.uniform(*ends)) for name, ends in _SHAPES.items()})


def _hair(rng: np.random.Generator) -> HairShape:
    """Bald, short, curly, long or tied up."""
    kind = rng.choice(["bald", "short", "curly", "long", "bun"], p=[0.12, 0.34, 0.14, 0.27, 0.13])
    if kind == "bald":
        return HairShape()
    if kind == "short":
        return HairShape(
            start=(1.1, float(rng.uniform(0.30, 0.5)), float(rng.uniform(0.08, 0.18)), 0.0),
            thickness=float(rng.uniform(0.10, 0.20)),
            curl=float(rng.uniform(0.005, 0.035)),
            side=float(rng.uniform(0.2, 0.6)),
        )
    if kind == "curly":
        return HairShape(
            start=(0.22, 0.10, 0.03, 0.0),
            thickness=float(rng.uniform(0.22, 0.42)),
            curl=float(rng.uniform(0.035, 0.06)),
        )
    if kind == "long":
        return HairShape(
            start=(0.10, 0.02, 0.0, 0.0),
            thickness=float(rng.uniform(0.08, 0.16)),
            curl=float(rng.uniform(0.005, 0.03)),
            side=float(rng.uniform(0.6, 0.95)),
            curtain_y=float(rng.uniform(-2.1, -1.2)),
        )
    return HairShape(
        start=(0.7, float(rng.uniform(0.12, 0.2)), float(rng.uniform(0.03, 0.07)), 0.01),
        thickness=float(rng.uniform(0.07, 0.14)),
        curl=float(rng.uniform(0.008, 0.02)),
        bun=True,
    )


def _between(rng: np.random.Generator, colours: tuple[Colour, ...], sd: float) -> Colour:
    """A random colour between neighbours in a list, with a small deviation."""
    at = rng.uniform(0, len(colours) - 1)
    k = min(int(at), len(colours) - 2)
    low, high = np.array(colours[k], float), np.array(colours[k + 1], float)
    return _colour(low + (at - k) * (high - low) + rng.normal(0, sd, 3))


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = (int(v) for v in np.clip(np.round(values), 0, 255))
    return red, green, blue


def _any_colour(rng: np.random.Generator, low: float, high: float, grey: float) -> Colour:
    """A random hue, desaturated by the share `grey`."""
    values = rng.uniform(low, high, 3)
    return _colour(values + grey * (values.mean() - values))


def _paint(rng: np.random.Generator, *, long_hair: bool) -> Paint:
    skin = _between(rng, _SKINS, 4)
    warmth = np.array([rng.uniform(0.76, 0.98), rng.uniform(0.48, 0.66), rng.uniform(0.52, 0.72)])
    old = rng.random() < 0.4
    paint = Paint(
        skin=skin,
        hair=_between(rng, _HAIRS[: 10 if old else 7], 5),
        lips=_colour(np.array(skin) * warmth + rng.uniform(-6, 14, 3)),
        iris=_between(rng, _IRISES, 5),
        cloth=_any_colour(rng, 20, 235, float(rng.uniform(0, 0.7))),
        background=_any_colour(rng, 50, 232, float(rng.uniform(0.3, 1))),
        pattern=str(rng.choice(_PATTERNS)),
        scene=str(rng.choice(_SCENES, p=[0.4, 0.2, 0.2, 0.2])),
        brow_weight=float(rng.uniform(0.7, 1.5)),
        brow_dark=float(rng.uniform(0.5, 0.82)),
        lash=int(rng.integers(3, 5)),
        freckles=int(rng.integers(20, 80)) if rng.random() < 0.15 else 0,
        age=float(rng.uniform(0.3, 0.95)) if old else float(rng.uniform(0, 0.2)),
        grey=float(rng.uniform(0.2, 0.7)) if old else 0.0,
        fringe=float(rng.uniform(0, 0.4)),
        sideburns=float(rng.uniform(0, 0.6)),
    )
    if long_hair or rng.random() < 0.6:
        return paint
    return replace(
        paint, beard=float(rng.uniform(0.35, 0.95)), sideburns=float(rng.uniform(0.4, 1.0))
    )
