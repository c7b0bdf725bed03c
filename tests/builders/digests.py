"""What lies below a folder, to compare two runs byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.digests import sha256_of


def digests(folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
    """sha256 of every file below a folder; what is local to a machine is no output."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and ".local" not in path.parts
        and path.relative_to(folder).parts[0] not in without
    }
