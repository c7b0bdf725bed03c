"""Whether this machine, this installation and this project can do the work, and what mends it.

Nothing here imports a heavy library at its top: where one is broken, that is what is to be told.
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
    """What is examined: params.yaml (None: the default one), the folder of outputs.

    `has_project` says whether there is a params.yaml at all; where there is none, the reader alone
    may be what is wanted. `is_fast` leaves out the trials and the walks through corpora.
    """

    params: Path | None
    data: Path
    has_project: bool
    is_fast: bool = False


def examine(patient: Patient) -> Iterator[Check]:
    """All checks, cheap ones first; each is given as soon as it is known."""
    yield libraries.python()
    found = libraries.survey(is_wanted=patient.has_project)
    yield from found
    yield machine.cores_and_memory()
    if not patient.is_fast:
        yield from probe_runner.all_of(missing=libraries.missing_names())
    yield machine.writable(patient.data)
    yield from project.examine(patient.params, patient.data, is_fast=patient.is_fast)
    yield from versioning.examine()
