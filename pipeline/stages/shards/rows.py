"""Generators of the rows of each config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.faces.affine import F64, compose, invert
from pipeline.params import Shards
from pipeline.records import Clip
from pipeline.runtime.tables import read_table
from pipeline.stages.shards.shard_plan import (
    ClearTake,
    FaceTake,
    FamilyTake,
    KeptPair,
    PlacedPair,
    SpokenTake,
)
from pipeline.stages.shards.sources import SCORES, Sources
from pipeline.takes.framed_images import (
    StoredFrame,
    encode,
    frame_columns,
    framed,
    stored_frames,
    valid_box,
)
from spfem_data.labels import EMOTIONS
from spfem_data.masks import valid_mask
from spfem_data.schema import PAIR_COLUMNS, sample_id

_PER_FRAME = (
    "confidence", "error_ms", "run_ms", "slope", "contrast", "speech_a", "speech_b", "mouth_gap",
)  # fmt: skip
_POSE = (
    "residual_before", "residual_after", "yaw_difference_deg", "pitch_difference_deg",
    "mouth_open_a", "mouth_open_b", "mouth_difference",
)  # fmt: skip


_OF_FAMILY = (
    "family_id", "emotion", "is_reconstruction", "take_id", "frame", "time_s", "dataset", "speaker",
    "source_emotion", "level", "view", "split", "beta", "gaps", "norm", "mouth_open", "mouth_width",
    "mouth_corner", "mouth_open_difference", "mouth_width_difference", "mouth_corner_difference",
    "identity", "clarity", "clarity_rise", "generator_sha256", "encoder_sha256", "direction_sha256",
)  # fmt: skip
_SCORES = (*(f"p_{emotion}" for emotion in EMOTIONS), "embedding")
_MEASURES = (
    "yaw_deg", "pitch_deg", "roll_deg", "mouth_open", "mouth_width", "eye_open", "sharpness",
)  # fmt: skip


def pair_rows(kept: KeptPair, sources: Sources) -> Iterator[dict[str, Any]]:
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
            **_image("source", "a", kept.a, a, i, to_source, sources.section),
            **_image("target", "b", kept.b, b, j, to_target, sources.section),
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
    section: Shards,
) -> dict[str, Any]:
    """The columns of one of the two images of a row."""
    six, valid = _six(matrix), valid_box(clip)
    image = framed(stored.crop, clip, matrix, section.size_px)
    return {
        f"frame_to_{name}": six,
        f"valid_{which}": list(valid),
        f"{name}_covered": float(valid_mask(six, valid, section.size_px).mean()),
        name: {
            "bytes": encode(image, section.jpeg_quality),
            "path": f"{clip.take_id}.{frame:06d}.jpg",
        },
    }


def sequence_rows(placed: PlacedPair, sources: Sources) -> Iterator[dict[str, Any]]:
    """The rows of the config `sequences` of one clip pair: its windows, by sample id and by row."""
    kept, section = placed.kept, sources.section.windows
    frames = kept.frames()
    confidence, error_ms = (
        np.array(getattr(kept.pair, name))[list(kept.kept)] for name in ("confidence", "error_ms")
    )
    residual = sources.poses(kept)["residual_after"].to_numpy()
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


def take_rows(take: SpokenTake, sources: Sources) -> Iterator[dict[str, Any]]:
    """The row of the config `takes` of one take."""
    clip = take.clip
    audio = sources.file("extract", clip, ".audio.flac").read_bytes()
    same = (
        "take_id", "utterance_id", "dataset", "speaker", "emotion", "level", "view", "take", "fps",
        "n_frames", "video_start_s", "video_end_s", "audio_start_s", "audio_end_s",
    )  # fmt: skip
    yield {
        **{name: getattr(clip, name) for name in same},
        "sync_ms": take.sync_ms,
        "sync_error_ms": take.sync_error_ms,
        "sentence": take.sentence.sentence,
        "sentence_method": take.sentence.method,
        "sentence_verified": take.sentence.verified,
        "split": take.split,
        "audio": {"bytes": audio, "path": f"{clip.take_id}.flac"},
    }


def clear_rows(take: ClearTake, sources: Sources) -> Iterator[dict[str, Any]]:
    """The rows of the config `emotions` of one take, in order of time."""
    clip, section = take.clip, sources.section
    framing, decided = sources.framing(clip), sources.decided(clip)
    scores = read_table(sources.file("score", clip, SCORES))
    scores = scores.filter(pc.is_in(scores["frame"], decided["frame"].combine_chunks()))
    frames = stored_frames(sources.frames_file(clip), decided["frame"].to_pylist())
    rows = zip(decided.to_pylist(), scores.to_pylist(), frames, strict=True)
    for row, score, stored in rows:
        to_image = framing(row["frame"])
        image = frame_columns(
            clip, row["frame"], stored, to_image, section.size_px, section.jpeg_quality
        )
        yield {
            **image,
            "split": take.split,
            **{name: row[name] for name in ("emotion", "clarity", "rank")},
            **{name: score[name] for name in _SCORES},
        }


def family_rows(take: FamilyTake, sources: Sources) -> Iterator[dict[str, Any]]:
    """The rows of one take: the images of a family in sequence, its reconstruction first."""
    file = sources.file("synth", take.clip, ".families.parquet")
    names = [*_OF_FAMILY, "frame_to_image", "verdict", "family_kept", "image"]
    table = read_table(file, columns=names)
    kept = pc.and_(table["family_kept"], pc.equal(table["verdict"], "kept"))
    for batch in table.filter(kept).to_batches(64):
        for row in batch.to_pylist():
            name = f"{row['family_id']}-{'own' if row['is_reconstruction'] else row['emotion']}"
            yield {
                "image_id": name,
                "image": {"bytes": row["image"], "path": f"{name}.jpg"},
                **{column: row[column] for column in _OF_FAMILY},
                "frame_to_image": row["frame_to_image"],
            }


def spaced(n: int, wanted: int) -> list[int]:
    """`wanted` of n positions, evenly spaced, each in the middle of its interval; 0: all."""
    if wanted == 0 or wanted >= n:
        return list(range(n))
    return [int((2 * k + 1) * n / (2 * wanted)) for k in range(wanted)]


def frame_rows(take: FaceTake, sources: Sources) -> Iterator[dict[str, Any]]:
    """The rows of one take in order of time: frames with a face, evenly spaced over the take.

    SSERD's hybrid training uses them (3.3, real unpaired images), and so does the regularisation of
    a generator (CDRL 3.3).
    """
    clip, section, file = take.clip, sources.section, sources.frames_file(take.clip)
    framing = sources.frames_framing(clip)
    table = read_table(file, columns=["frame", "found", *_MEASURES])
    with_face = np.flatnonzero(table["found"].to_numpy())
    chosen = with_face[spaced(len(with_face), section.frames.per_take)]
    rows = table.take(pa.array(chosen)).to_pylist()
    frames = stored_frames(file, [row["frame"] for row in rows])
    for row, stored in zip(rows, frames, strict=True):
        to_image = framing(row["frame"])
        image = frame_columns(
            clip, row["frame"], stored, to_image, section.size_px, section.jpeg_quality
        )
        yield {
            **image,
            "emotion": clip.emotion,
            "sentence": take.sentence,
            "split": take.split,
            **{name: row[name] for name in _MEASURES},
        }


ROWS: Mapping[str, Callable[[Any, Sources], Iterator[dict[str, Any]]]] = {
    "pairs": pair_rows, "sequences": sequence_rows, "takes": take_rows, "emotions": clear_rows,
    "families": family_rows, "frames": frame_rows,
}  # fmt: skip
"""The rows of one item of each config."""
