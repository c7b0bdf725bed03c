"""Delete a speaker's data from DVC's local cache, whose objects are identified by content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.runtime.store import read_json
from pipeline.tools.forget.search import holds, names
from pipeline.tools.forget.speaker_names import Person

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
