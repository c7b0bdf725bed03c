"""invert: the W+ code of each chosen frame, and its reconstruction error (SSERD 3.2).

The unit of work is a take. Without weights for encoder and generator the stage writes empty tables
and a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.digests import digest, short_digest
from pipeline.latents.loading import Chosen, bring_up, chosen_weights, load_networks
from pipeline.models.slots import GUIDE
from pipeline.params import Invert
from pipeline.records import Clip, InvertedTake, Rejected, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Unit
from pipeline.splits import split_of_take
from pipeline.stages.invert.worker import GRAIN, InvertJob, invert_take
from spfem_data.labels import EMOTIONS

VERSION = 4


@dataclass(frozen=True)
class Planned:
    """The units of a dataset and the weights, or why nothing is inverted."""

    units: list[Unit]
    chosen: Chosen
    idle: str | None


def run(run: Run) -> Summary:
    """Invert the takes of the seven emotions.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    section, planned = run.params.invert, plan(run)
    units = planned.units
    setup = partial(load_networks, planned.chosen.weights, section)
    batch = bring_up(run, "invert", GRAIN, units, invert_take, setup)
    inverted = sorted_rows(batch.rows("inverted"), InvertedTake, "take_id")
    rejects = batch.rejects()
    run.write_tables(
        "invert", {"inverted": (InvertedTake, inverted), "rejected": (Rejected, rejects)}
    )
    notes = [planned.idle] if planned.idle else _notes(inverted, section)
    return summarise(
        "invert", run, GRAIN, len(units), len(inverted), rejects, batch,
        notes=notes, look=[str(run.table("invert", "inverted"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The takes to invert, each with its key, or why nothing is inverted.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    section = run.params.invert
    clips = run.need("extract", "clips", Clip)
    sentences = {row.utterance_id: row for row in run.need("align", "sentences", Sentence)}
    chosen = chosen_weights(
        run,
        {"encoder": section.encoder, "generator": section.generator},
        {"identity": section.identity, "perceptual": section.perceptual},
    )
    units = [
        _unit(run, clip, split_of_take(clip, sentences), chosen)
        for clip in clips
        if chosen.missing is None and clip.emotion in EMOTIONS
    ]
    idle = chosen.missing and (
        f"no frames are inverted: {chosen.missing}. A StyleGAN2 generator and its encoder add W+ "
        f"codes, directions and synthetic families; see {GUIDE}"
    )
    return Planned(units, chosen, idle)


def _unit(run: Run, clip: Clip, split: str | None, chosen: Chosen) -> Unit:
    section = run.params.invert
    name = f"{clip.speaker}/{clip.take_id}"
    crop = [clip.crop_x_px, clip.crop_y_px, clip.crop_side_px, clip.crop_px]
    named = [clip.dataset, clip.emotion, clip.level, clip.view, split]
    key = digest(
        [
            "invert",
            VERSION,
            section.key(),
            chosen.identity(section),
            clip.frames_sha256,
            crop,
            named,
        ]
    )
    job = InvertJob(
        clip,
        split,
        run.items("extract").path(name, ".frames.parquet"),
        section,
        (chosen.weights["encoder"].sha256, chosen.weights["generator"].sha256),
    )
    return Unit(
        name, key, job, code=short_digest(VERSION),
        parameters=short_digest(section.key(), chosen.identity(section)),
    )  # fmt: skip


def _notes(inverted: list[InvertedTake], section: Invert) -> list[str]:
    if not inverted:
        return ["no frame was inverted; see rejected.parquet"]
    asked, kept = (sum(getattr(t, n) for t in inverted) for n in ("n_asked", "n_kept"))
    first = inverted[0]
    notes = [
        f"{kept} of {asked} frames kept, codes of {first.n_latent} x {first.dim}, "
        f"framed as {section.framing}"
    ]
    for name in ("pixel_error", "perceptual_error", "identity"):
        values = [v for take in inverted if (v := getattr(take, name)) is not None]
        if values:
            notes.append(f"{name.replace('_', ' ')}: median of takes {np.median(values):.3f}")
    return notes
