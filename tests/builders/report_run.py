"""Parameters of a small run, for the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.runtime.run import Run

REASONS = {
    "extract": {"no_face": 1},
    "align": {"no_partner": 1},
    "pose": {},
    "score": {},
    "filter": {},
    "invert": {},
    "directions": {},
    "synth": {},
    "shards": {},
}


def with_params(run: Run, corpus: str, root: Path, **section: object) -> Run:
    params = run.params
    dataset = params.datasets["made"].model_copy(update={"corpus": corpus, "root": str(root)})
    small = {
        "pairs": 3, "frames_per_strip": 4, "thumb_px": 48, "overlays": 2, "sheet": 4,
        "sheet_px": 32, **section,
    }  # fmt: skip
    params = params.model_copy(
        update={
            "datasets": {"made": dataset},
            "report": params.report.model_copy(update=small),
        }
    )
    return replace(run, params=params)
