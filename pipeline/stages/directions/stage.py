"""directions: one W+ direction from neutral to each emotion, fitted on train (SSERD eq. 11).

The unit of work is a direction: of an emotion, or of an emotion of one speaker. No parameter of
`synth` is read, so a changed beta refits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.digests import digest, short_digest
from pipeline.latents.loading import Chosen, bring_up, chosen_weights
from pipeline.params import Directions
from pipeline.records import Clip, Direction, InvertedTake, Rejected
from pipeline.runtime.run import Run, check_takes
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import read_rows
from pipeline.runtime.units import Batch, Unit
from pipeline.stages.directions.worker import DIRECTION, GRAIN, FitJob, fit_direction, fitter
from spfem_data.labels import EMOTIONS

VERSION = 4


@dataclass(frozen=True)
class Planned:
    """The units of a dataset and the weights, or why nothing is fitted."""

    units: list[Unit]
    chosen: Chosen
    idle: str | None


def run(run: Run) -> Summary:
    """Fit the directions of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract or invert has not run.
    """
    planned = plan(run)
    units = planned.units
    setup = partial(fitter, planned.chosen.weights, run.params.invert)
    batch = bring_up(run, "directions", GRAIN, units, fit_direction, setup)
    rows = _stored(run, batch)
    rejects = batch.rejects()
    run.write_tables(
        "directions", {"directions": (Direction, rows), "rejected": (Rejected, rejects)}
    )
    notes = [planned.idle] if planned.idle else _notes(rows, run.params.directions)
    return summarise(
        "directions", run, GRAIN, len(units), len(rows), rejects, batch,
        notes=notes, look=[str(run.table("directions", "directions"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The directions to fit, each with its key, or why none is fitted.

    Raises
    ------
    OutOfOrderError
        When extract or invert has not run.
    """
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    takes = [take for take in run.need("invert", "inverted", InvertedTake) if take.split == "train"]
    check_takes("invert", takes, clips)
    chosen = chosen_weights(run, {"generator": run.params.invert.generator}, {})
    if chosen.missing or not takes:
        why = chosen.missing or "no take of train has codes"
        return Planned([], chosen, f"no directions are fitted: {why}")
    return Planned(_units(run, takes, clips, chosen), chosen, None)


def _units(
    run: Run, takes: Sequence[InvertedTake], clips: Mapping[str, Clip], chosen: Chosen
) -> list[Unit]:
    each = run.params.directions.speakers == "each"
    speakers = sorted({take.speaker for take in takes}) if each else [None]
    return [
        _unit(run, emotion, speaker, takes, clips, chosen)
        for speaker in speakers
        for emotion in EMOTIONS[1:]
    ]


def _unit(
    run: Run,
    emotion: str,
    speaker: str | None,
    takes: Sequence[InvertedTake],
    clips: Mapping[str, Clip],
    chosen: Chosen,
) -> Unit:
    section = run.params.directions
    theirs = tuple(take for take in takes if speaker in (None, take.speaker))
    job = FitJob(
        emotion, speaker, theirs, tuple(clips[take.take_id] for take in theirs),
        run.items("invert").folder, run.items("extract").folder, section,
    )  # fmt: skip
    inputs = [(take.take_id, take.speaker, take.emotion, take.codes_sha256) for take in theirs]
    key = digest(
        ["directions", VERSION, section.key(), emotion, speaker, inputs,
         chosen.identity(run.params.invert)]
    )  # fmt: skip
    return Unit(
        emotion if speaker is None else f"{speaker}/{emotion}", key, job,
        code=short_digest(VERSION),
        parameters=short_digest(section.key(), chosen.identity(run.params.invert)),
    )  # fmt: skip


def _stored(run: Run, batch: Batch) -> list[Direction]:
    store = run.items("directions")
    names = [row["direction_id"] for row in batch.rows("directions")]
    return [row for name in names for row in read_rows(store.path(name, DIRECTION), Direction)]


def _notes(rows: Sequence[Direction], section: Directions) -> list[str]:
    if not rows:
        return ["no direction was fitted; see rejected.parquet"]
    n_latent = rows[0].n_latent
    notes = [
        f"norm {section.norm}: a step of 15 is {_per_row(15, n_latent, section.norm):.2f} per row "
        f"of {n_latent}"
    ]
    for row in rows:
        by_take, by_speaker = (
            "-" if value is None else f"{value:.3f}"
            for value in (row.accuracy_by_take, row.accuracy_by_speaker)
        )
        moved = ", ".join(
            f"{name} {before:+.3f} to {after:+.3f}"
            for name, before, after in zip(
                row.measures, row.shift_before, row.shift_after, strict=True
            )
        )
        notes.append(
            f"{row.direction_id}: held-out accuracy {by_take} by take, {by_speaker} by speaker; "
            f"class gap {row.class_gap:.2f}; at {row.closed_at:g} gaps {moved or 'not measured'}"
        )
    return notes


def _per_row(beta: float, n_latent: int, norm: str) -> float:
    return beta / n_latent**0.5 if norm == "flattened" else beta
