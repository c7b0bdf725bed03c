"""Which corpus a folder or a file contains, by its file names."""

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
