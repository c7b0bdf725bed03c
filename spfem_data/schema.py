"""The columns of the published shards, with what each means: the one home of their schema.

Files carry the conventions of Hugging Face datasets (pictures as struct<bytes, path>, their
features in the schema's metadata), so that `datasets`, duckdb, polars and the Hub's viewer read
them without this package. A change of a column's name, type or meaning raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spfem_data.labels import EMOTIONS

SCHEMA_VERSION = 1
VERSION_KEY = b"spfem_data.schema_version"
CONFIGS = ("pairs", "sequences", "takes", "emotions", "families", "frames")
SOUND_HZ = 16000
MAX_SOUND_S = 6 * 3600
"""Of a take's sound; `extract.max_duration_s` is at most that."""

_FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_AFFINE = pa.list_(pa.float64(), 6)


@dataclass(frozen=True)
class Column:
    """One column: `media` is image or sound for a struct<bytes, path>."""

    name: str
    type: pa.DataType
    doc: str
    media: str | None = None


def _text(name: str, doc: str) -> Column:
    return Column(name, pa.string(), doc)


def _real(name: str, doc: str) -> Column:
    return Column(name, pa.float32(), doc)


_PAIR = (
    _text("pair_id", "the clip pair: take a beside take b"),
    _text("dataset", "name of the dataset in params.yaml"),
    _text("speaker", "who speaks, in both takes"),
    _text("view", "camera, the same in both takes"),
    _text("sentence", "what is said, in both takes"),
    _text("split", "train, validation or test: decided from names before anything was fitted"),
    _text("take_a", "the anchor take; row of the config takes"),
    _text("take_b", "the other take; row of the config takes"),
    _text("emotion_a", "emotion of take a as acted (neutral by default)"),
    _text("emotion_b", "emotion of take b as acted"),
    Column("level_a", pa.int8(), "intensity of take a as the corpus names it"),
    Column("level_b", pa.int8(), "intensity of take b as the corpus names it"),
    _text("sentence_method", "by what it is known: transcript, name, manifest, prior or sound"),
    _real("sentence_score", "distance of the two sounds along the time map; small is alike"),
    _text("odd_span", "where one take most seems to have a word more: only_in_a, twice_in_b, ..."),
    _real("odd_span_score", "how much it seems so; an alarm from 1 on"),
    _real("length_ratio", "length of the speech in b over that in a"),
    _real("coverage", "frame pairs over the frames of the shorter take"),
    _real(
        "mouth_agreement",
        "correlation of the two mouths' faster movements along the time map, over the clip",
    ),
)
_FRAME_PAIR = (
    Column("frame_a", pa.int32(), "frame number in take a"),
    Column("frame_b", pa.int32(), "frame number in take b"),
    Column("time_a_s", pa.float64(), "instant of the frame, seconds on take a's clock"),
    Column("time_b_s", pa.float64(), "instant of the frame, seconds on take b's clock"),
    _real("confidence", "that the two frames show the same instant of speech, 0 to 1"),
    _real("error_ms", "claimed error of the pairing in time, milliseconds"),
    _real("run_ms", "longest standstill of the time map near the frame, milliseconds"),
    _real("slope", "tempo of b over a at the frame"),
    _real("contrast", "how much worse the neighbouring pairings fit"),
    _real(
        "residual_before", "rms distance of the stable landmarks without the affine / eye distance"
    ),
    _real("residual_after", "the same with the affine"),
    _real("yaw_difference_deg", "b minus a: what no flat map can mend"),
    _real("pitch_difference_deg", "b minus a: what no flat map can mend"),
    _real("mouth_open_a", "lip opening / eye distance in the frame of a"),
    _real("mouth_open_b", "lip opening / eye distance in the frame of b"),
    _real("mouth_difference", "mouth_open_b minus mouth_open_a"),
    Column("affine", _AFFINE, "2x3 by rows: b's framed picture to a's, pixel-edge coordinates"),
    Column("frame_to_source", _AFFINE, "2x3 by rows: a's full frame to the source picture"),
    Column("frame_to_target", _AFFINE, "2x3 by rows: b's full frame to the target picture"),
    Column(
        "valid_a",
        pa.list_(pa.float64(), 4),
        "left, top, right, bottom of what is known of a's frame",
    ),
    Column(
        "valid_b",
        pa.list_(pa.float64(), 4),
        "left, top, right, bottom of what is known of b's frame",
    ),
    _real("source_covered", "share of the source picture inside valid_a; the rest is mirrored"),
    _real("target_covered", "share of the target picture inside valid_b; the rest is mirrored"),
    Column("source", _FILE, "frame of take a, framed (JPEG)", "image"),
    Column(
        "target", _FILE, "frame of take b, laid onto a by the affine, framed alike (JPEG)", "image"
    ),
)
_WINDOW = (
    Column("rows", pa.list_(pa.int64()), "rows of `file` that make the window, in order of time"),
    Column("weights", pa.list_(pa.float32()), "confidence of each; 0 below the threshold"),
    Column("length", pa.int32(), "frame pairs in the window"),
    _text("file", "file of the config pairs, relative to the dataset's folder"),
    Column("sample_ids", pa.list_(pa.string()), "the rows of the config pairs, in order of time"),
    Column("frames_a", pa.list_(pa.int32()), "frame numbers in take a"),
    Column("frames_b", pa.list_(pa.int32()), "frame numbers in take b"),
    _real("min_confidence", "least confidence of those at or above the threshold"),
    _real("max_error_ms", "largest claimed error of those at or above the threshold, milliseconds"),
    _real("max_residual_after", "largest residual after the affine in the window"),
)
_TAKE = (
    _text("take_id", "the take; take_a and take_b of the other configs"),
    _text("utterance_id", "the take without its view: one sound serves several views"),
    _text("dataset", "name of the dataset in params.yaml"),
    _text("speaker", "who speaks"),
    _text("emotion", "emotion as acted"),
    Column("level", pa.int8(), "intensity as the corpus names it"),
    _text("view", "camera"),
    _text("take", "the take's name in the corpus"),
    _text("sentence", "what is said; null where unknown"),
    _text("sentence_method", "by what it is known: transcript, name, manifest, prior or sound"),
    Column("sentence_verified", pa.bool_(), "whether the sound confirms the sentence"),
    _text("split", "train, validation or test"),
    Column("fps", pa.float64(), "mean frame rate; null for sound alone"),
    Column("n_frames", pa.int32(), "frames of the take, 0 for sound alone"),
    Column("video_start_s", pa.float64(), "first frame, seconds on the container's clock"),
    Column("video_end_s", pa.float64(), "end of the last frame"),
    Column(
        "audio_start_s", pa.float64(), "first sample of `audio`: sample i is at this + i / 16000"
    ),
    Column("audio_end_s", pa.float64(), "end of the sound"),
    Column("audio", _FILE, "the whole sound, 16 kHz mono (FLAC)", "sound"),
)

