"""The project a command belongs to: the nearest folder, here or above, with a params.yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ParameterError

FILE = Path("params.yaml")
_DATASETS = re.compile(r"^datasets:", re.M)
_start: Path | None = None


def find_root(start: Path) -> Path | None:
    """The folder of the nearest params.yaml, `start` included; None if there is none.

    In the folders above `start`, a params.yaml without a `datasets` section belongs to another
    program and is skipped.
    """
    if (start / FILE).is_file():
        return start
    return next((folder for folder in start.parents if _is_ours(folder / FILE)), None)


def _is_ours(file: Path) -> bool:
    try:
        return bool(_DATASETS.search(file.read_bytes().decode(errors="replace")))
    except OSError:  # none there, or not ours to read
        return False


def enter(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Change to the project's folder; paths that were typed still mean what they meant before.

    With `params` given, the caller has chosen the project: nothing changes.
    """
    global _start
    _start = Path.cwd()
    root = None if values.get("params") else find_root(_start)
    if "params" not in values or root in (None, _start):
        return dict(values)
    assert root is not None
    os.chdir(root)
    return {
        name: value if value == defaults.get(name) else _from_start(value)
        for name, value in values.items()
    }


def _from_start(value: Any) -> Any:
    if isinstance(value, Path):
        return typed(value)
    if isinstance(value, list):
        return [_from_start(each) for each in value]
    return value


def typed(path: Path) -> Path:
    """A path as the user means it: relative to the folder where the command was typed."""
    return path if _start is None or _start == Path.cwd() else _start / path


def shown(path: Path) -> Path:
    """A path of the project for messages: absolute if the command was typed elsewhere."""
    return path if _start in (None, Path.cwd()) else path.absolute()


def require(params: Path | None) -> None:
    """Refuse to write outside a project.

    Raises
    ------
    ParameterError
        If no params.yaml is named and there is none here or above.
    """
    if params is None and not FILE.is_file():
        raise ParameterError(
            "no params.yaml here or in a folder above; change to the project's folder, create a "
            "project here with spfem-data init, or name a file with --params"
        )
