"""sync: how late the image of each recording session is against its audio.

The unit of work is a speaker. A regression from audio to mouth openings is learnt on takes of the
whole dataset, at most `sync.model_takes` of them, once in each worker process. What is applied is
decided from all speakers' rows, because the zero is the commonest offset of the dataset.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from pipeline.digests import digest, short_digest
from pipeline.params import Sync
from pipeline.records import Clip, Rejected, SyncSession, SyncTake
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.units import Unit, run_units
from pipeline.stages.sync.decisions import Decided, decide
from pipeline.stages.sync.worker import SpeakerJob, load_model, measure_speaker

VERSION = 1
GRAIN = "take"
_OF_DECISIONS = ("mode", "min_takes", "min_audio_s", "min_strength", "max_error_ms", "significance")
"""Parameters that apply to measured offsets and change none."""


@dataclass(frozen=True)
class Planned:
    """The units, the clips that the regression learns from, all clips, and why nothing is
    measured, if so."""

    units: list[Unit]
    model: tuple[Clip, ...]
    clips: list[Clip]
    why_not: str


def run(run: Run) -> Summary:
    """Measure the sessions of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    """
    planned, section = plan(run), run.params.sync
    setup = partial(load_model, planned.model, run.items("extract").folder, section.ridge)
    batch = run_units(run, "sync", "speaker", planned.units, measure_speaker, setup)
    decided = decide(planned.clips, batch.rows("takes"), batch.rows("groups"), section)
    run.write_tables(
        "sync",
        {
            "sync_takes": (SyncTake, decided.takes),
            "sync_sessions": (SyncSession, decided.sessions),
            "rejected": (Rejected, []),
        },
    )
    return summarise(
        "sync", run, GRAIN, len(planned.clips), len(decided.takes), [], batch,
        notes=[planned.why_not] if planned.why_not else notes(decided, section),
        look=[str(run.table("sync", "sync_sessions"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The speakers to measure, each with its key.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    """
    section = run.params.sync
    clips = sorted(run.need("extract", "clips", Clip), key=lambda c: (c.speaker, c.take_id))
    usable = _one_view(clips)
    why_not = _why_not(usable, section)
    if why_not:
        return Planned([], (), clips, why_not)
    model = tuple(sorted(usable, key=_hash)[: section.model_takes])
    learnt = [_identity(clip) for clip in model]
    units = [
        _unit(speaker, tuple(found), run, learnt)
        for speaker, found in groupby(clips, key=lambda c: c.speaker)
    ]
    return Planned(units, model, clips, "")


def _one_view(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with image, one view of each utterance: the front, else the first by name."""
    chosen: dict[str, Clip] = {}
    for clip in sorted(clips, key=lambda c: (c.view != "front", c.view)):
        if clip.has_video:
            chosen.setdefault(clip.utterance_id, clip)
    return list(chosen.values())


def _why_not(usable: Sequence[Clip], section: Sync) -> str:
    seconds = sum(clip.audio_end_s - clip.audio_start_s for clip in usable)
    if section.mode == "off":
        return "nothing measured and nothing applied: sync.mode is off"
    if not usable:
        return "nothing measured and nothing applied: no take has both image and audio"
    if len(usable) < section.min_takes:
        return (
            f"nothing measured and nothing applied: {len(usable)} takes have image and audio, "
            f"sync.min_takes is {section.min_takes}"
        )
    if seconds < section.min_audio_s:
        return (
            f"nothing measured and nothing applied: {seconds:.1f} s of audio with image, "
            f"sync.min_audio_s is {section.min_audio_s:g}"
        )
    return ""


def _hash(clip: Clip) -> str:
    """A stable random order, so that a new take rarely changes which takes are learnt from."""
    return hashlib.sha256(clip.take_id.encode()).hexdigest()


def _identity(clip: Clip) -> tuple[object, ...]:
    return clip.take_id, clip.audio_sha256, clip.frames_sha256, clip.audio_start_s


def _unit(
    speaker: str, clips: tuple[Clip, ...], run: Run, learnt: Sequence[tuple[object, ...]]
) -> Unit:
    settings = run.params.sync.key(without=_OF_DECISIONS)
    inputs = [_identity(clip) for clip in clips]
    key = digest(["sync", VERSION, settings, inputs, learnt])
    return Unit(
        speaker, key, SpeakerJob(clips, run.items("extract").folder), effort=len(clips),
        code=short_digest(VERSION), parameters=short_digest(settings),
    )  # fmt: skip


def notes(decided: Decided, section: Sync) -> list[str]:
    """What the summary says: how many sessions are shifted, how far, the zero, and the others."""
    counts = Counter(row.status for row in decided.sessions)
    near = [
        row for row in decided.sessions
        if row.status in ("not_significant", "applied", "reported")
        and row.offset_ms is not None and abs(row.offset_ms) <= 20
    ]  # fmt: skip
    moved = [row for row in decided.sessions if row.status in ("applied", "reported")]
    verb = "shifted" if section.mode == "apply" else "off, but not shifted (sync.mode is report)"
    lines = []
    if moved:
        low, high = (pick(row.offset_ms or 0.0 for row in moved) for pick in (min, max))
        lines.append(
            f"{len(moved)} of {len(decided.sessions)} recording sessions {verb}: image from "
            f"{low:+.0f} to {high:+.0f} ms (+ is late)"
        )
    else:
        lines.append(f"no recording session of {len(decided.sessions)} is shifted")
    lines.append(
        f"zero is the commonest offset: {len(near)} sessions are within 20 ms of it; offsets are "
        "relative, the absolute one is unknown"
    )
    reasons = {
        "not_significant": "in sync within their error",
        "weak": "too weak to measure",
        "one_session": "the only session of their speaker, so that no pair depends on it",
        "no_mouth": "without a visible mouth",
    }
    rest = [f"{counts[slug]} {text}" for slug, text in reasons.items() if counts[slug]]
    return [*lines, "others: " + "; ".join(rest)] if rest else lines