_CLEAR_FRAME = (
    _text("image_id", "the frame: take_id/frame"),
    Column("image", _FILE, "the frame, framed (JPEG)", "image"),
    _text("emotion", "the n of D_n: as acted (filter.require_recorded), else the likeliest"),
    _text("speaker", "who is seen"),
    _text("take_id", "the take; row of the config takes"),
    Column("frame", pa.int32(), "frame number in the take"),
    Column("time_s", pa.float64(), "instant of the frame, seconds on the take's clock"),
    _text("split", "train, validation or test: that of the take"),
    *(
        _real(f"p_{emotion}", f"probability of {emotion} among the seven, by CLIP")
        for emotion in EMOTIONS
    ),
    _real("clarity", "how clear the emotion is: its probability, or that against own neutral"),
    Column("rank", pa.int32(), "place by clarity in D_n of its split, clearest 1; may have gaps"),
    Column("embedding", pa.list_(pa.float32()), "CLIP's embedding of the picture, unit length"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity of the take as the corpus names it"),
    _text("view", "camera"),
    Column("frame_to_image", _AFFINE, "2x3 by rows: the full frame to the picture"),
    _real("image_covered", "share of the picture that the camera saw; the rest is mirrored"),
)

_MADE = (
    _text("image_id", "the picture: family_id-emotion, or family_id-own for the reconstruction"),
    Column("image", _FILE, "the made picture (JPEG)", "image"),
    _text("family_id", "the family: take_id-frame; any two pictures of one are a pair"),
    _text("emotion", "what the picture is to show; of the reconstruction: as acted"),
    Column("is_reconstruction", pa.bool_(), "whether it is the source frame's reconstruction"),
    _text("speaker", "who is seen"),
    _text("take_id", "the take of the source frame; row of the config takes"),
    Column("frame", pa.int32(), "number of the source frame in the take"),
    Column("time_s", pa.float64(), "instant of the source frame, seconds on the take's clock"),
    _text("source_emotion", "emotion of the take as acted"),
    _text("split", "train, validation or test: that of the source"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity of the take as the corpus names it"),
    _text("view", "camera"),
    _real("beta", "step along the direction, in its lengths; 0 for the reconstruction"),
    _real("gaps", "the same step in distances between the classes' means"),
    _text("norm", "length of the direction: flattened (1) or per_layer (1 a row of the code)"),
    _real("mouth_open", "lip opening / eye distance, measured in this picture"),
    _real("mouth_width", "distance of the mouth's corners / eye distance"),
    _real("mouth_corner", "height of the corners over the upper lip / eye distance"),
    _real("mouth_open_difference", "to the reconstruction; of the reconstruction: to the frame"),
    _real("mouth_width_difference", "to the reconstruction; of the reconstruction: to the frame"),
    _real("mouth_corner_difference", "to the reconstruction; of the reconstruction: to the frame"),
    _real("identity", "cosine of ArcFace with the reconstruction; null: no network was given"),
    _real("clarity", "probability of `emotion` among the seven; null: no network was given"),
    _real("clarity_rise", "the same less the reconstruction's probability of that emotion"),
    _text("generator_sha256", "weights of the generator"),
    _text("encoder_sha256", "weights of the encoder"),
    _text("direction_sha256", "direction of the step; null for the reconstruction"),
    Column("frame_to_image", _AFFINE, "2x3 by rows: the source's full frame to the picture"),
)

_SEEN = (
    _text("image_id", "the frame: take_id/frame"),
    Column("image", _FILE, "the frame, framed (JPEG)", "image"),
    _text("emotion", "emotion of the take as acted"),
    _text("speaker", "who is seen"),
    _text("take_id", "the take; row of the config takes"),
    Column("frame", pa.int32(), "frame number in the take"),
    Column("time_s", pa.float64(), "instant of the frame, seconds on the take's clock"),
    _text("sentence", "what the take says; null where unknown"),
    _text("split", "train, validation or test: that of the take"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity of the take as the corpus names it"),
    _text("view", "camera"),
    _real("yaw_deg", "positive when the face turns towards the right edge of the picture"),
    _real("pitch_deg", "positive when it looks up"),
    _real("roll_deg", "positive when the head tilts clockwise as seen in the picture"),
    _real("mouth_open", "lip opening / eye distance"),
    _real("mouth_width", "distance of the mouth's corners / eye distance"),
    _real("eye_open", "opening of the lids / eye distance"),
    _real("sharpness", "spread of the Laplacian over the face"),
    Column("frame_to_image", _AFFINE, "2x3 by rows: the full frame to the picture"),
    _real("image_covered", "share of the picture that the camera saw; the rest is mirrored"),
)

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "pairs": (_text("sample_id", "the frame pair: pair_id/frame_a-frame_b"), *_PAIR, *_FRAME_PAIR),
    "sequences": (
        _text("sequence_id", "the window: pair_id/first frame_a+length"),
        *_PAIR,
        *_WINDOW,
    ),
    "takes": _TAKE,
    "emotions": _CLEAR_FRAME,
    "families": _MADE,
    "frames": _SEEN,
}


PAIR_COLUMNS = tuple(column.name for column in _PAIR)
"""The columns that say which clip pair a row belongs to, shared by pairs and sequences."""


def schema(config: str, notes: Mapping[str, str] | None = None) -> pa.Schema:
    """The Arrow schema of a config, with column docs, features and the schema version.

    Parameters
    ----------
    notes
        More to say in the file's metadata, below the prefix `spfem_data.`.
    """
    columns = COLUMNS[config]
    features = {column.name: _feature(column) for column in columns}
    metadata = {
        b"huggingface": json.dumps({"info": {"features": features}}, sort_keys=True).encode(),
        VERSION_KEY: str(SCHEMA_VERSION).encode(),
        b"spfem_data.config": config.encode(),
        **{f"spfem_data.{k}".encode(): v.encode() for k, v in sorted((notes or {}).items())},
    }
    fields = [pa.field(c.name, c.type, metadata={b"doc": c.doc.encode()}) for c in columns]
    return pa.schema(fields, metadata)


def media_columns(config: str) -> tuple[str, ...]:
    """The columns that hold pictures or sound."""
    return tuple(column.name for column in COLUMNS[config] if column.media)


def file_name(config: str, split: str, index: int, count: int) -> str:
    """Path of a shard below the dataset's folder: `data/pairs/train-00000-of-00008.parquet`."""
    return f"data/{config}/{split}-{index:05d}-of-{count:05d}.parquet"


def sample_id(pair_id: str, frame_a: int, frame_b: int) -> str:
    """The name of a frame pair, by which all configs are joined."""
    return f"{pair_id}/{frame_a:06d}-{frame_b:06d}"


def _feature(column: Column) -> dict[str, Any]:
    if column.media == "image":
        return {"_type": "Image"}
    if column.media == "sound":
        return {"sampling_rate": SOUND_HZ, "decode": False, "_type": "Audio"}
    return _plain_feature(column.type)


def _plain_feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_fixed_size_list(kind):
        return {
            "feature": _plain_feature(kind.value_type),
            "length": kind.list_size,
            "_type": "List",
        }
    if pa.types.is_list(kind):
        return {"feature": _plain_feature(kind.value_type), "_type": "List"}
    # Arrow says double and float where the features of `datasets` say float64 and float32.
    name = {"double": "float64", "float": "float32"}.get(str(kind), str(kind))
    return {"dtype": name, "_type": "Value"}
