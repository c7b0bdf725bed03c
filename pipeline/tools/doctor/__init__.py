"""Checks of the machine, the installation and the project, each with a fix if it fails.

No module here imports a large library at the top level, so that doctor runs when one is broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.tools.doctor import libraries, machine, probes, project
from pipeline.tools.doctor.check import Check

__all__ = ["Check", "examine"]


def examine(params: Path | None, data: Path, *, is_fast: bool = False) -> Iterator[Check]:
    """All checks, cheap ones first, each as soon as it is done.

    Parameters
    ----------
    params
        The params.yaml; None: the package's defaults.
    data
        The output folder.
    is_fast
        Skip the probes of libraries and the scans of corpora.
    """
    yield from libraries.survey()
    yield machine.cores_and_memory()
    if not is_fast:
        yield from probes.all_of(missing=libraries.missing_names())
    yield machine.writable(data)
    yield from project.examine(params, data, is_fast=is_fast)
    yield from machine.versioning()
