"""Fit one direction: the worker of the stage `directions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.digests import digest
from pipeline.errors import Reject
from pipeline.latents.codes import Coded, Gathered, Rows, gather, rows_of
from pipeline.latents.face_quads import crops_of, decoded, image_of
from pipeline.latents.loading import load_networks
from pipeline.latents.mouths import MEASURES, Calibrator
from pipeline.latents.networks import U8, Networks
from pipeline.models.registry import Weights
from pipeline.params import Directions, Invert
from pipeline.records import Clip, Direction, InvertedTake, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_rows
from pipeline.runtime.units import UnitResult
from pipeline.stylegan import mouth, svm_direction
from pipeline.stylegan.svm_direction import F64, Labelled

DIRECTION = ".direction.parquet"
GRAIN = "direction"
_MIN_FOUND = 4


@dataclass(frozen=True)
class FitJob:
    """The worker's input: one emotion, the takes of train, and the folders of their files.

    `takes` are all takes of train with codes: mouth pattern and speaker centres are computed over
    every emotion, the boundary over neutral and `emotion` only.
    """

    emotion: str
    speaker: str | None
    takes: tuple[InvertedTake, ...]
    clips: tuple[Clip, ...]
    """Of the takes, in their order."""
    inverted: Path
    extracted: Path
    section: Directions


@dataclass(frozen=True)
class Fitter:
    """The worker's state: the networks, and the mouth measurer of the closed loop."""

    nets: Networks
    measure: Calibrator
    readouts: dict[str, F64] = field(default_factory=dict)
    """By the codes that they were fitted on: the directions of a worker share theirs."""


def fit_direction(fitter: Fitter, store: ItemStore, unit: str, job: FitJob) -> UnitResult:
    """The direction of one emotion: boundary, accuracies, and the step that preserves the mouth."""
    try:
        row = _direction(fitter, unit, job)
    except Reject as reject:
        found = rejected("directions", GRAIN, unit, reject.reason, reject.detail)
        return UnitResult(rejects=[found])
    write_rows(store.path(unit, DIRECTION), [row], Direction)
    return UnitResult([DIRECTION], {"directions": [{"direction_id": unit}]})


def _direction(fitter: Fitter, unit: str, job: FitJob) -> Direction:
    section, nets = job.section, fitter.nets
    _check_takes(job)
    rows = rows_of(job.takes)
    asked = {"fit": _to_fit(rows, job), "calibrate": _to_calibrate(rows, section)}
    if section.compensate:
        asked["read"] = _to_read(rows, section)
    measured = [MEASURES.index(name) for name in section.compensate]
    known = gather(job.takes, job.inverted, asked, measured)
    # With a mean squared length of 1, one C fits codes of any size.
    scale = known.scale
    data = _labelled(known, job)
    plain = svm_direction.unit(
        svm_direction.fit(data, section.c, section.balance).normal, nets.n_latent, section.norm
    )
    gap = svm_direction.class_gap(data, plain) * scale
    moves = _moves(known, len(plain))
    weights = _readout(fitter, known, job)[measured]
    step = section.closed_at * gap * plain
    neutral = known.some["calibrate"].codes
    kept = mouth.keep_mouth(
        step, moves, _shift_of(fitter, neutral, weights), section.rounds, section.gain
    )
    vector = svm_direction.unit(kept.step, nets.n_latent, section.norm)
    length = float(np.linalg.norm(kept.step) / np.linalg.norm(vector))
    numbers = {"vector": vector, "plain": plain, "moves": moves, "readout": weights}
    stored = {
        name: tuple(value.astype(np.float32).ravel().tolist()) for name, value in numbers.items()
    }
    first = job.takes[0]
    return Direction(
        direction_id=unit,
        dataset=first.dataset,
        emotion=job.emotion,
        speaker=job.speaker,
        n_latent=nets.n_latent,
        dim=nets.dim,
        norm=section.norm,
        c=section.c,
        n_neutral=int((~data.is_emotion).sum()),
        n_emotion=int(data.is_emotion.sum()),
        n_speakers=len(np.unique(data.speakers)),
        n_takes=len(np.unique(data.takes)),
        accuracy_by_take=_accuracy(data, svm_direction.folds_by_take(data, section.folds), section),
        accuracy_by_speaker=_accuracy(data, svm_direction.folds_by_speaker(data), section),
        class_gap=gap,
        gap_length=length / section.closed_at,
        cosine=float(vector @ plain / np.linalg.norm(vector) / np.linalg.norm(plain)),
        measures=tuple(section.compensate),
        closed_at=section.closed_at,
        n_calibration=len(neutral),
        shift_before=tuple(kept.shifts[0].tolist()),
        shift_after=tuple(kept.shifts[-1].tolist()),
        **stored,
        encoder_sha256=first.encoder_sha256,
        generator_sha256=first.generator_sha256,
        direction_sha256=digest([*stored.values(), length]),
    )


def _check_takes(job: FitJob) -> None:
    for emotion in ("neutral", job.emotion):
        n = sum(take.emotion == emotion for take in job.takes)
        if n < job.section.min_takes:
            raise Reject(
                "few_codes",
                f"{n} takes of {emotion} in train, directions.min_takes is {job.section.min_takes}",
            )


