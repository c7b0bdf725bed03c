"""The ground truth of takes and frames, and its tables on disk.

`truth/takes.parquet` has one row per take, with `image_late_s`, the delay of its image against its
audio; `truth/frames.parquet` one row per frame and one row
group per take, in the same order. Sign conventions are those of `pose.rotation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

F64 = NDArray[np.float64]

N_POINTS = 468
"""Points of the face mesh."""
LANDMARK_STEPS = 64  # fixed point: 1/64 px

TAKES_SCHEMA = pa.schema(
    {
        "take": pa.string(),
        "corpus": pa.string(),
        "path": pa.string(),
        "member": pa.string(),
        "audio_path": pa.string(),
        "audio_member": pa.string(),
        "speaker": pa.string(),
        "emotion": pa.string(),
        "shown_emotion": pa.string(),
        "mislabelled": pa.bool_(),
        "level": pa.int32(),
        "strength": pa.float32(),
        "view": pa.string(),
        "number": pa.int32(),
        "sentence_id": pa.string(),
        "text": pa.string(),
        "defects": pa.list_(pa.string()),
        "fps_num": pa.int32(),
        "fps_den": pa.int32(),
        "n_frames": pa.int32(),
        "audio_start_s": pa.float64(),
        "audio_end_s": pa.float64(),
        "image_late_s": pa.float64(),
        "phonemes": pa.list_(pa.string()),
        "onsets_s": pa.list_(pa.float64()),
        "words": pa.list_(pa.string()),
        "word_onsets_s": pa.list_(pa.float64()),
    }
)

FRAMES_SCHEMA = pa.schema(
    {
        "take": pa.string(),
        "frame": pa.int32(),
        "time_s": pa.float64(),
        "face": pa.bool_(),
        "landmarks_64": pa.list_(pa.int16(), 2 * N_POINTS),
        "yaw_deg": pa.float32(),
        "pitch_deg": pa.float32(),
        "roll_deg": pa.float32(),
        "scale_px": pa.float32(),
        "tx_px": pa.float32(),
        "ty_px": pa.float32(),
        "mouth_open": pa.float32(),
        "mouth_width": pa.float32(),
        "eye_open": pa.float32(),
        "intensity": pa.float32(),
    }
)
MEASURES = tuple(FRAMES_SCHEMA.names[5:])


def face_measures(face: F64) -> tuple[float, float, float]:
    """Return mouth_open, mouth_width, eye_open of a (468, 3) face.

    All are 3D distances divided by the distance of the outer eye corners: the mean of the three
    middle gaps between the inner lips, the distance of the lip corners, the mean lid gap.
    """

    def gap(a: list[int], b: list[int]) -> float:
        return float(np.linalg.norm(face[a] - face[b], axis=1).mean())

    unit = gap([33], [263])
    mouth = gap([13, 82, 312], [14, 87, 317])
    return mouth / unit, gap([61], [291]) / unit, gap([159, 386], [145, 374]) / unit


def frames_table(
    take: str,
    times_s: F64,
    landmarks_px: F64,
    measures: dict[str, F64],
    *,
    face: bool,
) -> pa.Table:
    """Build the rows of one take.

    Parameters
    ----------
    landmarks_px
        (n, 468, 2) pixel-edge coordinates.
    measures
        (n,) each, by the names of `MEASURES`.
    face
        Whether a person is in the frame; if not, all other values are 0 or NaN.
    """
    n = len(times_s)
    steps = np.round(landmarks_px.reshape(-1) * LANDMARK_STEPS).astype(np.int16)
    columns: dict[str, Any] = {
        "take": [take] * n,
        "frame": np.arange(n, dtype=np.int32),
        "time_s": times_s,
        "face": np.full(n, face),
        "landmarks_64": pa.FixedSizeListArray.from_arrays(pa.array(steps), 2 * N_POINTS),
        **{name: measures[name].astype(np.float32) for name in MEASURES},
    }
    return pa.table(columns, schema=FRAMES_SCHEMA)


@dataclass(frozen=True)
class FrameTruth:
    """Truth of one take's frames.

    Attributes
    ----------
    times_s, face
        (n,) midpoint of each frame; whether it contains a face.
    landmarks_px
        (n, 468, 2) pixel-edge coordinates.
    measures
        (n,) float32 each, by the names of `MEASURES`.
    """

    times_s: F64
    face: NDArray[np.bool_]
    landmarks_px: F64
    measures: dict[str, NDArray[np.float32]]


def read_takes(root: Path) -> list[dict[str, Any]]:
    """Read `truth/takes.parquet` of the corpus: one dict per take, sorted by id."""
    rows: list[dict[str, Any]] = pq.read_table(root / "truth" / "takes.parquet").to_pylist()
    return rows


def read_frames(root: Path, row_group: int) -> FrameTruth:
    """Read one take's frames; `row_group` is its position among `read_takes`."""
    file = pq.ParquetFile(root / "truth" / "frames.parquet")
    table = file.read_row_group(row_group)
    steps = table["landmarks_64"].combine_chunks().flatten().to_numpy()
    return FrameTruth(
        times_s=table["time_s"].to_numpy(),
        face=table["face"].to_numpy(zero_copy_only=False),
        landmarks_px=steps.reshape(-1, N_POINTS, 2) / LANDMARK_STEPS,
        measures={name: table[name].to_numpy() for name in MEASURES},
    )


def write_parts(folder: Path, name: str, row: dict[str, Any], frames: pa.Table) -> None:
    """Write one take's truth for `gather_parts`."""
    pq.write_table(pa.Table.from_pylist([row], TAKES_SCHEMA), folder / f"{name}.take.parquet")
    pq.write_table(frames, folder / f"{name}.frames.parquet")


def gather_parts(folder: Path, names: list[str], out: Path) -> None:
    """Join the parts of all takes into `out/takes.parquet` and `out/frames.parquet`."""
    rows = pa.concat_tables([pq.read_table(folder / f"{n}.take.parquet") for n in names])
    pq.write_table(rows, out / "takes.parquet", compression="zstd")
    with pq.ParquetWriter(
        out / "frames.parquet", FRAMES_SCHEMA, compression="zstd", use_dictionary=["take"]
    ) as writer:
        for name in names:
            writer.write_table(pq.read_table(folder / f"{name}.frames.parquet"))
