"""The columns of the shards and their meaning.

Files follow the conventions of Hugging Face datasets (images as struct<bytes, path>, features in
the schema's metadata), so `datasets`, duckdb, polars and the Hub's viewer read them without this
package. A change of a column's name, type or meaning raises `SCHEMA_VERSION`.
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
AUDIO_HZ = 16000
MAX_AUDIO_S = 6 * 3600
"""Limit for a take's audio; `extract.max_duration_s` is at most this."""

_FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_AFFINE = pa.list_(pa.float64(), 6)


@dataclass(frozen=True)
class Column:
    """One column: `media` is image or audio for a struct<bytes, path>."""

    name: str
    type: pa.DataType
    doc: str
    media: str | None = None


def _text(name: str, doc: str) -> Column:
    return Column(name, pa.string(), doc)


def _real(name: str, doc: str) -> Column:
    return Column(name, pa.float32(), doc)


_PAIR = (
    _text("pair_id", "the clip pair: take a and take b"),
    _text("dataset", "name of the dataset in params.yaml"),
    _text("speaker", "speaker of both takes"),
    _text("view", "camera of both takes"),
    _text("sentence", "sentence of both takes"),
    _text("split", "train, validation or test: assigned by name, before anything is fitted"),
    _text("take_a", "the anchor take; take_id in the config takes"),
    _text("take_b", "the other take; take_id in the config takes"),
    _text("emotion_a", "acted emotion of take a (neutral by default)"),
    _text("emotion_b", "acted emotion of take b"),
    Column("level_a", pa.int8(), "intensity level of take a in the corpus"),
    Column("level_b", pa.int8(), "intensity level of take b in the corpus"),
    _text(
        "sentence_method",
        "source of the sentence: transcript, name, manifest, prior or audio",
    ),
    _real("sentence_score", "audio distance along the time map; smaller is more similar"),
    _text("odd_span", "most likely extra word of one take: only_in_a, twice_in_b, ..."),
    _real("odd_span_score", "evidence for the extra word; suspicious from 1"),
    _real("length_ratio", "duration of the speech in b / in a"),
    _real("coverage", "frame pairs / frames of the shorter take"),
    _real(
        "mouth_agreement",
        "correlation of the fast mouth movements along the time map, over the clip",
    ),
    _real("sync_a_ms", "delay of a's image against its audio that the pairing corrects; + is late"),
    _real("sync_b_ms", "the same for b"),
    _real(
        "sync_error_ms",
        "standard error of the two images against each other; null: not measured",
    ),
)
_FRAME_PAIR = (
    Column("frame_a", pa.int32(), "frame number in take a"),
    Column("frame_b", pa.int32(), "frame number in take b"),
    Column("time_a_s", pa.float64(), "middle of the frame, seconds on take a's clock"),
    Column("time_b_s", pa.float64(), "middle of the frame, seconds on take b's clock"),
    _real("confidence", "confidence that both frames show the same instant of speech, 0 to 1"),
    _real("error_ms", "estimated time error of the pairing, milliseconds"),
    _real("run_ms", "longest flat run of the time map near the frame, milliseconds"),
    _real("slope", "local tempo of b / tempo of a"),
    _real("contrast", "how much worse neighbouring pairings match"),
    Column("speech_a", pa.bool_(), "whether a's audio speaks at this moment"),
    Column("speech_b", pa.bool_(), "whether b's audio speaks at this moment"),
    _real(
        "mouth_gap",
        "difference of the mouths' faster movements within 80 ms, in eye distances; null: unknown",
    ),
    _real(
        "residual_before", "RMS distance of the stable landmarks before the affine / eye distance"
    ),
    _real("residual_after", "the same after the affine"),
    _real("yaw_difference_deg", "b minus a; a 2-D affine cannot correct this"),
    _real("pitch_difference_deg", "b minus a; a 2-D affine cannot correct this"),
    _real("mouth_open_a", "lip opening / eye distance in the frame of a"),
    _real("mouth_open_b", "lip opening / eye distance in the frame of b"),
    _real("mouth_difference", "mouth_open_b minus mouth_open_a"),
    Column("affine", _AFFINE, "2x3, row by row: b's framed image to a's, pixel-edge coordinates"),
    Column("frame_to_source", _AFFINE, "2x3, row by row: a's full frame to the source image"),
    Column("frame_to_target", _AFFINE, "2x3, row by row: b's full frame to the target image"),
    Column(
        "valid_a",
        pa.list_(pa.float64(), 4),
        "left, top, right, bottom of the known part of a's frame",
    ),
    Column(
        "valid_b",
        pa.list_(pa.float64(), 4),
        "left, top, right, bottom of the known part of b's frame",
    ),
    _real("source_covered", "share of the source image inside valid_a; the rest is mirrored"),
    _real("target_covered", "share of the target image inside valid_b; the rest is mirrored"),
    Column("source", _FILE, "frame of take a, framed (JPEG)", "image"),
    Column(
        "target", _FILE, "frame of take b, aligned to a by the affine, same framing (JPEG)", "image"
    ),
)
_WINDOW = (
    Column("rows", pa.list_(pa.int64()), "rows of `file` in the window, in time order"),
    Column("weights", pa.list_(pa.float32()), "confidence of each pair; 0 below the threshold"),
    Column("length", pa.int32(), "frame pairs in the window"),
    _text("file", "file of the config pairs, relative to the dataset's folder"),
    Column("sample_ids", pa.list_(pa.string()), "sample_id of each pair, in time order"),
    Column("frames_a", pa.list_(pa.int32()), "frame numbers in take a"),
    Column("frames_b", pa.list_(pa.int32()), "frame numbers in take b"),
    _real("min_confidence", "lowest confidence at or above the threshold"),
    _real("max_error_ms", "largest estimated error at or above the threshold, milliseconds"),
    _real("max_residual_after", "largest residual_after in the window"),
)
_TAKE = (
    _text("take_id", "the take; take_a and take_b in the other configs"),
    _text("utterance_id", "the take without its view; all views share one audio track"),
    _text("dataset", "name of the dataset in params.yaml"),
    _text("speaker", "speaker of the take"),
    _text("emotion", "acted emotion"),
    Column("level", pa.int8(), "intensity level in the corpus"),
    _text("view", "camera"),
    _text("take", "the take's name in the corpus"),
    _text("sentence", "sentence; null if unknown"),
    _text(
        "sentence_method",
        "source of the sentence: transcript, name, manifest, prior or audio",
    ),
    Column("sentence_verified", pa.bool_(), "whether the audio confirms the sentence"),
    _text("split", "train, validation or test"),
    Column("fps", pa.float64(), "mean frame rate; null for audio only"),
    Column("n_frames", pa.int32(), "number of frames; 0 for audio only"),
    Column("video_start_s", pa.float64(), "start of the first frame, seconds on the media clock"),
    Column("video_end_s", pa.float64(), "end of the last frame"),
    Column(
        "audio_start_s",
        pa.float64(),
        "time of the first sample; sample i is at this + i / 16000",
    ),
    Column("audio_end_s", pa.float64(), "end of the audio"),
    _real(
        "sync_ms",
        "delay of the image against the audio, measured and corrected in pairs; + is late",
    ),
    _real("sync_error_ms", "standard error of the image's time after that; null: unknown"),
    Column("audio", _FILE, "the whole audio, 16 kHz mono (FLAC)", "audio"),
)