def _to_fit(rows: Rows, job: FitJob) -> NDArray[np.int64]:
    """Rows of neutral and the emotion: at most `cap` per speaker and class, about `codes` per
    class."""
    section = job.section
    share = max(1, section.codes // len(np.unique(rows.speakers)))
    cap = min(section.cap, share) if section.cap else share
    asked = np.flatnonzero(np.isin(rows.emotions, ["neutral", job.emotion]))
    labels = rows.emotions[asked] == job.emotion
    return asked[svm_direction.evenly(cap, rows.speakers[asked], labels, rows.takes[asked])]


def _labelled(known: Gathered, job: FitJob) -> Labelled:
    """The rows to fit on, centred, at a mean squared length of 1 over all rows."""
    some = known.some["fit"]
    middle = np.stack([known.centres[str(speaker)] for speaker in some.speakers])
    labels = some.emotions == job.emotion
    return Labelled((some.codes - middle) / known.scale, labels, some.speakers, some.takes)


def _accuracy(data: Labelled, folds: NDArray[np.int64], section: Directions) -> float | None:
    if len(np.unique(folds[folds >= 0])) < 2:
        return None
    return svm_direction.accuracy(data, folds, section.c, section.balance)


def _moves(known: Gathered, d: int) -> F64:
    """The patterns (k, d) of the measures to preserve."""
    try:
        return known.pattern.solve().reshape(-1, d)
    except ValueError as error:
        raise Reject("mouth_unmeasured", str(error)) from error


def _to_calibrate(rows: Rows, section: Directions) -> NDArray[np.int64]:
    """Neutral frames of train for the closed loop, equally many per speaker."""
    neutral = np.flatnonzero(rows.emotions == "neutral")
    each = max(1, section.calibration_frames // len(np.unique(rows.speakers[neutral])))
    return neutral[_alike(each, rows, neutral)]


def _alike(each: int, rows: Rows, asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of at most `n` rows per speaker."""
    labels = np.zeros(len(asked), dtype=np.bool_)
    return svm_direction.evenly(each, rows.speakers[asked], labels, rows.takes[asked])


def _shift_of(fitter: Fitter, codes: F64, weights: F64) -> mouth.ShiftOf:
    """The mean change (k,) of the mouth over a step of the codes, over images with a face."""
    shape = (-1, fitter.nets.n_latent, fitter.nets.dim)
    before = fitter.measure(fitter.nets.generate(codes.reshape(shape)) if len(weights) else [])

    def shift(step: F64) -> F64:
        if not len(weights):
            return np.empty(0)
        gaps = fitter.measure(fitter.nets.generate((codes + step).reshape(shape))) - before
        found = np.isfinite(gaps).all(axis=1)
        if found.sum() < min(_MIN_FOUND, len(codes)):
            raise Reject(
                "mouth_unmeasured", f"a face was found in {found.sum()} of {len(codes)} images"
            )
        return np.asarray(gaps[found].mean(axis=0) @ weights.T)

    return shift


def _readout(fitter: Fitter, known: Gathered, job: FitJob) -> F64:
    """The readout (3, 80) of `MEASURES` for the calibrating measurer, fitted on frames of train."""
    if not job.section.compensate:
        return np.empty((len(MEASURES), 0))
    name = digest([take.codes_sha256 for take in job.takes])
    if name not in fitter.readouts:
        fitter.readouts[name] = _fit_readout(fitter, known.some["read"], job)
    return fitter.readouts[name]


def _to_read(rows: Rows, section: Directions) -> NDArray[np.int64]:
    """The frames for fitting the readout, equally many per speaker and emotion."""
    emotions = np.unique(rows.emotions)
    each = max(1, section.readout_frames // (len(emotions) * len(np.unique(rows.speakers))))
    by_emotion = [np.flatnonzero(rows.emotions == emotion) for emotion in emotions]
    return np.sort(np.concatenate([asked[_alike(each, rows, asked)] for asked in by_emotion]))


def _fit_readout(fitter: Fitter, some: Coded, job: FitJob) -> F64:
    seen = fitter.measure(_images(fitter, some, job))
    found = np.isfinite(seen).all(axis=1)
    try:
        return mouth.readout(seen[found], some.mouths[found], some.speakers[found])
    except ValueError as error:
        raise Reject("mouth_unmeasured", str(error)) from error


def _images(fitter: Fitter, some: Coded, job: FitJob) -> list[U8]:
    """The source images of coded frames, at the size of generated ones."""
    size_px = fitter.nets.size_px
    clips = {clip.take_id: clip for clip in job.clips}
    framing = {take.take_id: take.framing for take in job.takes}
    found: list[U8] = []
    for take_id in dict.fromkeys(some.takes.tolist()):
        own = some.chosen(some.takes == take_id)
        clip = clips[take_id]
        file = ItemStore(job.extracted).path(f"{clip.speaker}/{take_id}", ".frames.parquet")
        found += [
            image_of(framing[take_id], decoded(crop), clip, quad, size_px)
            for crop, quad in zip(crops_of(file, own.frames), own.quads, strict=True)
        ]
    return found


def fitter(weights: Mapping[str, Weights], section: Invert) -> Fitter:
    """The worker's setup: load the generator."""
    return Fitter(load_networks(weights, section), Calibrator())
