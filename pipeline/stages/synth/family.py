"""Data of a take's families: the job, its source frames, its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.faces.framing import Framing
from pipeline.latents.mouths import MEASURES, Calibrator, Judge
from pipeline.latents.networks import F32, U8, Networks
from pipeline.params import Synth
from pipeline.records import Clip, Direction, InvertedTake
from pipeline.stylegan.svm_direction import F64
from spfem_data.labels import EMOTIONS

GRAIN = "source frame"
TARGET_EMOTIONS = EMOTIONS[1:]


@dataclass(frozen=True)
class MakeJob:
    """The worker's input: a take with codes, and its direction for each emotion."""

    clip: Clip
    take: InvertedTake
    frames_file: Path
    codes_file: Path
    directions: Mapping[str, Direction]
    section: Synth
    score_framing: Framing
    """As `score` frames images: clarity is judged on what that network is used to."""


@dataclass(frozen=True)
class Maker:
    """The worker's state: the networks, the mouth judge and, for corrections, another measurer."""

    nets: Networks
    judge: Judge
    correct: Calibrator


@dataclass(eq=False)
class Made:
    """One generated image: `gaps` is the step in class gaps, `own` the correction of its code."""

    family: int
    emotion: str
    gaps: float
    own: F64
    tries: int = 0
    image: U8 | None = None
    mouth: F64 = field(default_factory=lambda: np.full(len(MEASURES), np.nan))
    identity: float | None = None
    clarity: float | None = None
    rise: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Sources:
    """The chosen source frames of a take.

    Attributes
    ----------
    codes
        (n, d).
    quads
        (n, 4, 2) the square of the full frame that each image was taken from.
    crops
        The stored crops as JPEG.
    rebuilt, mouths, source_mouths
        The reconstructions, their mouths (n, 3) and those of the source frames, by the judge.
    to_scored
        Matrices (2, 3) from a generated image to the framing of `score`; None: unchanged.
    calibrated
        (n, 80) the reconstructions' lips by the calibrating measurer; None without corrections.
    identities, clarities
        (n, e) and (n, 7) of the reconstructions; None without a network.
    """

    frames: list[int]
    times_s: list[float]
    codes: F64
    quads: F64
    crops: list[bytes]
    rebuilt: list[U8]
    mouths: F64
    source_mouths: F64
    to_scored: list[F64] | None
    calibrated: F64
    identities: F32 | None
    clarities: F32 | None


def n_families(take: InvertedTake, section: Synth) -> int:
    """Number of families planned for a take."""
    budget = section.frames_per_take
    return min(budget, take.n_kept) if budget else take.n_kept


def gaps_of(section: Synth, direction: Direction) -> float:
    """Beta of an emotion in class gaps of its direction, whatever its unit in params.yaml."""
    own = getattr(section.betas, direction.emotion)
    beta = float(section.beta if own is None else own)
    return beta if section.beta_in == "gaps" else beta / length_of_gap(section, direction)


def length_of_gap(section: Synth, direction: Direction) -> float:
    """Length of one class gap in units of the direction."""
    return direction.gap_length if section.keep_mouth else direction.class_gap
