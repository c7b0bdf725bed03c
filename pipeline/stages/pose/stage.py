"""pose: the affine that lays the second face of each frame pair onto the first.

The unit of work is a speaker: a neutral take stands in many pairs and is read once. Only the
landmarks' columns of the frame files are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.digests import digest
from pipeline.errors import TableError
from pipeline.faces.affine import STABLE
from pipeline.faces.expression import landmarks_of, movements_sha256
from pipeline.faces.poses import Posed, PoseTrack, pose_pair, values_sha256
from pipeline.params import Pose
from pipeline.records import Clip, Pair, PosedPair, PosePair, Rejected, rejected
from pipeline.runtime.costs import short
from pipeline.runtime.run import Outcome, Run, Summary, Unit, bring_up_to_date, summarise
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import sorted_rows, write_table
from pipeline.takes.frame_file import read_columns

VERSION = 4
POSES = ".poses.parquet"
_GRAIN = "clip pair"
_MEASURES = ("yaw_deg", "pitch_deg", "mouth_open", "interocular_px")
_COLUMNS = ("time_s", "duration_s", *_MEASURES, "landmarks")
_REASONS = {
    "no_face": "no_landmarks",
    "degenerate": "degenerate_pose",
    "large_residual": "large_residual",
}
_TAKES_IN_MEMORY = 64


@dataclass(frozen=True)
class _Match:
    """One clip pair as pose needs it."""

    pair_id: str
    a: Clip
    b: Clip
    frame_a: tuple[int, ...]
    frame_b: tuple[int, ...]


@dataclass(frozen=True)
class _Speaker:
    """What the worker is given: one speaker's clip pairs and where the frame files lie."""

    matches: tuple[_Match, ...]
    extracted: Path
    section: Pose


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, and how many clip pairs they hold."""

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
    batch = bring_up_to_date(run, "pose", "speaker", planned.units, pose_speaker)
    posed = sorted_rows(batch.rows("pose_pairs"), PosedPair, "pair_id")
    rejects = batch.rejects()
    run.write_tables("pose", {"pose_pairs": (PosedPair, posed), "rejected": (Rejected, rejects)})
    return summarise(
        "pose", run, _GRAIN, planned.n_pairs, len(posed), rejects, batch,
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
    units = [
        _unit(speaker, tuple(found), run)
        for speaker, found in groupby(matches, key=lambda match: match.a.speaker)
    ]
    return Planned(units, len(pairs))


def _match(pair: Pair, clips: Mapping[str, Clip]) -> _Match:
    missing = {pair.take_a, pair.take_b} - set(clips)
    if missing:
        raise TableError(
            f"pair {pair.pair_id} names take {min(missing)} that extract no longer has; rerun align"
        )
    return _Match(pair.pair_id, clips[pair.take_a], clips[pair.take_b], pair.frame_a, pair.frame_b)


def _unit(speaker: str, matches: tuple[_Match, ...], run: Run) -> Unit:
    section = run.params.pose
    takes = {clip.take_id: _identity(clip) for match in matches for clip in (match.a, match.b)}
    inputs = [(m.pair_id, m.a.take_id, m.b.take_id, m.frame_a, m.frame_b) for m in matches]
    asset = movements_sha256() if section.expression == "solve" else None
    key = digest(["pose", VERSION, section.key(), asset, takes, inputs])
    return Unit(
        speaker, key, _Speaker(matches, run.items("extract").folder, section),
        effort=sum(len(match.frame_a) for match in matches),
        code=short(VERSION, asset), parameters=short(section.key()),
    )  # fmt: skip


def _identity(clip: Clip) -> tuple[object, ...]:
    return clip.frames_sha256, clip.crop_x_px, clip.crop_y_px, clip.crop_side_px


def pose_speaker(state: None, store: ItemStore, unit: str, speaker: _Speaker) -> Outcome:
    """Fit all clip pairs of one speaker: a pure function of landmarks and frame maps."""
    section = speaker.section
    landmarks = landmarks_of(section.landmarks, section.expression)
    read = lru_cache(_TAKES_IN_MEMORY)(lambda clip: _read(speaker.extracted, clip, section))
    outcome = Outcome(suffixes=[POSES], rows={"pose_pairs": []})
    tables = [PosePair.SCHEMA.empty_table()]
    for match in speaker.matches:
        if not (match.a.has_picture and match.b.has_picture):
            outcome.rejects.append(_reject(match, "no_landmarks", "a take of sound alone"))
            continue
        posed = pose_pair(
            match.pair_id, read(match.a), read(match.b),
            np.array([match.frame_a, match.frame_b], dtype=np.int64).T,
            method=section.method, landmarks=landmarks, smooth_s=section.smooth_s,
            shear_prior=section.shear_prior, max_residual=section.max_residual,
        )  # fmt: skip
        if len(posed.rows) == 0:
            outcome.rejects.append(_reject(match, *_why(posed.lost)))
            continue
        tables.append(posed.rows)
        outcome.rows["pose_pairs"].append(_summary(match, posed).to_row())
    write_table(store.path(unit, POSES), pa.concat_tables(tables).combine_chunks())
    return outcome


def _read(extracted: Path, clip: Clip, section: Pose) -> PoseTrack:
    path = ItemStore(extracted).path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
    columns = read_columns(path, _COLUMNS)
    points = columns["landmarks"][..., :2]
    assert clip.crop_x_px is not None
    assert clip.crop_y_px is not None
    assert clip.crop_side_px is not None
    return PoseTrack(
        times_s=columns["time_s"] + columns["duration_s"] / 2,
        points=points[:, list(landmarks_of(section.landmarks, section.expression).indices)],
        stable=points[:, list(STABLE)],
        crop=(clip.crop_x_px, clip.crop_y_px, clip.crop_side_px),
        **{name: columns[name] for name in _MEASURES},
    )


def _reject(match: _Match, reason: str, detail: str) -> Rejected:
    return rejected("pose", _GRAIN, match.pair_id, reason, detail)


def _why(lost: Mapping[str, int]) -> tuple[str, str]:
    """The commonest cause, and the counts of all, where a clip pair kept nothing."""
    worst = max(_REASONS, key=lambda cause: lost[cause])
    found = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in lost.items() if n)
    return _REASONS[worst], f"of {sum(lost.values())} frame pairs: {found or 'none'}"


def _summary(match: _Match, posed: Posed) -> PosedPair:
    def median(name: str) -> float:
        return float(np.median(np.abs(posed.rows[name].to_numpy().astype(np.float64))))

    return PosedPair(
        pair_id=match.pair_id,
        speaker=match.a.speaker,
        n_frames=len(match.frame_a),
        n_kept=len(posed.rows),
        n_no_face=posed.lost["no_face"],
        n_degenerate=posed.lost["degenerate"],
        n_large_residual=posed.lost["large_residual"],
        residual_before=median("residual_before"),
        residual_after=median("residual_after"),
        yaw_difference_deg=median("yaw_difference_deg"),
        pitch_difference_deg=median("pitch_difference_deg"),
        mouth_difference=median("mouth_difference"),
        poses_sha256=values_sha256(posed.rows),
    )


def _notes(posed: Sequence[PosedPair]) -> list[str]:
    if not posed:
        return ["no pose was fitted: see the rejects"]
    lost = Counter[str]()
    for row in posed:
        lost["no face"] += row.n_no_face
        lost["degenerate"] += row.n_degenerate
        lost["large residual"] += row.n_large_residual
    kept = sum(row.n_kept for row in posed)
    dropped = ", ".join(f"{n} {cause}" for cause, n in lost.items() if n) or "none"
    before = np.median([row.residual_before for row in posed])
    after = np.median([row.residual_after for row in posed])
    return [
        f"{kept} frame pairs posed, dropped: {dropped}",
        f"residual over the eyes' distance: median {before:.3f} before, {after:.3f} after",
    ]
