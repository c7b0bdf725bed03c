"""List all media files below a root, in folders and in unmodified archives, and problems with them.

Symbolic links between folders are followed, as large corpora often use them; each folder is entered
once, so loops end. Links inside archives are never followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from os.path import splitext
from pathlib import Path

from pipeline.corpora.archives import ARCHIVES, Problem, base_of, index_of, parts_of
from pipeline.corpora.listing import Finding
from pipeline.errors import Reject, printable
from pipeline.records import Source

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".flv"})
AUDIO_SUFFIXES = frozenset({".m4a", ".wav", ".mp3", ".aac", ".flac", ".ogg", ".opus"})
MEDIA_SUFFIXES = VIDEO_SUFFIXES | AUDIO_SUFFIXES
_NO_CORPUS = frozenset({"__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information"})
_PIECE = re.compile(r"\.(tar|zip)\.\w{1,5}$|\.t[gbx]z2?$|\.z\d\d$|\.rar$|\.7z$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """One media file or archive member, and why it cannot be read if that is already known."""

    source: Source
    problem: Problem | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of folders, archive and member from the root to the file; the archive's counts as a
        folder, without its extension."""
        path = self.source.path.split("/")
        if self.source.member is None:
            return tuple(path)
        return (*path[:-1], splitext(path[-1])[0], *parts_of(self.source.member))

    @property
    def suffix(self) -> str:
        """The file's extension in lower case."""
        return _suffix(self.parts[-1])

    @property
    def stem(self) -> str:
        """The file's name without extension."""
        return splitext(self.parts[-1])[0]

    @property
    def is_video(self) -> bool:
        """Whether the extension is one of video files."""
        return self.suffix in VIDEO_SUFFIXES

    @property
    def order(self) -> tuple[bool, bool, str, str]:
        """Sort key of the preferred copy: readable ones, then plain files, then by name."""
        member = self.source.member
        return self.problem is not None, member is not None, self.source.path, member or ""


@dataclass
class Walk:
    """The contents of a root: media files in order, unreadable folders and archives, notes."""

    root: Path
    files: list[Found] = field(default_factory=list)
    refused: list[tuple[str, Problem]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def note(self, kind: str, item: str) -> None:
        """Record something that is not a take but that the user should know about."""
        self.findings.append(Finding(kind, printable(item)))


def walk(root: Path) -> Walk:
    """Find all media files below `root`, which may also be a single file, such as one archive.

    Hidden files and those of operating systems are noted, not listed.
    """
    walked = Walk(root)
    paths = iter([root.name]) if root.is_file() else _paths(root, walked)
    base = base_of(root)
    for path in paths:
        suffix = _suffix(path)
        if suffix in ARCHIVES:
            _look_into(base, path, walked)
        elif suffix in MEDIA_SUFFIXES:
            walked.files.append(Found(Source(path), _file_problem(base / path)))
        elif _PIECE.search(path):
            walked.note("packed_archive", path)
    walked.files.sort(key=lambda file: file.order)
    walked.refused.sort()
    return walked


def _paths(root: Path, walked: Walk) -> Iterator[str]:
    """Relative paths of all files; real folders first, then linked ones, each once."""
    folders, links = [""], list[str]()
    entered = set[tuple[int, int]]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = os.stat(root / folder)
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            walked.refused.append((folder or ".", ("unreadable", _words(error))))
            continue
        if (status.st_dev, status.st_ino) in entered:
            walked.note("linked_twice", folder)
            continue
        entered.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not _is_named_well(path, entry.name, walked):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif os.path.isdir(root / path):
                links.append(path)
            else:
                yield path


def _is_named_well(path: str, name: str, walked: Walk) -> bool:
    if name.startswith(".") or name in _NO_CORPUS:
        if _suffix(name) in MEDIA_SUFFIXES:
            walked.note("hidden_file", path)
        return False
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        walked.refused.append((shown, ("unreadable", "its name is not UTF-8; rename it")))
        return False
    return True


def _file_problem(path: Path) -> Problem | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return "missing_file", f"a broken link: {_words(error)}"
    return None if stat.S_ISREG(mode) else ("unreadable", "it is not a regular file")


def _look_into(base: Path, path: str, walked: Walk) -> None:
    try:
        index = index_of(base / path)
    except Reject as reject:
        walked.refused.append((path, (reject.reason, reject.detail)))
        return
    if index.fault is not None:
        walked.refused.append((path, index.fault))
    for member in index.members.values():
        parts = parts_of(member.name)
        suffix = _suffix(member.name)
        source = Source(path, member.name)
        if any(p in _NO_CORPUS or (p.startswith(".") and p != "..") for p in parts):
            if suffix in MEDIA_SUFFIXES:
                walked.note("hidden_file", str(source))
        elif suffix in MEDIA_SUFFIXES:
            walked.files.append(Found(source, index.problem(member)))
        elif suffix in ARCHIVES or _PIECE.search(member.name):
            walked.note("nested_archive", str(source))
    for count, member in enumerate(index.replaced, start=1):
        problem = "duplicate_take", "the archive holds a later member of the same name"
        walked.refused.append((f"{Source(path, member.name)}#{count}", problem))


def _suffix(name: str) -> str:
    return splitext(name)[1].lower()


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
