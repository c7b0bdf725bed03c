"""A temporary data folder that links a dataset's outputs, so that benchmarks never change it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dataset_view(dataset: Path, stages: Collection[str]) -> Iterator[Path]:
    """Link all outputs of a dataset into a temporary data folder, which is deleted at the end.

    Parameters
    ----------
    stages
        The stages that the benchmark runs. Their outputs are not linked, so that they write to the
        temporary folder. Neither is `.local`, where every stage records its state.

    Yields
    ------
    Path
        The data folder; the dataset has the same name in it.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark_") as name:
        folder = Path(name)
        view = folder / dataset.name
        view.mkdir()
        for path in dataset.resolve().iterdir():
            if path.name not in {*stages, ".local"}:
                (view / path.name).symlink_to(path)
        yield folder
