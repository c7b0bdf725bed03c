"""Checks of the machine, the installation and the project, each with a fix if it fails.

No module here imports a large library at the top level, so that doctor runs when one is broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.tools.doctor import libraries, machine, probe_runner, project, versioning
from pipeline.tools.doctor.check import Check, State

__all__ = ["Check", "Patient", "State", "examine"]


@dataclass(frozen=True)
class Patient:
    """The input: params.yaml (None: the default) and the output folder.

    `has_project` says whether there is a params.yaml; without one, the user may only need the
    reader. `is_fast` skips the library probes and the corpus scans.
    """

    params: Path | None
    data: Path
    has_project: bool
    is_fast: bool = False


def examine(patient: Patient) -> Iterator[Check]:
    """All checks, cheap ones first, each as soon as it is done."""
    yield libraries.python()
    yield from libraries.survey(is_wanted=patient.has_project)
    yield machine.cores_and_memory()
    if not patient.is_fast:
        yield from probe_runner.all_of(missing=libraries.missing_names())
    yield machine.writable(patient.data)
    yield from project.examine(patient.params, patient.data, is_fast=patient.is_fast)
    yield from versioning.examine()