_CLEAR_FRAME = (
    _text("image_id", "the frame: take_id/frame"),
    Column("image", _FILE, "the framed image (JPEG)", "image"),
    _text("emotion", "the emotion n of D_n: acted (filter.require_recorded) or most probable"),
    _text("speaker", "speaker in the image"),
    _text("take_id", "the take; take_id in the config takes"),
    Column("frame", pa.int32(), "frame number in the take"),
    Column("time_s", pa.float64(), "middle of the frame, seconds on the take's clock"),
    _text("split", "split of the take: train, validation or test"),
    *(
        _real(f"p_{emotion}", f"CLIP's probability of {emotion} among the seven")
        for emotion in EMOTIONS
    ),
    _real("clarity", "clarity of the emotion: its probability, or relative to own neutral"),
    Column("rank", pa.int32(), "rank by clarity in D_n of its split, 1: clearest; may have gaps"),
    Column("embedding", pa.list_(pa.float32()), "CLIP's embedding of the image, unit length"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity level of the take in the corpus"),
    _text("view", "camera"),
    Column("frame_to_image", _AFFINE, "2x3, row by row: the full frame to the image"),
    _real("image_covered", "share of the image inside the video frame; the rest is mirrored"),
)

_FAMILY_IMAGE = (
    _text("image_id", "the image: family_id-emotion, or family_id-own for the reconstruction"),
    Column("image", _FILE, "the synthetic image (JPEG)", "image"),
    _text("family_id", "the family: take_id-frame; any two of its images are a pair"),
    _text("emotion", "target emotion; for the reconstruction: the acted one"),
    Column("is_reconstruction", pa.bool_(), "whether it is the reconstruction of the source frame"),
    _text("speaker", "speaker in the image"),
    _text("take_id", "the take of the source frame; take_id in the config takes"),
    Column("frame", pa.int32(), "number of the source frame in the take"),
    Column("time_s", pa.float64(), "middle of the source frame, seconds on the take's clock"),
    _text("source_emotion", "acted emotion of the take"),
    _text("split", "split of the source: train, validation or test"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity level of the take in the corpus"),
    _text("view", "camera"),
    _real("beta", "step along the direction, in units of its length; 0 for the reconstruction"),
    _real("gaps", "the same step, in units of the distance between the class means"),
    _text("norm", "normalised to length 1: flattened (all rows together) or per_layer (each row)"),
    _real("mouth_open", "lip opening / eye distance, measured in this image"),
    _real("mouth_width", "distance between the mouth corners / eye distance"),
    _real("mouth_corner", "height of the mouth corners above the upper lip / eye distance"),
    _real(
        "mouth_open_difference",
        "minus the reconstruction's; for the reconstruction: minus the frame's",
    ),
    _real(
        "mouth_width_difference",
        "minus the reconstruction's; for the reconstruction: minus the frame's",
    ),
    _real(
        "mouth_corner_difference",
        "minus the reconstruction's; for the reconstruction: minus the frame's",
    ),
    _real("identity", "ArcFace cosine with the reconstruction; null without the network"),
    _real("clarity", "probability of `emotion` among the seven; null without the network"),
    _real("clarity_rise", "clarity minus the reconstruction's probability of that emotion"),
    _text("generator_sha256", "SHA-256 of the generator's weights"),
    _text("encoder_sha256", "SHA-256 of the encoder's weights"),
    _text("direction_sha256", "SHA-256 of the direction; null for the reconstruction"),
    Column("frame_to_image", _AFFINE, "2x3, row by row: the source's full frame to the image"),
)

_FRAME = (
    _text("image_id", "the frame: take_id/frame"),
    Column("image", _FILE, "the framed image (JPEG)", "image"),
    _text("emotion", "acted emotion of the take"),
    _text("speaker", "speaker in the image"),
    _text("take_id", "the take; take_id in the config takes"),
    Column("frame", pa.int32(), "frame number in the take"),
    Column("time_s", pa.float64(), "middle of the frame, seconds on the take's clock"),
    _text("sentence", "sentence of the take; null if unknown"),
    _text("split", "split of the take: train, validation or test"),
    _text("dataset", "name of the dataset in params.yaml"),
    Column("level", pa.int8(), "intensity level of the take in the corpus"),
    _text("view", "camera"),
    _real("yaw_deg", "positive if the face turns towards the right edge of the image"),
    _real("pitch_deg", "positive if the face looks up"),
    _real("roll_deg", "positive if the head tilts clockwise in the image"),
    _real("mouth_open", "lip opening / eye distance"),
    _real("mouth_width", "distance between the mouth corners / eye distance"),
    _real("eye_open", "eyelid opening / eye distance"),
    _real("sharpness", "variance of the Laplacian over the face"),
    Column("frame_to_image", _AFFINE, "2x3, row by row: the full frame to the image"),
    _real("image_covered", "share of the image inside the video frame; the rest is mirrored"),
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
    "families": _FAMILY_IMAGE,
    "frames": _FRAME,
}


PAIR_COLUMNS = tuple(column.name for column in _PAIR)
"""The columns of the clip pair, in both configs pairs and sequences."""


def schema(config: str, notes: Mapping[str, str] | None = None) -> pa.Schema:
    """The Arrow schema of a config, with column docs, features and schema version.

    Parameters
    ----------
    notes
        Further metadata of the file; keys get the prefix `spfem_data.`.
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
    """The columns that contain images or audio."""
    return tuple(column.name for column in COLUMNS[config] if column.media)


def file_name(config: str, split: str, index: int, count: int) -> str:
    """Path of a shard in the dataset's folder: `data/pairs/train-00000-of-00008.parquet`."""
    return f"data/{config}/{split}-{index:05d}-of-{count:05d}.parquet"


def sample_id(pair_id: str, frame_a: int, frame_b: int) -> str:
    """The id of a frame pair, which joins the configs."""
    return f"{pair_id}/{frame_a:06d}-{frame_b:06d}"


def _feature(column: Column) -> dict[str, Any]:
    if column.media == "image":
        return {"_type": "Image"}
    if column.media == "audio":
        return {"sampling_rate": AUDIO_HZ, "decode": False, "_type": "Audio"}
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
    # Arrow's double and float are float64 and float32 in `datasets`.
    name = {"double": "float64", "float": "float32"}.get(str(kind), str(kind))
    return {"dtype": name, "_type": "Value"}
