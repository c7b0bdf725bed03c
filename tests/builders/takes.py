"""Takes of drawn heads in a custom corpus, and extract run over them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import params
from pipeline.records import FRAMES_SCHEMA, Clip, Rejected
from pipeline.runtime.run import Options, Run
from pipeline.runtime.summaries import Summary
from pipeline.runtime.tables import read_rows, read_table
from pipeline.stages.extract import stage as extract
from pipeline.stages.extract.worker import FRAMES
from tests.builders.drawn_faces import SIZE_PX, drawn, rgb

ALL = params.Select(speakers=[], emotions=[], levels=[], views=[])


def talking(n: int = 12, which: int = 0, step_px: float = 0.0) -> list[np.ndarray]:
    """A head that nods and opens its mouth, and walks `step_px` a frame."""
    return [
        rgb(
            drawn(
                yaw_deg=4 * np.sin(i / 3),
                jaw=0.4 * (i % 4) / 3,
                which=which,
                shift_px=step_px * i,
                frame=i,
            )
        )
        for i in range(n)
    ]


def in_scene(images: list[np.ndarray], x: int, step_px: int = 0) -> list[np.ndarray]:
    """Images carried through a wide grey scene."""
    frames = [np.full((SIZE_PX, 3 * SIZE_PX, 3), 100, np.uint8) for _ in images]
    for i, (frame, image) in enumerate(zip(frames, images, strict=True)):
        frame[:, x + i * step_px : x + i * step_px + SIZE_PX] = image
    return frames


def make_run(
    root: Path, data: Path, corpus: str = "custom", workers: int = 1, **section: Any
) -> Run:
    given = params.load(None)
    entry = params.Dataset.model_validate(
        {"corpus": corpus, "root": str(root), "select": ALL.model_dump(), "split": "by_speaker"}
    )
    changed = given.model_copy(
        update={"datasets": {"made": entry}, "extract": given.extract.model_copy(update=section)}
    )
    engine = "serial" if workers == 1 else "processes"
    return Run("made", changed, data, Options(engine, workers))


def manifest(folder: Path, *names: str, audio: dict[str, str] | None = None) -> Path:
    path = folder / "takes.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "speaker", "emotion", "sentence", "audio"])
        for name in names:
            writer.writerow([name, "s1", "neutral", Path(name).stem, (audio or {}).get(name, "")])
    return path


def run(made: Run) -> tuple[Summary, list[Clip], list[Rejected]]:
    summary = extract.run(made)
    return (
        summary,
        read_rows(made.table("extract", "clips"), Clip),
        read_rows(made.table("extract", "rejected"), Rejected),
    )


def frames_of(made: Run, clip: Clip) -> Any:
    path = made.items("extract").path(f"{clip.speaker}/{clip.take_id}", FRAMES)
    return read_table(path, FRAMES_SCHEMA)


def policies(**changes: str) -> params.ExtractPolicies:
    """The default policies, but for some."""
    given = params.load(None).extract.policies.model_dump()
    return params.ExtractPolicies.model_validate({**given, **changes})
