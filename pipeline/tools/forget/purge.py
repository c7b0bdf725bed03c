"""Removing a person from one dataset's outputs; the corpus itself is never touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.runtime.run import Run
from pipeline.runtime.store import FileHashes
from pipeline.tools.forget.search import holds, media_of, names
from pipeline.tools.forget.speaker_names import Person

_LOCKS = {"lock"}
_TOLD = ("shards", "report")
_PAGES = {".html", ".md", ".csv", ".svg", ".json"}
"""What tells of everybody at once; the next run writes it anew."""
_FITTED = ("directions", "synth")
"""Stages that fit something on many people's codes, or make pictures by it."""


@dataclass
class Removed:
    """What was taken away: files by stage, and the digests of the person's pictures and sounds."""

    files: dict[str, int] = field(default_factory=dict)
    n_bytes: int = 0
    media: set[bytes] = field(default_factory=set)

    def take(self, stage: str, path: Path) -> None:
        """Remove a file and count it."""
        self.files[stage] = self.files.get(stage, 0) + 1
        self.n_bytes += path.stat().st_size
        path.unlink()


def purge(run: Run, person: Person, stages: Sequence[str]) -> Removed:
    """Remove every output that names a person, and what was fitted with them.

    What others have in the same file is made again by the next run of its stage.
    """
    removed = Removed()
    for stage, paths in theirs(run, person, stages).items():
        folder = run.folder(stage)
        for path in sorted(paths):
            whole = person.owns(path.relative_to(folder).as_posix())
            if path.suffix not in {".json", ".html", ".csv", ".md"}:
                removed.media |= media_of(person, path, all_rows=whole)
        for path in sorted(paths):
            removed.take(stage, path)
        _drop_receipts(run, stage, removed)
        _drop_empty(folder)
    _clean_memory(run, person, removed)
    return removed


def left(run: Run, person: Person, media: set[bytes], sources: Sequence[Path]) -> list[Path]:
    """The files of a dataset's folder that still name a person or hold a picture of theirs.

    Parameters
    ----------
    sources
        Folders that are no outputs: the corpus, where it lies below, and the demo's list of it.
    """
    folder = (run.data / run.dataset).resolve()
    others = [source.resolve() for source in sources]
    return [
        path
        for path in _files(folder)
        if path.name not in _LOCKS
        and not any(path.is_relative_to(source) for source in others)
        and (
            person.owns(path.relative_to(folder).as_posix())
            or names(person, path)
            or holds(path, media)
        )
    ]


def theirs(run: Run, person: Person, stages: Sequence[str]) -> dict[str, set[Path]]:
    """By stage, the files that name a person, and all that was fitted with them."""
    found = {stage: _naming(run.folder(stage), person) for stage in stages}
    if found.get("invert"):
        found |= {stage: set(_files(run.folder(stage))) for stage in _FITTED}
    for stage in _TOLD if any(found.values()) else ():
        found[stage] = found.get(stage, set()) | {
            path
            for path in _files(run.folder(stage))
            if path.suffix in _PAGES and "items" not in path.relative_to(run.folder(stage)).parts
        }
    return found


def _naming(folder: Path, person: Person) -> set[Path]:
    return {
        path
        for path in _files(folder)
        if person.owns(path.relative_to(folder).as_posix()) or names(person, path)
    }


def speakers_of(run: Run, stages: Sequence[str]) -> set[str]:
    """Whom the tables and items of a dataset name, also where a run was stopped."""
    found: set[str] = set()
    for stage in stages:
        for path in _files(run.folder(stage) / "tables"):
            if path.suffix == ".parquet" and "speaker" in pq.read_schema(path).names:
                values = pq.read_table(path, columns=["speaker"])["speaker"]
                found |= set(pc.unique(values).drop_null().to_pylist())
    items = run.items("extract").folder
    found |= {path.name for path in (items.iterdir() if items.is_dir() else ()) if path.is_dir()}
    return found


def _files(folder: Path) -> list[Path]:
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _drop_receipts(run: Run, stage: str, removed: Removed) -> None:
    """A unit that lost an output loses its receipt and its other outputs."""
    store = run.items(stage)
    for unit in sorted(store.units()):
        if store.receipt(unit) is None:
            removed.files[stage] = removed.files.get(stage, 0) + len(store.remove(unit))


def _drop_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*") if folder.is_dir() else (), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _clean_memory(run: Run, person: Person, removed: Removed) -> None:
    """What this machine remembers of source files and of units."""
    hashes = FileHashes(run.local("hashes.json"))
    hashes.forget(person.may_be_named_in)
    hashes.save()
    for path in _files(run.local("")):
        if path.name not in _LOCKS and names(person, path):
            removed.take(".local", path)
