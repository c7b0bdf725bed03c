"""Does the fitted scale of real takes follow mouth and brows, which it should not?

    python benchmarks/pose_steadiness.py FOLDER [FOLDER ...] [--params params.yaml]

FOLDER is the output of extract (data/<dataset>). Frames of one take, 4 and 8 apart, are laid onto
each other; the head's distance hardly changes in that time, so the change of scale (%) is error.
Printed: its spread, and its slope on the change of mouth opening (per .1 of the eyes' distance) and
of brow height (per .05), yaw and pitch being held (least squares).
"""

import argparse
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from benchmarks.pose_accuracy import Way
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows
from pipeline.takes.frame_file import read_columns

LAGS = (4, 8)
EYES, BROWS = (33, 133, 263, 362), (70, 105, 107, 300, 334, 336)
COLUMNS = ("landmarks", "mouth_open", "yaw_deg", "pitch_deg")


def main() -> None:
    """Print a row for each folder and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    options = parser.parse_args()
    prior = YAML(typ="safe").load(options.params)["pose"]["shear_prior"]
    for folder in options.folders:
        takes = [_read(folder, clip) for clip in _clips(folder)]
        for expression in ("ignore", "solve"):
            way = Way("affine", "stable", prior, expression)
            print(f"{folder.name:10} {way!s:34} {_row(takes, way)}")


def _clips(folder: Path) -> list[Clip]:
    rows = read_rows(folder / "extract/tables/clips.parquet", Clip)
    return [clip for clip in rows if clip.has_video]


def _read(folder: Path, clip: Clip) -> dict[str, np.ndarray]:
    items = ItemStore(folder / "extract/items")
    path = items.path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
    return read_columns(path, COLUMNS)


def _row(takes: list[dict[str, np.ndarray]], way: Way) -> str:
    changes, scales = [], []
    for take in takes:
        mesh = take["landmarks"][..., :2]
        moved = np.stack(
            [take["mouth_open"], _brow_height(mesh), np.abs(take["yaw_deg"]), take["pitch_deg"]], 1
        )
        for lag in LAGS:
            matrix = way.fit(mesh[lag:], mesh[:-lag])
            scales.append(50 * np.log(np.linalg.det(matrix[..., :2])))
            changes.append(moved[lag:] - moved[:-lag])
    change, scale = np.concatenate(changes), np.concatenate(scales)
    seen = np.isfinite(change).all(axis=1) & np.isfinite(scale)
    change, scale = change[seen], scale[seen]
    slope = np.linalg.lstsq(np.c_[np.ones(len(change)), change], scale, rcond=None)[0]
    return (
        f"{len(scale)} frame pairs: spread {scale.std():.3f} %, per .1 of mouth "
        f"{0.1 * slope[1]:+.2f} %, per .05 of brow {0.05 * slope[2]:+.2f} % (brows change by "
        f"{change[:, 1].std():.3f})"
    )


def _brow_height(mesh: np.ndarray) -> np.ndarray:
    """Brows above the eyes along the face, over the eyes' distance (n,)."""
    up = mesh[:, 10] - mesh[:, 152]
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    gap = mesh[:, list(BROWS)].mean(axis=1) - mesh[:, list(EYES)].mean(axis=1)
    return (gap * up).sum(axis=1) / np.linalg.norm(mesh[:, 33] - mesh[:, 263], axis=1)


if __name__ == "__main__":
    main()
