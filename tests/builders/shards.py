"""Small shards with all configs, whose images and audio encode their row.

An image shows the speaker (colour of the background, texture of the cheeks), the sentence (opening
of the white mouth) and the emotion (grey of the stripe above the eyes). The audio is as loud as the
mouth is open.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import soundfile
from numpy.typing import NDArray

from pipeline.stages.shards.worker import write_shard
from spfem_data.schema import COLUMNS, file_name, sample_id, schema

PX, FRAMES, FPS = 48, 12, 25
SEVEN = ("neutral", "happy", "angry", "surprised", "fear", "sad", "disgusted")
SPEAKERS = ("S1", "S2", "S3")
SENTENCES = ("u1", "u2", "u3")
GROUNDS = {"S1": (190, 120, 90), "S2": (90, 150, 190), "S3": (120, 190, 110)}


def opening(sentence: str, frame: int) -> float:
    """Opening of the mouth, 0 to 1, as a function of the sentence."""
    number = SENTENCES.index(sentence)
    return float(0.5 + 0.5 * np.sin(2.1 * number + (0.6 + 0.5 * number) * frame))


def face(speaker: str, emotion: str, mouth: float, seed: int = 0) -> NDArray[np.uint8]:
    """(48, 48, 3) RGB."""
    image = np.empty((PX, PX, 3), np.float32)
    image[:] = GROUNDS[speaker]
    marks = np.random.default_rng(SPEAKERS.index(speaker)).uniform(-50, 50, (14, 4, 3))
    image[14:42, 2:10] += marks.repeat(2, 0).repeat(2, 1)  # the speaker's texture, on both cheeks
    image[14:42, 38:46] += marks[::-1].repeat(2, 0).repeat(2, 1)
    y, x = np.mgrid[:PX, :PX]
    image[((y - 20) ** 2 < 9) & ((abs(x - 24) - 9) ** 2 < 9)] = 20
    grey = 30 + 30 * SEVEN.index(emotion)
    image[6:11, 10:38] = grey
    image[12:14, 10 + 2 * SEVEN.index(emotion) : 24 + 2 * SEVEN.index(emotion)] = 255 - grey
    image[((x - 24) / 9) ** 2 + ((y - 36) / (1 + 8 * mouth)) ** 2 < 1] = 245
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """At a quality that keeps what the tests read back."""
    return bytes(simplejpeg.encode_jpeg(image, 95, "RGB", colorsubsampling="444"))


def audio(sentence: str) -> bytes:
    """FLAC, 16 kHz: a tone as loud as the mouth is open."""
    n = FRAMES * 16000 // FPS
    loud = [opening(sentence, f) for f in range(FRAMES)]
    samples = np.repeat(loud, n // FRAMES) * np.sin(np.arange(n) * 2 * np.pi * 440 / 16000) * 0.8
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="FLAC")
    return file.getvalue()


def blank(config: str) -> dict[str, Any]:
    """A row with a value of the right type in every column."""
    row: dict[str, Any] = {}
    for column in COLUMNS[config]:
        kind = str(column.type)
        if column.media:
            row[column.name] = {"bytes": b"", "path": ""}
        elif kind == "string":
            row[column.name] = "x"
        elif kind.startswith("fixed_size_list"):
            row[column.name] = [0.0] * column.type.list_size
        elif kind.startswith("list"):
            row[column.name] = []
        elif kind == "bool":
            row[column.name] = False
        else:
            row[column.name] = 0
    return row


def take_id(speaker: str, emotion: str, sentence: str) -> str:
    """Id of a take."""
    return f"{speaker}_{emotion}_{sentence}"


def pair_rows(speaker: str, emotion: str, sentence: str) -> list[dict[str, Any]]:
    """Frame pairs of neutral and an emotion: frame k with frame k, confidence k / 12."""
    a, b = take_id(speaker, "neutral", sentence), take_id(speaker, emotion, sentence)
    rows = []
    for k in range(FRAMES):
        mouth = opening(sentence, k)
        seed = sum(f"{b}{k}".encode())
        rows.append(
            blank("pairs")
            | {
                "sample_id": sample_id(f"{a}+{b}", k, k), "pair_id": f"{a}+{b}", "split": "train",
                "speaker": speaker, "sentence": sentence, "take_a": a, "take_b": b,
                "emotion_a": "neutral", "emotion_b": emotion, "frame_a": k, "frame_b": k,
                "view": "front", "time_a_s": (k + 0.5) / FPS, "time_b_s": (k + 0.5) / FPS,
                "confidence": k / FRAMES, "mouth_open_a": mouth, "mouth_open_b": mouth,
                "mouth_agreement": None if emotion == "sad" else 0.9,
                "source": {"bytes": jpeg(face(speaker, "neutral", mouth, seed)), "path": "a"},
                "target": {"bytes": jpeg(face(speaker, emotion, mouth, seed + 1)), "path": "b"},
            }
        )  # fmt: skip
    return rows


def window_rows(file: str, rows: Sequence[dict[str, Any]], length: int) -> list[dict[str, Any]]:
    """All windows over the rows of one file."""
    windows = []
    for k in range(len(rows) - length + 1):
        part = rows[k : k + length]
        if part[0]["pair_id"] == part[-1]["pair_id"]:
            common = {name: part[0][name] for name in ("pair_id", "speaker", "emotion_b")}
            windows.append(
                blank("sequences") | common
                | {
                    "rows": list(range(k, k + length)), "file": file, "length": length,
                    "weights": [row["confidence"] for row in part],
                    "sample_ids": [row["sample_id"] for row in part],
                    "min_confidence": part[0]["confidence"],
                }
            )  # fmt: skip
    return windows


def write(
    folder: Path, config: str, files: Sequence[Sequence[dict[str, Any]]], group: int = 10
) -> None:
    """Write the files of the split train."""
    for number, rows in enumerate(files):
        path = folder / file_name(config, "train", number, len(files))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, schema(config), config, rows, group)


def write_pairs(folder: Path, emotions: Sequence[str] = SEVEN[1:], files: int = 2) -> None:
    """The configs pairs, sequences (windows of 5) and takes."""
    clips = [
        (speaker, emotion, sentence)
        for speaker in SPEAKERS
        for emotion in emotions
        for sentence in SENTENCES
    ]
    parts = [[row for c in clips[n::files] for row in pair_rows(*c)] for n in range(files)]
    write(folder, "pairs", parts)
    names = [file_name("pairs", "train", n, files) for n in range(files)]
    windows = [
        w for name, part in zip(names, parts, strict=True) for w in window_rows(name, part, 5)
    ]
    write(folder, "sequences", [windows])
    takes = [
        blank("takes")
        | {
            "take_id": take_id(speaker, emotion, sentence), "speaker": speaker, "emotion": emotion,
            "sentence": sentence, "split": "train", "n_frames": FRAMES,
            "audio": {"bytes": audio(sentence), "path": "s"}, "audio_start_s": 0.0,
            "audio_end_s": FRAMES / FPS,
        }
        for speaker in SPEAKERS for emotion in ("neutral", *emotions) for sentence in SENTENCES
    ]  # fmt: skip
    write(folder, "takes", [takes], 7)


def embedding(emotion: str, seed: int) -> list[float]:
    """A unit vector near its emotion's own axis."""
    vector = np.random.default_rng(seed).normal(0, 0.1, 8)
    vector[SEVEN.index(emotion)] += 1
    return (vector / np.linalg.norm(vector)).astype(np.float32).tolist()


