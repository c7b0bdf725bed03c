"""synth: families of images with one mouth and seven emotions (SSERD eq. 7 and 12), measured.

The unit of work is a take with codes. Any two kept images of a kept family are a pair for hybrid
training (eq. 14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.clip.judge import Judge as ClipJudge
from pipeline.clip.judge import find_judge
from pipeline.digests import digest, short_digest
from pipeline.errors import MissingWeightsError
from pipeline.latents.codes import CODES
from pipeline.latents.loading import Chosen, bring_up, chosen_weights
from pipeline.records import Clip, Direction, InvertedTake, MadeFamily, MadeImage, Rejected
from pipeline.runtime.run import Run, check_takes
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Unit
from pipeline.stages.synth.family import GRAIN, TARGET_EMOTIONS, MakeJob, n_families
from pipeline.stages.synth.worker import make_families, maker

VERSION = 4


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, the networks, and why clarity is not measured or nothing done."""

    units: list[Unit]
    chosen: Chosen
    judge: ClipJudge | None
    unclear: str | None
    idle: str | None


def run(run: Run) -> Summary:
    """Generate the families of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract, invert or directions has not run.
    """
    section, ready = run.params.synth, plan(run)
    setup = partial(maker, ready.chosen.weights, run.params.invert, ready.judge)
    batch = bring_up(run, "synth", "take", ready.units, make_families, setup)
    images = sorted_rows(batch.rows("images"), MadeImage, "family_id", "emotion")
    families = sorted_rows(batch.rows("families"), MadeFamily, "family_id")
    rejects = batch.rejects()
    run.write_tables(
        "synth",
        {
            "images": (MadeImage, images),
            "families": (MadeFamily, families),
            "rejected": (Rejected, rejects),
        },
    )
    died = {row.item for row in rejects if row.grain == "take"}
    done = [unit.payload.take for unit in ready.units if unit.name not in died]
    planned = sum(n_families(take, section) for take in done)
    notes = _notes(images, families) + ([ready.unclear] if ready.unclear else [])
    notes += (
        [f"{len(died)} takes have no families because their worker died; see rejected.parquet"]
        if died
        else []
    )
    if ready.idle:
        notes = [ready.idle]
    return summarise(
        "synth", run, GRAIN, planned, len(families), rejects, batch,
        notes=notes, look=[str(run.table("synth", "images"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The takes with source frames, each with its key, or why no family is generated.

    Raises
    ------
    OutOfOrderError
        When extract, invert or directions has not run.
    """
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    takes = run.need("invert", "inverted", InvertedTake)
    directions = run.need("directions", "directions", Direction)
    takes = [take for take in takes if take.emotion in run.params.synth.source_emotions]
    chosen = chosen_weights(
        run, {"generator": run.params.invert.generator}, {"identity": run.params.invert.identity}
    )
    judge, unclear = chosen_clip(run)
    able = bool(directions) and chosen.missing is None
    units = [_unit(run, clips, take, directions, chosen, judge) for take in takes if able]
    why = f"no families are generated: {chosen.missing or 'there are no codes or no directions'}"
    return Planned(units, chosen, judge, unclear, None if units else why)


def _unit(
    run: Run,
    clips: Mapping[str, Clip],
    take: InvertedTake,
    directions: Sequence[Direction],
    chosen: Chosen,
    judge: ClipJudge | None,
) -> Unit:
    check_takes("invert", [take], clips)
    clip, section = clips[take.take_id], run.params.synth
    name = f"{take.speaker}/{take.take_id}"
    theirs = {row.emotion: row for row in directions if row.speaker in (None, take.speaker)}
    ordered = {emotion: theirs[emotion] for emotion in TARGET_EMOTIONS if emotion in theirs}
    crop = [clip.crop_x_px, clip.crop_y_px, clip.crop_side_px, clip.frames_sha256]
    key = digest([
        "synth", VERSION, section.key(), take.to_row(), crop,
        [(e, row.direction_sha256) for e, row in ordered.items()],
        chosen.identity(run.params.invert),
        judge and [judge.identity(), run.params.score.framing],
    ])  # fmt: skip
    job = MakeJob(
        clip,
        take,
        run.items("extract").path(name, ".frames.parquet"),
        run.items("invert").path(name, CODES),
        ordered,
        section,
        run.params.score.framing,
    )
    return Unit(
        name, key, job, code=short_digest(VERSION),
        parameters=short_digest(section.key(), chosen.identity(run.params.invert)),
    )  # fmt: skip


def _notes(images: Sequence[MadeImage], families: Sequence[MadeFamily]) -> list[str]:
    kept = [p for p in images if p.family_kept and p.verdict == "kept"]
    notes = []
    for emotion in TARGET_EMOTIONS:
        rows = [p for p in kept if p.emotion == emotion and not p.is_reconstruction]
        moved = [abs(v) for p in rows if (v := p.mouth_open_difference) is not None]
        rises = [v for p in rows if (v := p.clarity_rise) is not None]
        if moved:
            told = (
                f"{emotion}: {len(rows)} kept, mouth opening changed {np.median(moved):.3f} (p95 "
                f"{np.percentile(moved, 95):.3f}), {np.median([p.gaps for p in rows]):.2f} gaps"
            )
            notes.append(told + (f", clarity {np.median(rises):+.2f}" if rises else ""))
    return notes or [f"{len(families)} families kept; see rejected.parquet"]


def chosen_clip(run: Run) -> tuple[ClipJudge | None, str | None]:
    """The network of `score`, or why there is none."""
    section = run.params.score
    if not section.weights:
        return None, "clarity is not measured: score.weights is empty"
    try:
        return find_judge(section, run.params.models, run.data, run.entry.corpus), None
    except MissingWeightsError as error:
        return None, f"clarity is not measured: {error}"
