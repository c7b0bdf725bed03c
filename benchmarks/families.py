"""Families on a dataset: how far mouths move, how far emotions rise, how many are kept.

    python benchmarks/families.py data/demo [--params params.yaml] [--grids DIR]

Needs extract, align, invert and directions of the dataset. `synth` is run twice on copies of their
tables, with the mouth's part of each direction taken out and without; nothing of the dataset is
written. Movements are over the distance of the eyes, as the judging measurer sees them, which the
calibration never asked. "Encoded": by how much encoding alone moves the mouth, source frame against
reconstruction. "Beyond": the movement less that.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import params
from pipeline.records import Clip, Direction, MadeFamily, MadeImage
from pipeline.runtime.run import Options, Run
from pipeline.runtime.tables import read_rows
from pipeline.stages.report.grids import GridJob, grid
from pipeline.stages.synth import stage as synth
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

TARGETS = "targets: beyond .030 / .080, clarity +.30, families .60"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder of one dataset, such as data/demo")
    parser.add_argument("--params", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--grids", type=Path, help="folder for images of the kept families")
    asked = parser.parse_args()
    loaded = params.load(asked.params)
    data, name = asked.dataset.parent, asked.dataset.name
    with tempfile.TemporaryDirectory() as scratch:
        runs = {}
        for keep in (True, False):
            section = loaded.synth.model_copy(update={"keep_mouth": keep})
            copy = Path(scratch) / str(keep)
            link(asked.dataset, copy / name)
            changed = loaded.model_copy(update={"synth": section})
            runs[keep] = Run(name, changed, copy, Options(workers=asked.workers))
            print(*synth.run(runs[keep]).notes, sep="\n")
        directions(read_rows(runs[True].table("directions", "directions"), Direction))
        for keep, run in runs.items():
            table("mouth kept" if keep else "as the SVM gives it", run)
        if asked.grids:
            draw(runs[True], asked.grids)
    print(f"\nOf {data / name}. {TARGETS}")


def link(dataset: Path, copy: Path) -> None:
    """The stages before synth, seen from another folder."""
    copy.mkdir(parents=True)
    for stage in ("extract", "align", "invert", "directions"):
        (copy / stage).symlink_to((dataset / stage).resolve())


def directions(rows: Sequence[Direction]) -> None:
    print("\n| direction | by take | by speaker | class gap | moved before | after | cosine |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        told = [told_of(row.accuracy_by_take), told_of(row.accuracy_by_speaker)]
        before, after = (
            " ".join(f"{v:+.3f}" for v in shifts) for shifts in (row.shift_before, row.shift_after)
        )
        cells = [row.direction_id, *told, f"{row.class_gap:.2f}", before, after,
                 f"{row.cosine:.2f}"]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def table(title: str, run: Run) -> None:
    images = read_rows(run.table("synth", "images"), MadeImage)
    families = read_rows(run.table("synth", "families"), MadeFamily)
    planned = {image.family_id for image in images}
    encoded = np.abs(finite([p.mouth_open_difference for p in images if p.is_reconstruction]))
    floor = np.median(encoded), np.percentile(encoded, 95)
    found = [p for p in images if p.mouth_open is not None]
    print(f"\n{title}: {len(families)} of {len(planned)} families kept; a face in "
          f"{len(found) / max(len(images), 1):.3f} of {len(images)} images; "
          f"encoded {floor[0]:.3f} / {floor[1]:.3f}")  # fmt: skip
    print("| emotion | made | kept | gaps | opening, median / p95 | beyond | all made | width |"
          " corners | clarity rose |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for emotion in SEVEN_EMOTIONS[1:]:
        own = [p for p in images if p.emotion == emotion and not p.is_reconstruction]
        kept = [p for p in own if p.family_kept and p.verdict == "kept"]
        print(f"| {' | '.join([emotion, *cells(own, kept, floor)])} |")


def cells(
    own: Sequence[MadeImage], kept: Sequence[MadeImage], floor: tuple[float, float]
) -> list[str]:
    moved = np.abs(finite([p.mouth_open_difference for p in kept]))
    every = np.abs(finite([p.mouth_open_difference for p in own]))
    if not len(moved):
        return [str(len(own)), "0", *["-"] * 7]
    middle, far = np.median(moved), np.percentile(moved, 95)
    rises = finite([p.clarity_rise for p in kept])
    return [
        str(len(own)),
        f"{len(kept)} ({len(kept) / len(own):.2f})",
        f"{np.median([p.gaps for p in kept]):.2f}",
        f"{middle:.3f} / {far:.3f}",
        f"{middle - floor[0]:+.3f} / {far - floor[1]:+.3f}",
        f"{np.median(every):.3f} / {np.percentile(every, 95):.3f}",
        f"{np.median(finite([p.mouth_width_difference for p in kept])):+.3f}",
        f"{np.median(finite([p.mouth_corner_difference for p in kept])):+.3f}",
        f"{np.median(rises):+.2f}" if len(rises) else "-",
    ]


def draw(run: Run, folder: Path) -> None:
    """A grid of each speaker's first families."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = {clip.take_id: clip for clip in read_rows(run.table("extract", "clips"), Clip)}
    images = read_rows(run.table("synth", "images"), MadeImage)
    for speaker in sorted({p.speaker for p in images}):
        take = next(p.take_id for p in images if p.speaker == speaker)
        shown = tuple(sorted({p.family_id for p in images if p.take_id == take}))[:4]
        item = f"{speaker}/{take}"
        job = GridJob(
            clips[take], shown,
            run.items("synth").path(item, ".families.parquet"),
            run.items("extract").path(item, ".frames.parquet"), 160,
        )  # fmt: skip
        content = grid(job)["image"].split(",", 1)[1]
        (folder / f"{speaker}.jpg").write_bytes(base64.b64decode(content))


def finite(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=np.float64)


def told_of(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