def still_rows(config: str, per_take: int = 3) -> list[dict[str, Any]]:
    """Single frames of all takes: the configs `frames` and `emotions`."""
    rows = []
    for speaker in SPEAKERS:
        for emotion in SEVEN:
            for sentence in SENTENCES:
                for frame in range(0, FRAMES, FRAMES // per_take):
                    name = f"{take_id(speaker, emotion, sentence)}/{frame:06d}"
                    image = face(speaker, emotion, opening(sentence, frame), sum(name.encode()))
                    row = blank(config) | {
                        "image_id": name, "image": {"bytes": jpeg(image), "path": "i"},
                        "speaker": speaker, "emotion": emotion, "frame": frame, "split": "train",
                        "take_id": take_id(speaker, emotion, sentence), "view": "front",
                        "time_s": (frame + 0.5) / FPS, "mouth_open": opening(sentence, frame),
                    }  # fmt: skip
                    known = {column.name for column in COLUMNS[config]}
                    if config == "emotions":
                        row["embedding"] = embedding(emotion, sum(name.encode()))
                    rows.append({key: value for key, value in row.items() if key in known})
    return rows


def write_stills(folder: Path) -> None:
    """The configs `frames` and `emotions`; each emotion has another number of the latter."""
    rows = still_rows("frames")
    write(folder, "frames", [rows[::2], rows[1::2]])
    clear = [
        row for emotion in SEVEN
        for row in [r for r in still_rows("emotions") if r["emotion"] == emotion][
            : 5 + 2 * SEVEN.index(emotion)
        ]
    ]  # fmt: skip
    write(folder, "emotions", [clear])


def write_families(folder: Path, px: int = PX) -> None:
    """Families of three images each: the same mouth in three emotions."""
    rows = []
    for speaker in SPEAKERS:
        for frame in range(6):
            family = f"{take_id(speaker, 'neutral', 'u1')}-{frame:06d}"
            for emotion in ("neutral", "happy", "sad"):
                image = face(speaker, emotion, opening("u1", frame), frame)
                rows.append(
                    blank("families")
                    | {
                        "image_id": f"{family}-{emotion}", "family_id": family, "speaker": speaker,
                        "image": {"bytes": jpeg(image[:px, :px]), "path": "i"},
                        "emotion": emotion, "is_reconstruction": emotion == "neutral",
                        "split": "train", "frame": frame,
                    }
                )  # fmt: skip
    write(folder, "families", [rows], 8)


def write_everything(folder: Path) -> None:
    """All configs."""
    write_pairs(folder)
    write_stills(folder)
    write_families(folder)
