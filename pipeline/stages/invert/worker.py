"""Invert one take: the worker of the stage `invert`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.digests import sha256_of
from pipeline.errors import Reject
from pipeline.latents.codes import CODES
from pipeline.latents.face_quads import chosen_frames, crops_of, decoded, image_of, squares
from pipeline.latents.mouths import MEASURES, mouth_of
from pipeline.latents.networks import F32, U8, Networks, brought_to, cosines, pixel_errors
from pipeline.params import Invert
from pipeline.records import CODES_SCHEMA, Clip, InvertedTake, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_table
from pipeline.runtime.units import UnitResult
from pipeline.takes.frame_file import F64, read_columns

GRAIN = "take"
_COLUMNS = ("time_s", "duration_s", "landmarks")
_BATCH = 64  # images in memory at a time, independent of the networks' batch size


@dataclass(frozen=True)
class InvertJob:
    """The worker's input: one take and the path of its frames."""

    clip: Clip
    split: str | None
    frames_file: Path
    section: Invert
    sha256: tuple[str, str]
    """Of the encoder's and the generator's weights."""


@dataclass(frozen=True)
class _Chosen:
    """The frames to invert: numbers (n,), instants (n,), squares (n, 4, 2) and mouths (n, 3)."""

    frames: NDArray[np.int64]
    times_s: F64
    quads: F64
    mouths: F64


def invert_take(nets: Networks, store: ItemStore, unit: str, job: InvertJob) -> UnitResult:
    """Codes of the chosen frames of one take, and the error of each reconstruction."""
    try:
        chosen = _chosen(job)
    except Reject as reject:
        return UnitResult(rejects=[rejected("invert", GRAIN, unit, reject.reason, reject.detail)])
    codes, errors = _invert(nets, job, chosen)
    verdicts = _verdicts(errors, job.section)
    table = _table(chosen, codes, errors, verdicts)
    write_table(store.path(unit, CODES), table)
    row = _summary(nets, job, errors, verdicts, sha256_of(store.path(unit, CODES)))
    rejects = []
    if row["n_kept"] == 0:
        worst = Counter(verdicts).most_common(1)[0]
        detail = f"{worst[1]} of {len(verdicts)} frames have {worst[0].replace('_', ' ')}"
        rejects = [rejected("invert", GRAIN, unit, "poor_inversion", detail)]
    return UnitResult([CODES], {"inverted": [] if rejects else [row]}, rejects)


def _chosen(job: InvertJob) -> _Chosen:
    if not job.clip.has_video:
        raise Reject("audio_only", "the take has no video")
    columns = read_columns(job.frames_file, _COLUMNS)
    landmarks = columns["landmarks"]
    frames = chosen_frames(np.isfinite(landmarks[:, 0, 0]), job.section.frames_per_take)
    if len(frames) == 0:
        raise Reject("no_face", f"none of {len(landmarks)} frames has a face")
    section = job.section
    times_s = columns["time_s"] + columns["duration_s"] / 2
    return _Chosen(
        frames,
        times_s[frames],
        squares(section.framing, landmarks, section.smooth_square_frames)[frames],
        np.array([mouth_of(points) for points in landmarks[frames]]),
    )


def _invert(nets: Networks, job: InvertJob, chosen: _Chosen) -> tuple[F32, dict[str, F32 | None]]:
    """Codes (n, n_latent, dim) and the errors of their reconstructions."""
    smooth_s = job.section.smooth_codes_s
    if smooth_s == 0:
        parts = []
        for _, images in _images(nets, job, chosen):
            codes = nets.encode(images)
            parts.append((codes, _errors(nets, images, codes)))
        return np.concatenate([codes for codes, _ in parts]), _joined([e for _, e in parts])
    codes = np.concatenate([nets.encode(images) for _, images in _images(nets, job, chosen)])
    codes = smoothed(codes, chosen.times_s, smooth_s)
    errors = [_errors(nets, pics, codes[some]) for some, pics in _images(nets, job, chosen)]
    return codes, _joined(errors)


