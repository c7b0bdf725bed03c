"""Delete a speaker's data from one dataset's outputs. The corpus itself is never touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.runtime.run import Run
from pipeline.runtime.store import FileHashes, read_json
from pipeline.tools.forget.search import Person, holds, media_of, names

_DIRECTORY = ".dir"


def cache_folder(project: Path) -> Path | None:
    """DVC's cache folder; None if the project does not use DVC or has no cache yet."""
    if not (project / ".dvc").is_dir():
        return None
    done = _dvc(project, "cache", "dir")
    folder = Path(project / done.stdout.strip()) if done.returncode == 0 else project / ".dvc/cache"
    return folder if folder.is_dir() else None


def objects(cache: Path) -> list[Path]:
    """All objects of the cache, in any version of its layout."""
    return sorted(path for path in cache.rglob("*") if path.is_file() and not path.is_symlink())


def condemned(cache: Path, person: Person, media: set[bytes]) -> list[Path]:
    """The objects that name a speaker, contain their media, or are listed under their name."""
    stored = objects(cache)
    listed: set[str] = set()
    lists: set[Path] = set()
    for path in stored:
        theirs = listed_under(person, path) if path.suffix == _DIRECTORY else set()
        listed |= theirs
        lists |= {path} if theirs else set()
    return [
        path
        for path in stored
        if path in lists
        or path.parent.name + path.name in listed
        or names(person, path)
        or holds(path, media)
    ]


def listed_under(person: Person, folder: Path) -> set[str]:
    """The objects that a `.dir` object lists under the speaker's name."""
    digests = set()
    entries = read_json(folder)
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case {"md5": str(md5), "relpath": str(path)} if person.owns(path):
                digests.add(md5)
    return digests


def remotes(project: Path) -> list[str]:
    """The names of the project's remotes, which may contain pushed data."""
    if not (project / ".dvc").is_dir():
        return []
    done = _dvc(project, "remote", "list")
    return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def _dvc(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=project, capture_output=True, text=True,
        check=False, env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )  # fmt: skip


_LOCKS = {"lock"}
_ABOUT_ALL = ("shards", "report")
_PAGES = {".html", ".md", ".csv", ".svg", ".json"}
"""Files about all speakers; the next run rewrites them."""
_FITTED = ("directions", "synth")
"""Stages that fit models on codes of many speakers, or generate images with them."""


@dataclass
class Removed:
    """Deleted data: files by stage, and the digests of the speaker's images and audio."""

    files: dict[str, int] = field(default_factory=dict)
    n_bytes: int = 0
    media: set[bytes] = field(default_factory=set)

    def take(self, stage: str, path: Path) -> None:
        """Delete a file, or a link to DVC's cache, and count it."""
        self.files[stage] = self.files.get(stage, 0) + 1
        self.n_bytes += path.stat().st_size if path.exists() else 0
        path.unlink()


def purge(run: Run, person: Person, stages: Sequence[str]) -> Removed:
    """Delete every output that names a speaker, and everything fitted with their data.

    The next run of a stage rebuilds other speakers' data in affected files.
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
    """The files in a dataset's folder that still name a speaker or contain their images or audio.

    Parameters
    ----------
    sources
        Folders that are not outputs: the corpus if it is in the folder, and the demo's list of it.
    """
    folder = run.data / run.dataset
    others = [source.resolve() for source in sources]
    return [
        path
        for path in _files(folder)
        if path.name not in _LOCKS
        and not any(_is_in(path, source) for source in others)
        and (
            person.owns(path.relative_to(folder).as_posix())
            or names(person, path)
            or holds(path, media)
        )
    ]


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a file is in a resolved folder; a link belongs to the folder that contains it."""
    return (path.parent.resolve() / path.name).is_relative_to(folder)


def theirs(run: Run, person: Person, stages: Sequence[str]) -> dict[str, set[Path]]:
    """By stage, the files that name a speaker, and everything fitted with their data."""
    files = {stage: _naming(run.folder(stage), person) for stage in stages}
    if files.get("sync"):  # its regression is learnt on all speakers
        files["sync"] = set(_files(run.folder("sync")))
    if files.get("invert"):
        files |= {stage: set(_files(run.folder(stage))) for stage in _FITTED}
    for stage in _ABOUT_ALL if any(files.values()) else ():
        files[stage] = files.get(stage, set()) | {
            path
            for path in _files(run.folder(stage))
            if path.suffix in _PAGES and "items" not in path.relative_to(run.folder(stage)).parts
        }
    return files


def drop_links(folder: Path, objects: Collection[Path]) -> int:
    """Delete the links in a folder that point to one of these deleted cache objects."""
    targets = {path.resolve() for path in objects}
    links = [p for p in folder.rglob("*") if p.is_symlink() and p.resolve() in targets]
    for link in links:
        link.unlink()
    return len(links)


def _naming(folder: Path, person: Person) -> set[Path]:
    return {
        path
        for path in _files(folder)
        if person.owns(path.relative_to(folder).as_posix()) or names(person, path)
    }


def speakers_of(run: Run, stages: Sequence[str]) -> set[str]:
    """The speakers in the tables and items of a dataset, including those of a stopped run."""
    speakers: set[str] = set()
    for stage in stages:
        for path in _files(run.folder(stage) / "tables"):
            if path.suffix == ".parquet" and "speaker" in pq.read_schema(path).names:
                values = pq.read_table(path, columns=["speaker"])["speaker"]
                speakers |= set(pc.unique(values).drop_null().to_pylist())
    items = run.items("extract").folder
    speakers |= {path.name for path in (items.iterdir() if items.is_dir() else ()) if path.is_dir()}
    return speakers


def _files(folder: Path) -> list[Path]:
    """All files, including those that DVC linked from its cache."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _drop_receipts(run: Run, stage: str, removed: Removed) -> None:
    """Delete the receipt and remaining outputs of units that lost an output."""
    store = run.items(stage)
    for unit in sorted(store.units()):
        if store.receipt(unit) is None:
            removed.files[stage] = removed.files.get(stage, 0) + len(store.remove(unit))


def _drop_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*") if folder.is_dir() else (), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _clean_memory(run: Run, person: Person, removed: Removed) -> None:
    """Delete what this machine stores about source files and units."""
    hashes = FileHashes(run.local("hashes.json"))
    hashes.forget(person.may_be_named_in)
    hashes.save()
    for path in _files(run.local("")):
        if path.name not in _LOCKS and names(person, path):
            removed.take(".local", path)
