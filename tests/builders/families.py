"""Families as synth leaves them, of the dataset `made`: drawn images, measures as told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from pipeline.records import FAMILIES_SCHEMA, Clip, Direction, InvertedTake, MadeFamily, MadeImage
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, write_rows, write_table
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.dataset import CROP_SIDE

FRAMES = (2, 9)
SIZE_PX = 64


def _image(emotion: str, frame: int) -> bytes:
    grey = 20 + 30 * SEVEN_EMOTIONS.index(emotion) + frame
    return bytes(simplejpeg.encode_jpeg(np.full((SIZE_PX, SIZE_PX, 3), grey, np.uint8), 95, "RGB"))


def _row(clip: Clip, frame: int, emotion: str, split: str, lost: str | None) -> dict[str, Any]:
    own = emotion == clip.emotion
    scale = SIZE_PX / CROP_SIDE
    row = MadeImage(
        family_id=f"{clip.take_id}-{frame:06d}", take_id=clip.take_id, frame=frame,
        time_s=(frame + 0.5) / 25, dataset="made", speaker=clip.speaker, source_emotion="neutral",
        level=1, view="front", split=split, emotion=emotion, is_reconstruction=own,
        norm="flattened", beta=0.0 if own else 4.0, gaps=0.0 if own else 1.5, tries=1,
        mouth_open=0.1, mouth_width=0.5, mouth_corner=0.0,
        mouth_open_difference=0.005 if own else 0.01 * SEVEN_EMOTIONS.index(emotion),
        mouth_width_difference=0.02, mouth_corner_difference=-0.01, identity=None,
        clarity=0.8, clarity_rise=None if own else 0.6,
        verdict="mouth_moved" if emotion == lost else "kept", family_kept=True,
        frame_to_image=(scale, 0.0, -10.0 * scale, 0.0, scale, -5.0 * scale),
        generator_sha256="g", encoder_sha256="e", direction_sha256=None if own else "d",
    )  # fmt: skip
    return row.to_row()


def write_families(run: Run, *, lost: str | None = "fear") -> None:
    """What invert, directions and synth leave: two families of each neutral take, `lost` rejected.

    S1 is in train and S2 in test, as `tests.builders.dataset` has it.
    """
    clips = [c for c in read_rows(run.table("extract", "clips"), Clip) if c.emotion == "neutral"]
    images, families = [], []
    for clip in clips:
        split = {"S1": "train", "S2": "test"}[clip.speaker]
        rows = [_row(clip, f, e, split, lost) for f in FRAMES for e in SEVEN_EMOTIONS]
        blobs = [{"image": _image(r["emotion"], r["frame"]), "composed": None} for r in rows]
        table = pa.Table.from_pylist(
            [{**row, **blob} for row, blob in zip(rows, blobs, strict=True)], schema=FAMILIES_SCHEMA
        )
        path = run.items("synth").path(f"{clip.speaker}/{clip.take_id}", ".families.parquet")
        write_table(path, table, plain_columns=("image", "composed"))
        images += [MadeImage.from_row(row) for row in rows]
        families += [
            MadeFamily(f"{clip.take_id}-{f:06d}", clip.take_id, f, clip.speaker, split, 7,
                       6 - (lost is not None), f"{f}{lost}")
            for f in FRAMES
        ]  # fmt: skip
    write_rows(run.table("synth", "images"), images, MadeImage)
    write_rows(run.table("synth", "families"), families, MadeFamily)
    write_rows(run.table("invert", "inverted"), [_inverted(clip) for clip in clips], InvertedTake)
    write_rows(run.table("directions", "directions"), [_direction()], Direction)


def _inverted(clip: Clip) -> InvertedTake:
    return InvertedTake(
        take_id=clip.take_id, dataset="made", speaker=clip.speaker, emotion=clip.emotion, level=1,
        view="front", split="train", n_frames=clip.n_frames, n_asked=4, n_kept=4, n_rejected=0,
        pixel_error=0.05, perceptual_error=None, identity=None, framing="ffhq", n_latent=2, dim=2,
        encoder_sha256="e", generator_sha256="g", codes_sha256="c",
    )  # fmt: skip


def _direction() -> Direction:
    return Direction(
        direction_id="happy", dataset="made", emotion="happy", speaker=None, n_latent=2, dim=2,
        norm="flattened", c=1.0, n_neutral=4, n_emotion=4, n_speakers=1, n_takes=2,
        accuracy_by_take=0.9, accuracy_by_speaker=None, class_gap=2.0, gap_length=2.1, cosine=0.97,
        measures=("mouth_open",), closed_at=1.5, n_calibration=4, shift_before=(0.06,),
        shift_after=(0.004,), vector=(1.0, 0.0, 0.0, 0.0), plain=(1.0, 0.0, 0.0, 0.0),
        moves=(0.0, 1.0, 0.0, 0.0), readout=(0.0,) * 80, encoder_sha256="e",
        generator_sha256="g", direction_sha256="d",
    )  # fmt: skip
