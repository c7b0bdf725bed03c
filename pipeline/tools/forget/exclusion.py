"""The key `forgotten` in params.yaml, which excludes speakers from all later runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pipeline.errors import ParameterError
from pipeline.runtime.store import write_bytes
from pipeline.yaml_files import parse_yaml, read_text

_KEY = "forgotten"


def write_exclusion(path: Path, dataset: str, speaker: str) -> bool:
    """Add a speaker to `forgotten` in params.yaml and leave every other byte unchanged.

    Returns
    -------
    Whether the file was changed.

    Raises
    ------
    ParameterError
        When the file has no such key at its top level, or writes it in a form that cannot be
        edited safely.
    """
    text = read_text(path)
    values = parse_yaml(text, str(path))
    known = _known(values)
    if speaker in known.get(dataset, []):
        return False
    known[dataset] = sorted([*known.get(dataset, []), speaker])
    written, count = re.subn(
        rf"(?m)^{_KEY}:[^\n#]*(#[^\n]*)?\n(?:[ \t]+[^\n]*\n)*", lambda m: _entry(known, m[1]), text
    )
    if count != 1 or parse_yaml(written, str(path)) != {**values, _KEY: known}:
        raise ParameterError(
            f"{path}: add {speaker} to {_KEY}.{dataset} by hand, then run the same command again"
        )
    write_bytes(path, written.encode())
    return True


def _entry(known: dict[str, list[str]], comment: str | None) -> str:
    lines = [f"{_KEY}:" + (f"   {comment}" if comment else "")]
    for dataset, speakers in sorted(known.items()):
        lines += [f"  {dataset}:", *(f'  - "{speaker}"' for speaker in speakers)]
    return "\n".join(lines) + "\n"


def _known(values: Any) -> dict[str, list[str]]:
    """The excluded speakers; none if the value is not a mapping of lists."""
    entry = values.get(_KEY) if isinstance(values, dict) else None
    if not isinstance(entry, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in entry.values()
    ):
        return {}
    return {str(name): names for name, names in entry.items()}
