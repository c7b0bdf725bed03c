"""Rows of a take's families: all images, kept families, and rejects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.digests import digest
from pipeline.faces.affine import F64
from pipeline.faces.framing import quad_framing
from pipeline.faces.sampling import to_pixel_centres
from pipeline.latents.face_quads import crop_from_image, decoded
from pipeline.latents.mouths import MEASURES
from pipeline.records import MadeFamily, Rejected, rejected
from pipeline.stages.synth.family import (
    GRAIN,
    TARGET_EMOTIONS,
    Made,
    MakeJob,
    Sources,
    length_of_gap,
)
from pipeline.takes.framed_images import encode
from spfem_data.labels import EMOTIONS

U8 = NDArray[np.uint8]

_RIM = 0.12  # of the image's side, over which it blends into the crop


def composed(crop: U8, image: U8, image_to_crop: F64) -> U8:
    """The stored crop (h, w, 3) with the image (s, s, 3) pasted in and blended at its border.

    Parameters
    ----------
    image_to_crop
        (2, 3) on pixel-edge coordinates.
    """
    height, width = crop.shape[:2]
    matrix = to_pixel_centres(image_to_crop)
    laid = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    share = cv2.warpAffine(_mask(image.shape[0]), matrix, (width, height))[..., None]
    mixed = crop + share * (laid.astype(np.float32) - crop)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _mask(size_px: int) -> NDArray[np.float32]:
    """(size_px, size_px): 1 in the middle, falling smoothly to 0 at the border."""
    middles = (np.arange(size_px) + 0.5) / size_px
    depth = np.clip(np.minimum(middles, 1 - middles) / _RIM, 0, 1)
    ramp = depth * depth * (3 - 2 * depth)
    return np.asarray(np.outer(ramp, ramp), dtype=np.float32)


BLOBS = ("image", "composed")


def rows_of(
    job: MakeJob, sources: Sources, made: Sequence[Made]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Rejected]]:
    """Rows of all images and of kept families, and the rejects of both."""
    rebuilt = _reconstructions(job, sources)
    rows, families, rejects = [], [], []
    for k, frame in enumerate(sources.frames):
        theirs = [rebuilt[k], *(one for one in made if one.family == k)]
        name = f"{job.clip.take_id}-{frame:06d}"
        rejects += [_lost_image(name, one) for one in theirs[1:] if one.verdict != "kept"]
        rejects += [
            rejected("synth", "image", f"{name}/{emotion}", "no_direction", "see directions")
            for emotion in TARGET_EMOTIONS
            if emotion not in job.directions
        ]
        n_kept = sum(one.verdict == "kept" for one in theirs[1:])
        kept = rebuilt[k].verdict == "kept" and n_kept >= job.section.min_images
        own = [_row(job, sources, one, name, kept) for one in theirs if one.image is not None]
        rows += own
        if kept:
            families.append(_family(job, name, frame, own, n_kept))
        else:
            rejects.append(_lost_family(job, name, rebuilt[k], n_kept, len(theirs) - 1))
    return rows, families, rejects


def _reconstructions(job: MakeJob, sources: Sources) -> list[Made]:
    """Rows of the reconstructions."""
    place = EMOTIONS.index(job.clip.emotion)
    found = []
    for k, rebuilt in enumerate(sources.rebuilt):
        seen = np.isfinite(sources.mouths[k]).all()
        clear = None if sources.clarities is None else float(sources.clarities[k, place])
        verdict = "kept" if seen else "no_face_made"
        one = Made(k, job.clip.emotion, 0.0, np.empty(0), 1, rebuilt, sources.mouths[k])
        one.clarity, one.rise, one.verdict = clear, None, verdict
        found.append(one)
    return found


def _lost_image(name: str, one: Made) -> Rejected:
    detail = f"mouth {_measured_text(one.mouth)} at {one.gaps:.2f} class gaps, try {one.tries}"
    return rejected("synth", "image", f"{name}/{one.emotion}", one.verdict, detail)


def _measured_text(mouth: F64) -> str:
    return ", ".join(f"{n[6:]} {v:.3f}" for n, v in zip(MEASURES, mouth, strict=True))


def _lost_family(job: MakeJob, name: str, rebuilt: Made, n_kept: int, n_made: int) -> Rejected:
    if rebuilt.verdict != "kept":
        detail = "in the reconstruction"
        return rejected("synth", GRAIN, name, rebuilt.verdict, detail)
    detail = f"{n_kept} of {n_made}, synth.min_images is {job.section.min_images}"
    return rejected("synth", GRAIN, name, "few_images", detail)


def _row(job: MakeJob, sources: Sources, one: Made, name: str, family_kept: bool) -> dict[str, Any]:
    clip, section, k = job.clip, job.section, one.family
    rebuilt = one.gaps == 0
    direction = None if rebuilt else job.directions[one.emotion]
    before = sources.source_mouths[k] if rebuilt else sources.mouths[k]
    assert one.image is not None
    size = one.image.shape[0]
    back = None
    if section.compose_back:
        crop = decoded(sources.crops[k])
        matrix = crop_from_image(clip, crop.shape[1], sources.quads[k], size)
        back = encode(composed(crop, one.image, matrix), section.jpeg_quality)
    return {
        "family_id": name,
        "take_id": clip.take_id,
        "frame": sources.frames[k],
        "time_s": sources.times_s[k],
        "dataset": clip.dataset,
        "speaker": clip.speaker,
        "source_emotion": clip.emotion,
        "level": clip.level,
        "view": clip.view,
        "split": job.take.split,
        "emotion": one.emotion,
        "is_reconstruction": rebuilt,
        "norm": next((d.norm for d in job.directions.values()), "flattened"),
        "beta": 0.0 if direction is None else one.gaps * length_of_gap(section, direction),
        "gaps": one.gaps,
        "tries": one.tries,
        **{m: _number(v) for m, v in zip(MEASURES, one.mouth, strict=True)},
        **{
            f"{m}_difference": _number(v)
            for m, v in zip(MEASURES, one.mouth - before, strict=True)
        },
        "identity": one.identity,
        "clarity": one.clarity,
        "clarity_rise": one.rise,
        "verdict": one.verdict,
        "family_kept": family_kept,
        "frame_to_image": quad_framing(sources.quads[k], size).ravel().tolist(),
        "generator_sha256": job.take.generator_sha256,
        "encoder_sha256": job.take.encoder_sha256,
        "direction_sha256": None if direction is None else direction.direction_sha256,
        "image": encode(one.image, section.jpeg_quality),
        "composed": back,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _sha256(image: bytes | None) -> str | None:
    return None if image is None else hashlib.sha256(image).hexdigest()


def _family(
    job: MakeJob, name: str, frame: int, rows: Sequence[dict[str, Any]], n_kept: int
) -> dict[str, Any]:
    told = [{k: _sha256(v) if k in BLOBS else v for k, v in row.items()} for row in rows]
    return MadeFamily(
        family_id=name,
        take_id=job.clip.take_id,
        frame=frame,
        speaker=job.clip.speaker,
        split=job.take.split,
        n_images=len(rows),
        n_kept=n_kept,
        rows_sha256=digest(told),
    ).to_row()
