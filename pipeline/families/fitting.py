"""Fitting one direction: what the workers of the stage `directions` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.families.inverting import CODES
from pipeline.families.mouths import LIPS, MEASURES, Calibrator
from pipeline.families.networks import U8, Networks
from pipeline.families.squares import crops_of, decoded, picture_of
from pipeline.params import Directions
from pipeline.records import Clip, Direction, InvertedTake, rejected
from pipeline.reuse import ItemStore, digest
from pipeline.run import Outcome
from pipeline.stylegan import boundary, mouth
from pipeline.stylegan.boundary import F64, Labelled
from pipeline.tables import read_table, write_rows

DIRECTION = ".direction.parquet"
GRAIN = "direction"
_MIN_FOUND = 4


@dataclass(frozen=True)
class FitJob:
    """What the worker is given: one emotion, the takes of train that may teach it, where they lie.

    `takes` are all takes of train with codes: the pattern of the mouth and the centres of speakers
    rest on every emotion, the boundary on neutral and `emotion` alone.
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
    """What a worker holds: the generator, and who measures mouths while the loop is closed."""

    nets: Networks
    measure: Calibrator
    readouts: dict[str, F64] = field(default_factory=dict)
    """By the codes that they were fitted on: the directions of a worker share theirs."""


@dataclass(frozen=True)
class Coded:
    """Kept codes of takes (n, d), with the mouths of their frames (n, k) and who shows what."""

    codes: F64
    mouths: F64
    speakers: NDArray[np.str_]
    takes: NDArray[np.str_]
    emotions: NDArray[np.str_]
    frames: NDArray[np.int64]
    quads: F64

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Coded:
        """Some of the rows."""
        return Coded(
            self.codes[rows], self.mouths[rows], self.speakers[rows], self.takes[rows],
            self.emotions[rows], self.frames[rows], self.quads[rows],
        )  # fmt: skip


def read_codes(takes: Sequence[InvertedTake], inverted: Path) -> Coded:
    """The kept codes of takes, in the order of the takes."""
    store = ItemStore(inverted)
    parts: list[tuple[F64, F64, NDArray[np.int64], F64]] = []
    wanted = ["frame", "quad", "code", "verdict", *MEASURES]
    for take in takes:
        table = read_table(store.path(f"{take.speaker}/{take.take_id}", CODES), columns=wanted)
        kept = np.array(table["verdict"].to_pylist()) == "kept"
        flat = table["code"].combine_chunks().flatten().to_numpy()
        codes = flat.reshape(len(table), -1).astype(np.float64)
        mouths = np.stack([table[m].to_numpy().astype(np.float64) for m in MEASURES], axis=1)
        quads = np.array(table["quad"].to_pylist()).reshape(-1, 4, 2)
        frames = table["frame"].to_numpy().astype(np.int64)
        parts.append((codes[kept], mouths[kept], frames[kept], quads[kept]))
    counts = [len(part[0]) for part in parts]
    codes, mouths, frames, quads = (np.concatenate([p[k] for p in parts]) for k in range(4))

    def repeated(name: str) -> NDArray[np.str_]:
        return np.repeat(np.array([str(getattr(take, name)) for take in takes]), counts)

    return Coded(
        codes, mouths, repeated("speaker"), repeated("take_id"), repeated("emotion"),
        frames.astype(np.int64), quads,
    )  # fmt: skip


def fit_direction(fitter: Fitter, store: ItemStore, unit: str, job: FitJob) -> Outcome:
    """The direction of one emotion: boundary, accuracies, and the step that keeps the mouth."""
    try:
        row = _direction(fitter, unit, job)
    except Reject as reject:
        found = rejected("directions", GRAIN, unit, reject.reason, reject.detail)
        return Outcome(rejects=[found])
    write_rows(store.path(unit, DIRECTION), [row], Direction)
    return Outcome([DIRECTION], {"directions": [{"direction_id": unit}]})


def _direction(fitter: Fitter, unit: str, job: FitJob) -> Direction:
    section, nets = job.section, fitter.nets
    _check_takes(job)
    every = read_codes(job.takes, job.inverted)
    middle = boundary.centres(every.codes, every.speakers, every.takes)
    centred = every.codes - np.stack([middle[str(s)] for s in every.speakers])
    data = _labelled(every, centred, job)
    # One C for codes of any size: the machine sees them at a mean squared length of 1.
    scale = float(np.sqrt(np.mean(np.sum(centred**2, axis=1))))
    data = Labelled(data.codes / scale, data.is_emotion, data.speakers, data.takes)
    plain = boundary.unit(
        boundary.fit(data, section.c, section.balance).normal, nets.n_latent, section.norm
    )
    gap = boundary.class_gap(data, plain) * scale
    moves, measured = _moves(every, section)
    weights = _readout(fitter, every, job)[measured]
    step = section.closed_at * gap * plain
    neutral = _calibration(every, job)
    kept = mouth.keep_mouth(
        step, moves, _shift_of(fitter, neutral, weights), section.rounds, section.gain
    )
    vector = boundary.unit(kept.step, nets.n_latent, section.norm)
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
        accuracy_by_take=_accuracy(data, boundary.folds_by_take(data, section.folds), section),
        accuracy_by_speaker=_accuracy(data, boundary.folds_by_speaker(data), section),
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


