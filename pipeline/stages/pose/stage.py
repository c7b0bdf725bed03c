"""pose: the affine that warps the second face of each frame pair onto the first.

The unit of work is a speaker: a neutral take is in many pairs and is read once. Of the frame files,
only the landmark columns are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.digests import digest, short_digest
from pipeline.errors import TableError
from pipeline.faces.expression import movements_sha256
from pipeline.records import Clip, Pair, PosedPair, Rejected
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Unit, run_units
from pipeline.stages.pose.worker import GRAIN, Match, SpeakerJob, pose_speaker

VERSION = 7


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, and their number of clip pairs."""

    units: list[Unit]
    n_pairs: int


def run(run: Run) -> Summary:
    """Fit the pose of every frame pair of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    planned = plan(run)
    batch = run_units(run, "pose", "speaker", planned.units, pose_speaker)
    posed = sorted_rows(batch.rows("pose_pairs"), PosedPair, "pair_id")
    rejects = batch.rejects()
    run.write_tables("pose", {"pose_pairs": (PosedPair, posed), "rejected": (Rejected, rejects)})
    return summarise(
        "pose", run, GRAIN, planned.n_pairs, len(posed), rejects, batch,
        notes=_notes(posed), look=[str(run.table("pose", "pose_pairs"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The speakers whose pairs are posed, each with its key.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    pairs = run.need("align", "pairs", Pair)
    matches = [_match(pair, clips) for pair in pairs]
    matches.sort(key=lambda match: (match.a.speaker, match.pair_id))
    takes = _takes(clips.values())
    units = [
        _unit(speaker, tuple(found), takes[speaker], run)
        for speaker, found in groupby(matches, key=lambda match: match.a.speaker)
    ]
    return Planned(units, len(pairs))


def _takes(clips: Iterable[Clip]) -> dict[str, tuple[Clip, ...]]:
    """Each speaker's takes: all show whether the faces of a pair are one person's."""
    ordered = sorted(clips, key=lambda clip: (clip.speaker, clip.take_id))
    return {
        speaker: tuple(found) for speaker, found in groupby(ordered, key=lambda clip: clip.speaker)
    }


def _match(pair: Pair, clips: Mapping[str, Clip]) -> Match:
    missing = {pair.take_a, pair.take_b} - set(clips)
    if missing:
        raise TableError(
            f"pair {pair.pair_id} names take {min(missing)} that extract no longer has; rerun align"
        )
    return Match(pair.pair_id, clips[pair.take_a], clips[pair.take_b], pair.frame_a, pair.frame_b)


def _unit(speaker: str, matches: tuple[Match, ...], clips: tuple[Clip, ...], run: Run) -> Unit:
    section = run.params.pose
    seen = {clip.take_id: clip for match in matches for clip in (match.a, match.b)}
    compared = {clip.take_id: clip for clip in clips if section.max_face_difference}
    takes = {take_id: _identity(clip) for take_id, clip in sorted({**seen, **compared}.items())}
    inputs = [(m.pair_id, m.a.take_id, m.b.take_id, m.frame_a, m.frame_b) for m in matches]
    asset = movements_sha256() if section.expression == "solve" else None
    key = digest(["pose", VERSION, section.key(), asset, takes, inputs])
    return Unit(
        speaker, key, SpeakerJob(matches, clips, run.items("extract").folder, section),
        effort=len(matches), code=short_digest(VERSION, asset),
        parameters=short_digest(section.key()),
    )  # fmt: skip


def _identity(clip: Clip) -> tuple[object, ...]:
    return clip.frames_sha256, clip.crop_x_px, clip.crop_y_px, clip.crop_side_px


def _notes(posed: Sequence[PosedPair]) -> list[str]:
    if not posed:
        return ["no pose was fitted; see rejected.parquet"]
    lost = Counter[str]()
    for row in posed:
        lost["no face"] += row.n_no_face
        lost["degenerate"] += row.n_degenerate
        lost["large residual"] += row.n_large_residual
    kept = sum(row.n_kept for row in posed)
    dropped = ", ".join(f"{n} {cause}" for cause, n in lost.items() if n) or "none"
    before = np.median([row.residual_before for row in posed])
    after = np.median([row.residual_after for row in posed])
    notes = [
        f"{kept} frame pairs posed, dropped: {dropped}",
        f"median residual in eye distances: {before:.3f} before, {after:.3f} after the affine",
    ]
    two_faces = sum(row.other_face for row in posed)
    if two_faces:
        notes.append(f"{two_faces} kept clip pairs seem to show two people (other_face)")
    return notes
