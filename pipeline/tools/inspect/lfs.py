"""Git LFS pointers: small text files in place of the files that `git lfs pull` downloads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import TableError

_HEAD = b"version https://git-lfs.github.com/spec/"
ADVICE = "is a Git LFS pointer, not the file itself; run: git lfs pull"


def is_pointer(path: Path) -> bool:
    """Whether a file is a Git LFS pointer; False if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


def refuse_pointers(paths: Iterable[Path]) -> None:
    """Refuse files that are Git LFS pointers.

    Raises
    ------
    TableError
        When one is; the message names the command.
    """
    pointer = next((path for path in sorted(paths) if is_pointer(path)), None)
    if pointer is not None:
        raise TableError(f"{pointer} {ADVICE}")
