"""Recognise corpora by their file names, and edit their entries in the text of a params.yaml.

ruamel gives the line numbers, and the text is edited there. Comments, order and line breaks of
everything else stay byte-identical; a YAML round trip would join long lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pipeline.corpora import custom, mead, ravdess
from pipeline.corpora.listing import Draft
from pipeline.corpora.manifest import REQUIRED
from pipeline.corpora.scan import walk
from pipeline.errors import ParameterError, PipelineError
from pipeline.records import Take
from pipeline.yaml_files import parse_yaml

_SECTION, _FORGOTTEN = "datasets", "forgotten"
_PLAIN = re.compile(r"^[A-Za-z0-9_./-]+$")
_INVALID = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True)
class Entry:
    """One dataset as params.yaml lists it."""

    name: str
    corpus: str
    root: str
    views: tuple[str, ...]
    split: str

    def lines(self) -> list[str]:
        """The entry as YAML lines, indented by two spaces."""
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
    """A valid dataset name: `wanted` in lower case, numbered if it is taken."""
    base = _INVALID.sub("-", wanted.lower()).strip("-_") or "takes"
    names = [base, *(f"{base}-{k}" for k in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def add_entry(text: str, entry: Entry) -> str:
    """The text with the entry added; one of the same name is replaced.

    Raises
    ------
    ParameterError
        If the text is not YAML, or its datasets are not in block style.
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
            f"{entry.name} cannot be added to the {_SECTION} of params.yaml as they are written; "
            "write them as in the default params.yaml"
        )
    return made


def without_datasets(text: str, keep: Entry) -> str:
    """The text with `keep` as its only dataset, and no speaker excluded: for a new project."""
    text = text if keep.name in entries(text) else add_entry(text, keep)
    section, lines, end = _section(text)
    starts = [*sorted(_line_of(section, name) for name in section), end]
    kept = _line_of(section, keep.name)
    for start, stop in reversed([*pairwise(starts)]):
        if start != kept:
            del lines[start : _without_comments(lines, stop)]
    return _without_forgotten("\n".join(lines) + "\n")


def _without_forgotten(text: str) -> str:
    values = parse_yaml(text, "params.yaml", with_places=True)
    if not values.get(_FORGOTTEN):
        return text
    lines, start = text.splitlines(), _line_of(values, _FORGOTTEN)
    later = [line for name in values if (line := _line_of(values, name)) > start]
    lines[start : _without_comments(lines, min(later, default=len(lines)))] = [
        f"{_FORGOTTEN}: {{}}"
    ]
    return "\n".join(lines) + "\n"


def _section(text: str) -> tuple[Any, list[str], int]:
    """The datasets with their places, the text's lines, and the line after the last entry."""
    values = parse_yaml(text, "params.yaml", with_places=True)
    section: Any = values.get(_SECTION) if isinstance(values, dict) else None
    is_mapping = isinstance(section, dict)
    if not is_mapping:
        raise ParameterError(
            f"params.yaml has no section {_SECTION}; add it as in the default params.yaml"
        )
    if section.fa.flow_style() or not section:
        raise ParameterError(
            f"the {_SECTION} of params.yaml are on one line; write each entry on lines of its own"
        )
    lines, places = text.splitlines(), {name: _line_of(values, name) for name in values}
    later = [line for line in places.values() if line > places[_SECTION]]
    return section, lines, _without_comments(lines, min(later, default=len(lines)))


def _line_of(section: Any, name: str) -> int:
    return int(section.lc.key(name)[0])


def _without_comments(lines: Sequence[str], end: int) -> int:
    """The line after the last one before `end` that is neither empty nor a comment."""
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _scalar(text: str) -> str:
    """A string as YAML: unquoted if that is safe, else as in JSON."""
    return text if _PLAIN.match(text) and not text[0].isdigit() else json.dumps(text)


Corpus = Literal["mead", "ravdess", "custom"]
_TABLES = (".csv", ".tsv", ".parquet")
_FRONT = "front"


@dataclass(frozen=True)
class Recognised:
    """A recognised corpus: its kind, the root for params.yaml, and its size.

    `views` is the proposed selection: with several cameras the front one and takes without video,
    unless that leaves out a speaker; empty: all.
    """

    corpus: Corpus
    root: Path
    takes: int
    speakers: int
    views: tuple[str, ...]


def recognise(place: Path) -> Recognised:
    """Recognise a folder, an archive or a manifest. Decodes nothing.

    Raises
    ------
    PipelineError
        If the place does not exist, holds no known corpus, or holds two.
    """
    place = place.expanduser().absolute()
    if not place.exists():
        raise PipelineError(f"{place} does not exist; name the folder of a corpus, or a manifest")
    if place.is_file() and place.suffix.lower() in _TABLES:
        return _recognised("custom", place, custom.draft("custom", place))
    listing = walk(place)
    drafts: dict[Corpus, Draft] = {
        "mead": mead.draft("mead", listing, place),
        "ravdess": ravdess.draft("ravdess", listing),
    }
    held = {name: draft for name, draft in drafts.items() if draft.takes}
    if len(held) > 1:
        counts = " and ".join(f"{len(d.takes)} takes of {name}" for name, d in held.items())
        raise PipelineError(f"{place} holds {counts}; name the folder of each separately")
    for name, draft in held.items():
        return _recognised(name, place, draft)
    raise PipelineError(_unknown(place))


def _recognised(corpus: Corpus, root: Path, draft: Draft) -> Recognised:
    if not draft.takes:
        raise PipelineError(
            f"{root} lists no usable take; see docs/howto/corpora.md on the manifest"
        )
    takes: Sequence[Take] = draft.takes
    return Recognised(corpus, root, len(takes), len({t.speaker for t in takes}), _views(takes))


def _views(takes: Sequence[Take]) -> tuple[str, ...]:
    cameras = {take.view for take in takes if take.video is not None}
    if len(cameras) < 2 or _FRONT not in cameras:
        return ()
    chosen = (_FRONT, *sorted({take.view for take in takes} - cameras))
    complete = {t.speaker for t in takes if t.view in chosen} == {t.speaker for t in takes}
    return chosen if complete else ()


def _unknown(place: Path) -> str:
    tables = sorted(p.name for p in place.iterdir() if p.suffix.lower() in _TABLES) if (
        place.is_dir()
    ) else []  # fmt: skip
    if tables:
        return f"{place} holds no known corpus; if {tables[0]} is its manifest, name that file"
    return (
        f"{place} holds no known corpus: MEAD has {mead.SHAPE}; RAVDESS has "
        f"{ravdess.SHAPE}; your own takes need a manifest with columns {', '.join(REQUIRED)}"
    )
