"""align: which takes say the same sentence, and which of their frames are paired.

The unit of work is a speaker: resolving sentences needs all of a speaker's takes at once, and the
audio of an utterance is shared by its views.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from pipeline.alignment.compiling import compile_kernels, is_compiled
from pipeline.digests import digest, short_digest
from pipeline.errors import ParameterError
from pipeline.params import Align, SplitRule
from pipeline.records import Clip, Pair, Rejected, Sentence, SyncTake
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Unit, reusable, run_units
from pipeline.splits import admitted, check_assigned
from pipeline.stages.align.pairs import THRESHOLDS
from pipeline.stages.align.transcripts import Key, apply_transcripts, keys_of, read_transcripts
from pipeline.stages.align.worker import GRAIN, SpeakerJob, align_speaker

VERSION = 9
_OF_FILES_ALONE = ("max_score_files",)
"""Parameters that only `align-pair` uses."""


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, the transcripts, and the clips of admitted speakers."""

    units: list[Unit]
    said: dict[Key, str]
    clips: list[Clip]


def run(run: Run) -> Summary:
    """Pair the takes of every speaker of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    """
    ready = plan(run)
    run = _compiled(run, ready.units)
    batch = run_units(run, "align", "speaker", ready.units, align_speaker)
    pairs = sorted_rows(batch.rows("pairs"), Pair, "pair_id")
    sentences = sorted_rows(batch.rows("sentences"), Sentence, "utterance_id")
    rejects = batch.rejects()
    run.write_tables(
        "align",
        {
            "pairs": (Pair, pairs),
            "sentences": (Sentence, sentences),
            "rejected": (Rejected, rejects),
        },
    )
    planned = sum(row["n"] for row in batch.rows("planned"))
    return summarise(
        "align", run, GRAIN, planned, len(pairs), rejects, batch,
        notes=[*_notes(pairs), *_unused(ready.said, ready.clips)],
        look=[str(run.table("align", "pairs"))],
    )  # fmt: skip


def _compiled(run: Run, units: Sequence[Unit]) -> Run:
    """Compile the kernels if needed, and exclude the time from the run's measured rates.

    Workers on other machines compile for themselves.
    """
    store = run.items("align")
    if is_compiled() or all(reusable(run, store, unit) for unit in units):
        return run
    began_s = time.perf_counter()
    with run.progress("align: compiling kernels (first run only)", 1):
        compile_kernels(run.params.align)
    return replace(run, began_s=run.began_s + time.perf_counter() - began_s)


def plan(run: Run) -> Planned:
    """The speakers to pair, each with its key.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    """
    clips = run.need("extract", "clips", Clip)
    rule = run.params.split_rule(run.dataset)
    check_assigned(rule, {clip.speaker for clip in clips})
    clips = [clip for clip in clips if admitted(rule, clip.speaker)]
    said = _transcripts(run.params.align)
    clips = apply_transcripts(clips, said)
    sync = _sync(run)
    units = [
        _unit(speaker, tuple(found), run, rule, sync)
        for speaker, found in groupby(
            sorted(clips, key=lambda c: (c.speaker, c.take_id)), key=lambda c: c.speaker
        )
    ]
    return Planned(units, said, clips)


def _sync(run: Run) -> dict[str, SyncTake]:
    """The offsets by take id; empty if sync has not run."""
    rows = run.find("sync", "sync_takes", SyncTake)
    if rows is None:
        return {}
    run.check_finished("sync")
    return {row.take_id: row for row in rows}


def _transcripts(section: Align) -> dict[Key, str]:
    """The transcripts that params.yaml names, whose digest it must state as well.

    Raises
    ------
    ParameterError
        When the file cannot be used, or its digest differs.
    """
    if not section.transcripts:
        return {}
    path = Path(section.transcripts)
    said = read_transcripts(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != section.transcripts_sha256:
        raise ParameterError(
            f"{path} has sha256 {found}, align.transcripts_sha256 is "
            f"{section.transcripts_sha256 or 'empty'}; if this is the right file, correct it"
        )
    return said


def _unused(said: dict[Key, str], clips: list[Clip]) -> list[str]:
    unused = sorted(set(said) - {key for clip in clips for key in keys_of(clip)})
    if not unused:
        return []
    return [
        f"{len(unused)} rows of align.transcripts name no take of this dataset, e.g. "
        f"{' '.join(unused[0])}"
    ]


def _unit(
    speaker: str,
    clips: tuple[Clip, ...],
    run: Run,
    rule: SplitRule,
    sync: Mapping[str, SyncTake],
) -> Unit:
    section = run.params.align
    theirs = {c.take_id: sync[c.take_id] for c in clips if c.take_id in sync}
    inputs = [
        (c.take_id, c.audio_sha256, c.audio_start_s, c.frames_sha256, c.sentence, c.sentence_source)
        for c in clips
    ]
    offsets = [(take, row.applied_ms, row.remaining_ms) for take, row in sorted(theirs.items())]
    settings = section.key(without=(*THRESHOLDS, *_OF_FILES_ALONE))
    base = digest(["align", VERSION, settings, rule.key(), inputs, offsets])
    thresholds = short_digest([getattr(section, name) for name in THRESHOLDS])
    extracted = run.items("extract").folder
    return Unit(
        speaker, digest([base, thresholds]), SpeakerJob(clips, extracted, section, rule, theirs),
        effort=len(clips), code=short_digest(VERSION),
        parameters=short_digest(section.key(without=_OF_FILES_ALONE), rule.key()),
    )  # fmt: skip


def _notes(pairs: list[Pair]) -> list[str]:
    if not pairs:
        return ["no pairs; see rejected.parquet"]
    frames = sum(len(pair.frame_a) for pair in pairs)
    emotions = {pair.emotion_b for pair in pairs}
    agreements = [p.mouth_agreement for p in pairs if p.mouth_agreement is not None]
    notes = [f"{frames} frame pairs in {len(pairs)} clip pairs, {len(emotions)} emotions"]
    if agreements:
        notes.append(
            f"mouth agreement (correlation of mouth openings): median {np.median(agreements):.2f}"
        )
    return notes
