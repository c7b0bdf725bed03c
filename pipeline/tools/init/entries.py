"""Entries of `datasets` in the text of a params.yaml: added or replaced, all else kept as it is.

ruamel says where in the text things lie; the text itself is cut there, so that comments, order and
line breaks of everything else stay to the byte. A round trip would run long lists together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ParameterError
from pipeline.yaml_files import parse_yaml

_SECTION = "datasets"
_PLAIN = re.compile(r"^[A-Za-z0-9_./-]+$")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True)
class Entry:
    """One dataset as params.yaml lists it."""

    name: str
    corpus: str
    root: str
    views: tuple[str, ...]
    split: str

    def lines(self) -> list[str]:
        """The entry as YAML, two columns in."""
        views = ", ".join(map(_scalar, self.views))
        return [
            f"  {self.name}:",
            f"    corpus: {self.corpus}",
            f"    root: {_scalar(self.root)}",
            f"    select: {{speakers: [], emotions: [], levels: [], views: [{views}]}}",
            f"    split: {self.split}",
        ]


def entries(text: str) -> dict[str, str]:
    """The datasets of a params.yaml: name and root."""
    return {
        str(name): str(entry.get("root", "")) if isinstance(entry, dict) else ""
        for name, entry in _section(text)[0].items()
    }


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """A name that a dataset may have: `wanted` in small letters, numbered where it is taken."""
    base = _NOT_IN_NAMES.sub("-", wanted.lower()).strip("-_") or "takes"
    names = [base, *(f"{base}-{k}" for k in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def add_entry(text: str, entry: Entry) -> str:
    """The text with the entry in it; one of the same name is replaced.

    Raises
    ------
    ParameterError
        Where the text is no YAML or its datasets are not written as a block.
    """
    section, lines, end = _section(text)
    first = end
    if entry.name in section:
        first = _line_of(section, entry.name)
        later = [line for name in section if (line := _line_of(section, name)) > first]
        end = _without_comments(lines, min(later)) if later else end
    made = "\n".join([*lines[:first], *entry.lines(), *lines[end:]])
    made = made if made.endswith("\n") else made + "\n"
    if entries(made) != {**entries(text), entry.name: entry.root}:
        raise ParameterError(
            f"the {_SECTION} of params.yaml are written in a way that {entry.name} cannot be put "
            "beside; write them as the default one has them"
        )
    return made


def _section(text: str) -> tuple[Any, list[str], int]:
    """The datasets as ruamel reads them, the text's lines, and the line behind the last entry."""
    values = parse_yaml(text, "params.yaml", with_places=True)
    section: Any = values.get(_SECTION) if isinstance(values, dict) else None
    is_mapping = isinstance(section, dict)
    if not is_mapping:
        raise ParameterError(f"params.yaml has no {_SECTION}; add them as in the default one")
    if section.fa.flow_style() or not section:
        raise ParameterError(
            f"the {_SECTION} of params.yaml stand in one line; write each entry on lines of its own"
        )
    lines, places = text.splitlines(), {name: _line_of(values, name) for name in values}
    later = [line for line in places.values() if line > places[_SECTION]]
    return section, lines, _without_comments(lines, min(later, default=len(lines)))


def _line_of(section: Any, name: str) -> int:
    return int(section.lc.key(name)[0])


def _without_comments(lines: Sequence[str], end: int) -> int:
    """The line behind the last one before `end` that is neither empty nor a comment."""
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _scalar(text: str) -> str:
    """A string as YAML: bare where that is safe, else as JSON has it."""
    return text if _PLAIN.match(text) and not text[0].isdigit() else json.dumps(text)
