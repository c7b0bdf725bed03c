"""The summary that each stage writes next to its tables. Imports no table library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import TableError
from pipeline.runtime.store import read_json

NAME = "summary.json"


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The last summary of the stage whose outputs are in `folder`; None if it has not run.

    Raises
    ------
    TableError
        If the file is damaged.
    """
    path = folder / "tables" / NAME
    if not path.is_file():
        return None
    match summary := read_json(path):
        case {
            "stage": str(),
            "grain": str(),
            "planned": int(),
            "kept": int(),
            "reasons": dict(reasons),
        } if all(isinstance(n, int) for n in reasons.values()):
            return dict(summary)
    raise TableError(
        f"{path} is damaged; run again: "
        f"spfem-data {folder.name} --dataset {folder.parent.name} --force"
    )