def _images(nets: Networks, job: InvertJob, chosen: _Chosen) -> Iterator[tuple[slice, list[U8]]]:
    """Indices among the chosen frames and their images at the encoder's input size."""
    for start in range(0, len(chosen.frames), _BATCH):
        some = slice(start, start + _BATCH)
        crops = crops_of(job.frames_file, chosen.frames[some])
        yield (
            some,
            [
                image_of(job.section.framing, decoded(crop), job.clip, quad, nets.input_px)
                for crop, quad in zip(crops, chosen.quads[some], strict=True)
            ],
        )


def smoothed(codes: F32, times_s: F64, width_s: float) -> F32:
    """Codes (n, ...) averaged over time with a Gaussian of that full width at half maximum."""
    sigma_s = width_s / 2.3548
    weight = np.exp(-0.5 * ((times_s[:, None] - times_s[None, :]) / sigma_s) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    flat = weight @ codes.reshape(len(codes), -1).astype(np.float64)
    return np.asarray(flat.reshape(codes.shape), dtype=np.float32)


def _errors(nets: Networks, sources: Sequence[U8], codes: F32) -> dict[str, F32 | None]:
    """Errors of the reconstructions, at the smaller of the source's and the generator's sizes."""
    made = nets.generate(codes)
    side = min(made[0].shape[0], sources[0].shape[0])
    a, b = brought_to(sources, side), brought_to(made, side)
    faces_a, faces_b = nets.embed(a), nets.embed(b)
    return {
        "pixel_error": pixel_errors(a, b),
        "perceptual_error": nets.unlike(a, b),
        "identity": None if faces_a is None or faces_b is None else cosines(faces_a, faces_b),
    }


def _joined(parts: Sequence[dict[str, F32 | None]]) -> dict[str, F32 | None]:
    def column(name: str) -> F32 | None:
        values = [v for part in parts if (v := part[name]) is not None]
        return np.concatenate(values) if values else None

    return {name: column(name) for name in parts[0]}


def _verdicts(errors: dict[str, F32 | None], section: Invert) -> list[str]:
    """The verdict on each frame; a limit of 0 (for identity -1) means no limit."""
    pixel, features, identity = errors.values()
    assert pixel is not None
    verdicts = np.full(len(pixel), "kept", dtype=object)
    if identity is not None:
        verdicts[identity < section.min_identity] = "other_identity"
    if features is not None and section.max_perceptual_error:
        verdicts[features > section.max_perceptual_error] = "unlike_features"
    if section.max_pixel_error:
        verdicts[pixel > section.max_pixel_error] = "large_error"
    return [str(verdict) for verdict in verdicts]


def _table(
    chosen: _Chosen, codes: F32, errors: dict[str, F32 | None], verdicts: list[str]
) -> pa.Table:
    columns: dict[str, Any] = {
        "frame": chosen.frames,
        "time_s": chosen.times_s,
        "quad": list(chosen.quads.reshape(-1, 8)),
        "code": list(codes.reshape(len(codes), -1)),
        "verdict": verdicts,
        **{name: chosen.mouths[:, k] for k, name in enumerate(MEASURES)},
        **{name: [None] * len(codes) if e is None else e for name, e in errors.items()},
    }
    arrays = [pa.array(columns[field.name], field.type) for field in CODES_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=CODES_SCHEMA)


def _summary(
    nets: Networks,
    job: InvertJob,
    errors: dict[str, F32 | None],
    verdicts: list[str],
    codes_sha256: str,
) -> dict[str, Any]:
    kept = np.array(verdicts) == "kept"

    def median(name: str) -> float | None:
        values = errors[name]
        return None if values is None or not kept.any() else float(np.median(values[kept]))

    clip = job.clip
    same = ("take_id", "dataset", "speaker", "emotion", "level", "view")
    return InvertedTake(
        **{name: getattr(clip, name) for name in same},
        split=job.split,
        n_frames=clip.n_frames,
        n_asked=len(kept),
        n_kept=int(kept.sum()),
        n_rejected=int((~kept).sum()),
        pixel_error=median("pixel_error"),
        perceptual_error=median("perceptual_error"),
        identity=median("identity"),
        framing=job.section.framing,
        n_latent=nets.n_latent,
        dim=nets.dim,
        encoder_sha256=job.sha256[0],
        generator_sha256=job.sha256[1],
        codes_sha256=codes_sha256,
    ).to_row()
