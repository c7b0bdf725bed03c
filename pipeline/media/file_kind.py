"""What a file is that no demuxer knows, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

MediaSource = str | Path | BinaryIO
"""A path, or a seekable stream (a member of an archive)."""

_PAGE = "as after a failed download; download the file again"
_MAGIC = (
    (b"version https://git-lfs.github.com/spec/", "it is a Git LFS pointer; run: git lfs pull"),
    (b"<!doctype html", f"it is a web page, {_PAGE}"),
    (b"<html", f"it is a web page, {_PAGE}"),
    (b"<?xml", f"it is an XML document, {_PAGE}"),
    (b"{", f"it is a JSON document, {_PAGE}"),
    (b"gif8", "it is a GIF, which has no audio; use the video that it was made from"),
    (b"\x1f\x8b", "it is a gzip file; unpack it"),
    (b"pk\x03\x04", "it is a zip archive; name it .zip, or unpack it"),
    (b"rar!", "it is a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "it is a 7-Zip archive; unpack it"),
)
"""First bytes in lower case, and the message."""
_HEAD_BYTES = 64


def file_kind(source: MediaSource) -> str | None:
    """What a file is by its first bytes, and what to do; None if that is not known."""
    try:
        head = _head(source)
    except OSError:
        return None
    if not head.strip(b"\0"):
        what = "holds only zeros" if head else "is empty (0 bytes)"
        return f"it {what}, as after a broken copy; copy or download it again"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((meaning for magic, meaning in _MAGIC if text.startswith(magic)), None)


def _head(source: MediaSource) -> bytes:
    if isinstance(source, str | os.PathLike):
        with Path(os.fspath(source).removeprefix("file:")).open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    source.seek(0)
    return source.read(_HEAD_BYTES)
