"""What the stored crop costs in quality: PSNR of 256 px framings taken from it against the full
frame.

    python benchmarks/stored_crop.py DATA/DATASET ROOT [--every 10]

DATA/DATASET holds an `extract` run of the takes below ROOT (plain files). For every n-th frame
both framings (ned256, ffhq) are sampled with the same warp from the stored crop and from the full
frame; the PSNR is of the luma and of RGB over the pixels that the crop covers, the share of which
is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.faces import framing
from pipeline.faces.affine import compose
from pipeline.faces.sampling import sample
from pipeline.media import decode_jpeg
from pipeline.records import Clip
from pipeline.runtime.tables import read_rows, read_table
from pipeline.takes.frame_file import landmarks_of

SIZE_PX = 256


def main() -> None:
    """Print a row a take and framing, and the worst of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    print(f"{'take':40} framing  luma dB (worst)  RGB dB (worst)  covered")
    clips = read_rows(options.data / "extract" / "tables" / "clips.parquet", Clip)
    for clip in (c for c in clips if c.has_video):
        for name, found in measure(clip, options.data, options.root, options.every).items():
            luma, colour, covered = np.array(found).T
            print(
                f"{clip.take_id:40} {name:7}  {luma.mean():5.1f} ({luma.min():5.1f})"
                f"    {colour.mean():5.1f} ({colour.min():5.1f})   {covered.mean():7.1%}"
            )


def measure(clip: Clip, data: Path, root: Path, every: int) -> dict[str, list[list[float]]]:
    """(luma dB, RGB dB, share covered) of every n-th frame, by framing."""
    item = data / "extract" / "items" / clip.speaker / f"{clip.take_id}.frames.parquet"
    table = read_table(item, columns=["landmarks", "crop"])
    landmarks = landmarks_of(table["landmarks"]).astype(np.float64)
    crops = table["crop"].to_pylist()
    place = framing.crop_to_frame(clip.crop_x_px, clip.crop_y_px, clip.crop_side_px, clip.crop_px)
    fixed = framing.ned256(framing.face_boxes(landmarks), SIZE_PX)
    found: dict[str, list[list[float]]] = {"ned256": [], "ffhq": []}
    with av.open(str(root / str(clip.video_path))) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every or np.isnan(landmarks[index]).any():
                continue
            full, crop = frame.to_ndarray(format="rgb24"), decode_jpeg(crops[index])
            inside = np.full(crop.shape, 255, np.uint8)
            for name, matrix in {
                "ned256": fixed, "ffhq": framing.ffhq(landmarks[index], SIZE_PX)
            }.items():  # fmt: skip
                through = compose(matrix, place)
                mask = covers(inside, through) & covers(np.full_like(full, 255), matrix)
                images = sample(crop, through, SIZE_PX), sample(full, matrix, SIZE_PX)
                found[name].append([*psnr(*images, mask), float(mask.mean())])
    return found


def covers(white: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Which pixels of the framing lie wholly inside a image."""
    framed = cv2.warpAffine(white, matrix, (SIZE_PX, SIZE_PX))
    return framed[..., 0] == 255


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """PSNR of luma (BT.601) and of RGB where the mask is set, in dB."""
    difference = a.astype(np.float64)[mask] - b.astype(np.float64)[mask]
    luma = difference @ [0.299, 0.587, 0.114]
    squares = np.mean(luma**2), np.mean(difference**2)
    return tuple(float(10 * np.log10(255**2 / max(value, 1e-9))) for value in squares)


if __name__ == "__main__":
    main()
