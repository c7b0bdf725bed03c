"""Small tables, one file per plot, for `dvc plots diff` between revisions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.records import Pair
from pipeline.runtime.store import write_bytes
from pipeline.stages.report.clear import Clear, clarity_plot, yield_tables
from pipeline.stages.report.inputs import Inputs
from pipeline.stages.report.metrics import Distribution, rounded, table


def plot_tables(
    inputs: Inputs, pairs: tuple[Pair, ...], clear: Clear, curves: Iterable[Distribution]
) -> dict[str, str]:
    """Every table, by its path in `plots`. The mouth curves are those of the first of `pairs`."""
    counted = [*curves, clarity_plot(clear)]
    return {
        f"{folder}/{name}.csv": text
        for folder, tables in (
            ("histograms", {name: text for c in counted for name, text in c.tables().items()}),
            ("yields", yield_tables(clear)),
            ("mouth_curve", mouth_curve(inputs, pairs[:1])),
        )
        for name, text in tables.items()
    }


def write_plots(folder: Path, plots: dict[str, str]) -> None:
    """Write the tables and remove all other tables in the folder."""
    for name, text in sorted(plots.items()):
        write_bytes(folder / name, text.encode())
    for path in folder.rglob("*.csv"):
        if path.relative_to(folder).as_posix() not in plots:
            path.unlink()


def mouth_curve(inputs: Inputs, pairs: tuple[Pair, ...]) -> dict[str, str]:
    """Mouth openings of takes a and b at the paired frames: position along the map, opening."""
    rows: dict[str, list[tuple[float, float]]] = {"a": [], "b": []}
    for pair in pairs:
        takes = {"a": (pair.take_a, pair.frame_a), "b": (pair.take_b, pair.frame_b)}
        if all(inputs.clips[take].has_video for take, _ in takes.values()):
            for name, (take, frames) in takes.items():
                mouth = inputs.mouth_open(inputs.clips[take])
                rows[name] += [(n, rounded(mouth[f], 4)) for n, f in enumerate(frames)]
    return {name: table("place,opening", found) for name, found in rows.items()}
