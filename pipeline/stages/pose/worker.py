"""Fit the poses of one speaker's clip pairs: the worker of the stage `pose`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.faces.affine import STABLE
from pipeline.faces.expression import landmarks_of
from pipeline.faces.poses import Posed, PoseTrack, pose_pair, values_sha256
from pipeline.params import Pose
from pipeline.records import Clip, PosedPair, PosePair, Rejected, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.pose.speaker_faces import SpeakerFaces, speaker_faces
from pipeline.takes.frame_file import read_columns

POSES = ".poses.parquet"


GRAIN = "clip pair"


_MEASURES = ("yaw_deg", "pitch_deg", "mouth_open", "interocular_px")


_COLUMNS = ("time_s", "duration_s", *_MEASURES, "landmarks")


_REASONS = {
    "no_face": "no_landmarks",
    "degenerate": "degenerate_pose",
    "large_residual": "large_residual",
}


_TAKES_IN_MEMORY = 64


@dataclass(frozen=True)
class Match:
    """One clip pair, reduced to what pose needs."""

    pair_id: str
    a: Clip
    b: Clip
    frame_a: tuple[int, ...]
    frame_b: tuple[int, ...]


@dataclass(frozen=True)
class SpeakerJob:
    """The worker's input: one speaker's clip pairs and takes, and the path of their frame files."""

    matches: tuple[Match, ...]
    clips: tuple[Clip, ...]
    extracted: Path
    section: Pose


def pose_speaker(state: None, store: ItemStore, unit: str, speaker: SpeakerJob) -> UnitResult:
    """Fit all clip pairs of one speaker: a pure function of landmarks and frame maps."""
    section = speaker.section
    landmarks = landmarks_of(section.landmarks, section.expression)
    read = lru_cache(_TAKES_IN_MEMORY)(lambda clip: _read(speaker.extracted, clip, section))
    outcome = UnitResult(suffixes=[POSES], rows={"pose_pairs": []})
    tables = [PosePair.SCHEMA.empty_table()]
    faces = speaker_faces(speaker.clips, speaker.extracted, section.max_face_difference)
    for match in speaker.matches:
        if not (match.a.has_video and match.b.has_video):
            outcome.rejects.append(_reject(match, "audio_only", "at least one take is audio only"))
            continue
        other_face = faces.are_two(match.a.take_id, match.b.take_id)
        if other_face and section.other_face == "reject":
            outcome.rejects.append(_reject(match, "other_face", faces.detail(match.a, match.b)))
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
        outcome.rows["pose_pairs"].append(_summary(match, posed, faces).to_row())
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


def _reject(match: Match, reason: str, detail: str) -> Rejected:
    return rejected("pose", GRAIN, match.pair_id, reason, detail)


def _why(lost: Mapping[str, int]) -> tuple[str, str]:
    """The most frequent cause and the counts of all causes for a clip pair without poses."""
    worst = max(_REASONS, key=lambda cause: lost[cause])
    found = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in lost.items() if n)
    return _REASONS[worst], f"of {sum(lost.values())} frame pairs: {found or 'none'}"


def _summary(match: Match, posed: Posed, faces: SpeakerFaces) -> PosedPair:
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
        face_difference=faces.difference(match.a.take_id, match.b.take_id),
        other_face=faces.are_two(match.a.take_id, match.b.take_id),
        poses_sha256=values_sha256(posed.rows),
    )