def _labelled(every: Coded, centred: F64, job: FitJob) -> Labelled:
    """Neutral and the emotion, at most `cap` frames of each speaker and class."""
    asked = np.flatnonzero(np.isin(every.emotions, ["neutral", job.emotion]))
    labels = every.emotions[asked] == job.emotion
    rows = boundary.evenly(job.section.cap, every.speakers[asked], labels, every.takes[asked])
    asked = asked[rows]
    return Labelled(centred[asked], labels[rows], every.speakers[asked], every.takes[asked])


def _accuracy(data: Labelled, folds: NDArray[np.int64], section: Directions) -> float | None:
    if len(np.unique(folds[folds >= 0])) < 2:
        return None
    return boundary.accuracy(data, folds, section.c, section.balance)


def _moves(every: Coded, section: Directions) -> tuple[F64, list[int]]:
    """The patterns (k, d) of the measures to be kept, and which of `MEASURES` they are."""
    measured = [MEASURES.index(name) for name in section.compensate]
    if not measured:
        return np.empty((0, every.codes.shape[1])), measured
    groups = np.array([f"{s}/{e}" for s, e in zip(every.speakers, every.emotions, strict=True)])
    try:
        return mouth.pattern(every.codes, every.mouths[:, measured], groups), measured
    except ValueError as error:
        raise Reject("mouth_unmeasured", str(error)) from error


def _calibration(every: Coded, job: FitJob) -> F64:
    """Codes (n, d) of train's neutral frames for the closed loop, each speaker alike."""
    neutral = every.chosen(every.emotions == "neutral")
    names = np.unique(neutral.speakers)
    each = max(1, job.section.calibration_frames // len(names))
    labels = np.zeros(len(neutral.codes), dtype=np.bool_)
    return neutral.codes[boundary.evenly(each, neutral.speakers, labels, neutral.takes)]


def _shift_of(fitter: Fitter, codes: F64, weights: F64) -> mouth.ShiftOf:
    """The mean change (k,) of the mouth when codes take a step, where both faces are found."""
    shape = (-1, fitter.nets.n_latent, fitter.nets.dim)
    before = fitter.measure(fitter.nets.generate(codes.reshape(shape)) if len(weights) else [])

    def shift(step: F64) -> F64:
        if not len(weights):
            return np.empty(0)
        gaps = fitter.measure(fitter.nets.generate((codes + step).reshape(shape))) - before
        found = np.isfinite(gaps).all(axis=1)
        if found.sum() < min(_MIN_FOUND, len(codes)):
            raise Reject("mouth_unmeasured", f"a face in {found.sum()} of {len(codes)} pictures")
        return np.asarray(gaps[found].mean(axis=0) @ weights.T)

    return shift


def _readout(fitter: Fitter, every: Coded, job: FitJob) -> F64:
    """How the calibrating measurer tells each of `MEASURES` (3, 80), from real frames of train."""
    if not job.section.compensate:
        return np.empty((len(MEASURES), 0))
    name = digest([take.codes_sha256 for take in job.takes])
    if name not in fitter.readouts:
        fitter.readouts[name] = _fit_readout(fitter, every, job)
    return fitter.readouts[name]


def _fit_readout(fitter: Fitter, every: Coded, job: FitJob) -> F64:
    emotions, n = np.unique(every.emotions), job.section.readout_frames
    speakers = np.unique(every.speakers)
    each = max(1, n // (len(emotions) * len(speakers)))
    rows = np.concatenate(
        [
            asked[boundary.evenly(each, every.speakers[asked], np.zeros(len(asked), dtype=np.bool_),
                                  every.takes[asked])]
            for emotion in emotions
            if len(asked := np.flatnonzero(every.emotions == emotion))
        ]
    )  # fmt: skip
    some = every.chosen(np.sort(rows))
    seen = fitter.measure(_pictures(fitter, some, job))
    found = np.isfinite(seen).all(axis=1)
    try:
        return mouth.readout(seen[found], some.mouths[found], some.speakers[found])
    except ValueError as error:
        raise Reject("mouth_unmeasured", str(error)) from error


def _pictures(fitter: Fitter, some: Coded, job: FitJob) -> list[U8]:
    """The source pictures of coded frames, as large as made ones."""
    size_px = fitter.nets.size_px
    clips = {clip.take_id: clip for clip in job.clips}
    framing = {take.take_id: take.framing for take in job.takes}
    found: list[U8] = []
    for take_id in dict.fromkeys(some.takes.tolist()):
        own = some.chosen(some.takes == take_id)
        clip = clips[take_id]
        file = ItemStore(job.extracted).path(f"{clip.speaker}/{take_id}", ".frames.parquet")
        found += [
            picture_of(framing[take_id], decoded(crop), clip, quad, size_px)
            for crop, quad in zip(crops_of(file, own.frames), own.quads, strict=True)
        ]
    return found


def as_vectors(direction: Direction) -> dict[str, Any]:
    """`vector`, `plain` (d,), `moves` (k, d) and `readout` (k, 80) as arrays."""
    d = direction.n_latent * direction.dim
    return {
        "vector": np.array(direction.vector),
        "plain": np.array(direction.plain),
        "moves": np.array(direction.moves).reshape(len(direction.measures), d),
        "readout": np.array(direction.readout).reshape(len(direction.measures), 2 * len(LIPS)),
    }
