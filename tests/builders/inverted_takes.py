"""Takes whose codes and stored crops are drawn: what invert would leave of a small dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg

from pipeline.digests import sha256_of
from pipeline.latents.mouths import MEASURES, mouth_of
from pipeline.records import CODES_SCHEMA, FRAMES_SCHEMA, Clip, InvertedTake
from pipeline.runtime.tables import write_table
from tests.builders.drawing_generator import BROW, DIM, JAW, N_LATENT, SIZE_PX, SMILE, YAW, draw

QUAD = np.array([[0.0, 0.0], [0.0, SIZE_PX], [SIZE_PX, SIZE_PX], [SIZE_PX, 0.0]])


def codes_of(emotion: str, n: int, seed: int, leak: float = 0.4) -> np.ndarray:
    """(n, 8) codes of a talking take; happy smiles, and by `leak` its jaw hangs more."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(0, 0.03, (n, N_LATENT * DIM))
    codes[:, JAW] = rng.uniform(0.3, 0.6, n)
    codes[:, YAW] = rng.normal(0, 0.1, n)
    codes[:, BROW] += 0.1
    if emotion == "happy":
        codes[:, SMILE] += rng.uniform(0.3, 0.9, n)
        codes[:, JAW] += leak
    return codes.astype(np.float32)


def write_take(
    data: Path, speaker: str, emotion: str, take: int, n: int = 16, split: str = "train"
) -> tuple[Clip, InvertedTake]:
    """Write a take's frame file and codes; its clip and the row of `inverted`."""
    take_id = f"{speaker}_{emotion}{take}"
    seed = sum(take_id.encode())
    codes = codes_of(emotion, n, seed)
    frames = data / "extract" / "items" / speaker / f"{take_id}.frames.parquet"
    images = [draw(code) for code in codes]
    rows = []
    for k, image in enumerate(images):
        row = dict.fromkeys(FRAMES_SCHEMA.names)
        row |= {"frame": k, "time_s": k / 25, "duration_s": 0.04, "found": True}
        rgb = np.ascontiguousarray(image.image[..., ::-1])
        row["crop"] = simplejpeg.encode_jpeg(rgb, 95, "RGB")
        rows.append(row)
    write_table(frames, pa.Table.from_pylist(rows, schema=FRAMES_SCHEMA))
    mouths = np.array([mouth_of(image.landmarks_px) for image in images])
    table = pa.table(
        {
            "frame": pa.array(range(n), pa.int32()),
            "time_s": [k / 25 + 0.02 for k in range(n)],
            "quad": [QUAD.ravel().tolist()] * n,
            "code": pa.array(list(codes), pa.list_(pa.float32())),
            "pixel_error": pa.array([0.01] * n, pa.float32()),
            "perceptual_error": pa.array([None] * n, pa.float32()),
            "identity": pa.array([None] * n, pa.float32()),
            **{name: pa.array(mouths[:, k], pa.float32()) for k, name in enumerate(MEASURES)},
            "verdict": ["kept"] * n,
        }
    ).cast(CODES_SCHEMA)
    path = data / "invert" / "items" / speaker / f"{take_id}.codes.parquet"
    write_table(path, table)
    clip = Clip(
        take_id=take_id, utterance_id=take_id, dataset="made", speaker=speaker, emotion=emotion,
        level=1, view="front", take=str(take), sentence=None, sentence_source=None,
        video_path="a.mp4", video_member=None, audio_path=None, audio_member=None, split=split,
        width_px=SIZE_PX, height_px=SIZE_PX, fps=25.0, n_frames=n, n_found=n, video_start_s=0.0,
        video_end_s=n / 25, audio_start_s=0.0, audio_end_s=n / 25, audio_from="container",
        crop_x_px=0.0, crop_y_px=0.0, crop_side_px=float(SIZE_PX), crop_px=SIZE_PX,
        interocular_px=60.0, frames_sha256=sha256_of(frames), audio_sha256="a", findings=(),
    )  # fmt: skip
    inverted = InvertedTake(
        take_id=take_id, dataset="made", speaker=speaker, emotion=emotion, level=1, view="front",
        split=split, n_frames=n, n_asked=n, n_kept=n, n_rejected=0, pixel_error=0.01,
        perceptual_error=None, identity=None, framing="ffhq", n_latent=N_LATENT, dim=DIM,
        encoder_sha256="e", generator_sha256="g", codes_sha256=sha256_of(path),
    )  # fmt: skip
    return clip, inverted
