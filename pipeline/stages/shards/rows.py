"""Generators of the rows of each config."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.faces.affine import F64, compose, invert
from pipeline.params import ShardsWindows
from pipeline.records import Clip
from pipeline.stages.shards.shard_plan import KeptPair, PlacedPair, SpokenTake
from pipeline.takes.framed_images import (
    FrameTo,
    StoredFrame,
    encode,
    framed,
    stored_frames,
    valid_box,
)
from spfem_data.masks import valid_mask
from spfem_data.schema import PAIR_COLUMNS, sample_id

PosesOf = Callable[[KeptPair], pa.Table]
"""The rows of `PosePair` of the kept frame pairs, in their order."""

_PER_FRAME = ("confidence", "error_ms", "run_ms", "slope", "contrast")
_POSE = (
    "residual_before", "residual_after", "yaw_difference_deg", "pitch_difference_deg",
    "mouth_open_a", "mouth_open_b", "mouth_difference",
)  # fmt: skip


@dataclass(frozen=True)
class Sources:
    """The inputs of the rows: frame file and framing of a take, poses of a pair."""

    frames_file: Callable[[Clip], Path]
    framing: Callable[[Clip], FrameTo]
    poses: PosesOf


def pair_rows(
    kept: KeptPair, sources: Sources, size_px: int, quality: int
) -> Iterator[dict[str, Any]]:
    """The rows of the config `pairs` of one clip pair, in order of time."""
    frames_a, frames_b = zip(*kept.frames(), strict=True)
    stored_a = stored_frames(sources.frames_file(kept.a), frames_a)
    stored_b = stored_frames(sources.frames_file(kept.b), frames_b)
    poses = sources.poses(kept).to_pylist()
    framing_a, framing_b = sources.framing(kept.a), sources.framing(kept.b)
    for k, pose, a, b in zip(kept.kept, poses, stored_a, stored_b, strict=True):
        i, j = pose["frame_a"], pose["frame_b"]
        b_to_a = np.array(pose["affine"]).reshape(2, 3)
        to_source = framing_a(i)
        to_target = compose(to_source, b_to_a)
        yield {
            "sample_id": sample_id(kept.pair.pair_id, i, j),
            **_of_pair(kept),
            "frame_a": i,
            "frame_b": j,
            "time_a_s": a.instant_s,
            "time_b_s": b.instant_s,
            **{name: getattr(kept.pair, name)[k] for name in _PER_FRAME},
            **{name: pose[name] for name in _POSE},
            "affine": _six(compose(to_target, invert(framing_b(j)))),
            **_image("source", "a", kept.a, a, i, to_source, size_px, quality),
            **_image("target", "b", kept.b, b, j, to_target, size_px, quality),
        }


def _of_pair(kept: KeptPair) -> dict[str, Any]:
    return {name: getattr(kept.pair, name) for name in PAIR_COLUMNS}


def _six(matrix: F64) -> list[float]:
    return [float(value) for value in matrix.reshape(-1)]


def _image(
    name: str,
    which: str,
    clip: Clip,
    stored: StoredFrame,
    frame: int,
    matrix: F64,
    size_px: int,
    quality: int,
) -> dict[str, Any]:
    """The columns of one of the two images of a row."""
    six, valid = _six(matrix), valid_box(clip)
    image = framed(stored.crop, clip, matrix, size_px)
    return {
        f"frame_to_{name}": six,
        f"valid_{which}": list(valid),
        f"{name}_covered": float(valid_mask(six, valid, size_px).mean()),
        name: {"bytes": encode(image, quality), "path": f"{clip.take_id}.{frame:06d}.jpg"},
    }


def sequence_rows(
    placed: PlacedPair, poses: PosesOf, section: ShardsWindows
) -> Iterator[dict[str, Any]]:
    """The rows of the config `sequences` of one clip pair: its windows, by sample id and by row."""
    kept = placed.kept
    frames = kept.frames()
    confidence, error_ms = (
        np.array(getattr(kept.pair, name))[list(kept.kept)] for name in ("confidence", "error_ms")
    )
    residual = poses(kept)["residual_after"].to_numpy()
    windows = kept.windows(section)
    for index, weight in zip(windows.index, windows.weight, strict=True):
        sure = index[confidence[index] >= section.min_confidence]
        window = [frames[k] for k in index]
        yield {
            "sequence_id": f"{kept.pair.pair_id}/{window[0][0]:06d}+{len(window)}",
            **_of_pair(kept),
            "rows": (placed.first_row + index).tolist(),
            "weights": weight.tolist(),
            "length": len(window),
            "file": placed.file,
            "sample_ids": [sample_id(kept.pair.pair_id, i, j) for i, j in window],
            "frames_a": [i for i, _ in window],
            "frames_b": [j for _, j in window],
            "min_confidence": float(confidence[sure].min()),
            "max_error_ms": float(error_ms[sure].max()),
            "max_residual_after": float(residual[index].max()),
        }


def take_row(take: SpokenTake, audio_file: Path) -> dict[str, Any]:
    """The row of the config `takes` of one take."""
    clip = take.clip
    same = (
        "take_id", "utterance_id", "dataset", "speaker", "emotion", "level", "view", "take", "fps",
        "n_frames", "video_start_s", "video_end_s", "audio_start_s", "audio_end_s",
    )  # fmt: skip
    return {
        **{name: getattr(clip, name) for name in same},
        "sentence": take.sentence.sentence,
        "sentence_method": take.sentence.method,
        "sentence_verified": take.sentence.verified,
        "split": take.split,
        "audio": {"bytes": audio_file.read_bytes(), "path": f"{clip.take_id}.flac"},
    }
