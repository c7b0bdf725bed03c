"""The ground truth of the demo corpus, joined to the clips by source file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.truth import read_frames, read_takes
from pipeline.errors import PipelineError
from pipeline.records import Clip
from pipeline.stages.report.inputs import F64


@dataclass(frozen=True)
class TrueTake:
    """The truth of a take: the emotion `shown`, `onsets_s` (n + 1) of its phonemes.

    `image_late_s` is the delay of its image against its audio, `place` its row in the truth tables.
    """

    sentence: str
    shown: str | None
    mislabelled: bool
    phonemes: tuple[str, ...]
    onsets_s: F64
    image_late_s: float
    place: int


@dataclass(frozen=True)
class TrueFrames:
    """The truth of the frames of a clip, in the clip's order; NaN where unknown.

    `landmarks_px` (n, 468, 2); angles and openings (n,) in the conventions of `records`.
    """

    face: NDArray[np.bool_]
    landmarks_px: F64
    yaw_deg: F64
    pitch_deg: F64
    roll_deg: F64
    mouth_open: F64


@dataclass(frozen=True)
class Truth:
    """The truth of every demo clip, by take id."""

    root: Path
    takes: Mapping[str, TrueTake]

    def frames(self, take_id: str, instants_s: F64) -> TrueFrames:
        """The truth of the frames shown at these instants, from the nearest true frame."""
        true = read_frames(self.root, self.takes[take_id].place)
        nearest, near = match_times(instants_s, true.times_s)
        measures = {
            name: np.where(near, true.measures[name][nearest].astype(np.float64), np.nan)
            for name in ("yaw_deg", "pitch_deg", "roll_deg", "mouth_open")
        }
        # The renderer's roll is counterclockwise, that of records clockwise.
        measures["roll_deg"] = -measures["roll_deg"]
        face = near & true.face[nearest]
        points = np.where(face[:, None, None], true.landmarks_px[nearest], np.nan)
        return TrueFrames(face, points, **measures)

    def intensity(self, take_id: str, instants_s: F64) -> F64:
        """The intensity (n,) of the take's emotion at these instants, 0..1; NaN if unknown."""
        true = read_frames(self.root, self.takes[take_id].place)
        nearest, near = match_times(instants_s, true.times_s)
        known = near & true.face[nearest]
        return np.where(known, true.measures["intensity"][nearest].astype(np.float64), np.nan)


def read_truth(root: Path, clips: Iterable[Clip]) -> Truth:
    """Read the demo's truth and join it to the clips.

    Raises
    ------
    PipelineError
        When the corpus has no truth, or no clip is one of its takes.
    """
    if not (root / "truth" / "takes.parquet").is_file():
        raise PipelineError(
            f"{root} has no ground truth; run first: spfem-data demo --dataset demo"
        )
    rows = read_takes(root)
    places = {(row["path"], row["member"] or None): n for n, row in enumerate(rows)}
    takes: dict[str, TrueTake] = {}
    for clip in clips:
        place = places.get((clip.video_path, clip.video_member or None))
        if place is None:
            continue
        row = rows[place]
        takes[clip.take_id] = TrueTake(
            sentence=row["sentence_id"],
            shown=row["shown_emotion"],
            mislabelled=row["mislabelled"],
            phonemes=tuple(row["phonemes"]),
            onsets_s=np.array(row["onsets_s"], np.float64),
            image_late_s=row["image_late_s"],
            place=place,
        )
    if not takes:
        raise PipelineError(
            f"no clip belongs to a take in {root / 'truth'}; rerun demo and extract"
        )
    return Truth(root, takes)


def match_times(times_s: F64, true_s: F64) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each time (n,), the index of the nearest true time, and whether it is close enough."""
    if len(true_s) < 2:
        return np.zeros(len(times_s), np.intp), np.zeros(len(times_s), np.bool_)
    middles = (true_s[1:] + true_s[:-1]) / 2
    nearest = np.searchsorted(middles, times_s)
    half = float(np.median(np.diff(true_s))) / 2
    return nearest, np.abs(true_s[nearest] - times_s) <= half
