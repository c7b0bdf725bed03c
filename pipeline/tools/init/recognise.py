"""Which corpus a folder or a file holds, by what its files are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.corpora import custom, mead, ravdess
from pipeline.corpora.listing import Draft
from pipeline.corpora.manifest import REQUIRED
from pipeline.corpora.scan import walk
from pipeline.errors import PipelineError
from pipeline.records import Take

Corpus = Literal["mead", "ravdess", "custom"]
_TABLES = (".csv", ".tsv", ".parquet")
_FRONT = "front"


@dataclass(frozen=True)
class Recognised:
    """A corpus that was found: its kind, the root for params.yaml, and what is in it.

    `views` is the selection that is proposed: of several cameras the front one, else all.
    """

    corpus: Corpus
    root: Path
    takes: int
    speakers: int
    views: tuple[str, ...]


def recognise(place: Path) -> Recognised:
    """Look at a folder, an archive or a manifest; nothing is decoded.

    Raises
    ------
    PipelineError
        Where nothing is there, nothing is known, or two corpora lie in one folder.
    """
    place = place.expanduser().absolute()
    if not place.exists():
        raise PipelineError(f"{place} is not there; name the folder of a corpus, or a manifest")
    if place.is_file() and place.suffix.lower() in _TABLES:
        return _told("custom", place, custom.draft("custom", place))
    found = walk(place)
    drafts: dict[Corpus, Draft] = {
        "mead": mead.draft("mead", found, place),
        "ravdess": ravdess.draft("ravdess", found),
    }
    held = {name: draft for name, draft in drafts.items() if draft.takes}
    if len(held) > 1:
        counts = " and ".join(f"{len(d.takes)} takes of {name}" for name, d in held.items())
        raise PipelineError(f"{place} holds {counts}; name the folder of each by itself")
    for name, draft in held.items():
        return _told(name, place, draft)
    raise PipelineError(_unknown(place))


def _told(corpus: Corpus, root: Path, draft: Draft) -> Recognised:
    if not draft.takes:
        raise PipelineError(f"{root} names no take that can be used; see docs on the manifest")
    takes: Sequence[Take] = draft.takes
    views = {take.view for take in takes}
    chosen = (_FRONT,) if len(views) > 1 and _FRONT in views else ()
    return Recognised(corpus, root, len(takes), len({t.speaker for t in takes}), chosen)


def _unknown(place: Path) -> str:
    tables = sorted(p.name for p in place.iterdir() if p.suffix.lower() in _TABLES) if (
        place.is_dir()
    ) else []  # fmt: skip
    if tables:
        return f"{place} holds no corpus that is known; if {tables[0]} is its manifest, name that"
    return (
        f"{place} holds no corpus that is known: MEAD has {mead.SHAPE}; RAVDESS has "
        f"{ravdess.SHAPE}; your own takes need a manifest with columns {', '.join(REQUIRED)}"
    )
