"""Download a file of weights: resumed, checked, and written whole or not at all.

The only module that opens a connection, and only for `models fetch`; stages download nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from pipeline.digests import sha256_of
from pipeline.errors import PipelineError
from pipeline.runtime.store import make_folder

SCHEMES = ("https", "http", "file")
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_TRIES = 5
PAUSE_S = 2.0
"""Seconds before a second attempt, and the increment for each further one."""
_OUT_OF_RANGE = 416
_PARTIAL = 206
_PAGES = (b"<!doctype", b"<html")

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes so far and the total, if known."""


@dataclass(frozen=True)
class Source:
    """The URL of a file, and its expected sha256."""

    url: str
    sha256: str

    def __post_init__(self) -> None:
        if scheme_of(self.url) not in SCHEMES:
            raise PipelineError(f"{self.url}: expected a URL with scheme {', '.join(SCHEMES)}")
        digits = self.sha256.lower()
        if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise PipelineError(f"sha256 {self.sha256!r}: expected 64 hexadecimal digits")


def scheme_of(url: str) -> str:
    """The scheme of a URL; "" for an invalid one, such as `http://[`."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def file_name(url: str) -> str:
    """The file name at the end of a URL; `weights` if there is none."""
    if not scheme_of(url):
        return "weights"
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return name if name.isprintable() and name.strip(".") and len(name) <= 120 else "weights"


def fetch(source: Source, target: Path, progress: Progress | None = None) -> bool:
    """Download a file, resuming an earlier attempt; a local file is copied anew.

    Returns
    -------
    Whether anything was downloaded: false if `target` is already the expected file.

    Raises
    ------
    PipelineError
        The transfer fails for good, or the file has another sha256 (it is deleted).
    """
    if target.is_file():
        if sha256_of(target) == source.sha256.lower():
            return False
        raise PipelineError(
            f"{target} exists, but its sha256 differs: delete it, or correct the sha256"
        )
    make_folder(target.parent)
    part = target.with_name(f".part-{source.sha256[:12].lower()}-{target.name}")
    with _alone(part) as stream:
        _bring(source.url, stream, progress)
        stream.flush()
        os.fsync(stream.fileno())
        found = sha256_of(part)
        if found != source.sha256.lower():
            with part.open("rb") as file:
                head = file.read(512).lower()
            is_page = any(page in head for page in _PAGES)
            said = " (it is a web page, not the file)" if is_page else ""
            part.unlink()
            raise PipelineError(
                f"{source.url} returned sha256 {found}, expected {source.sha256}{said}; "
                "it was deleted"
            )
        os.replace(part, target)
    return True


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open at its end and locked against a second fetch."""
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(f"another process is fetching {part.name}: wait for it") from None
        yield stream


def _bring(url: str, stream: BinaryIO, progress: Progress | None) -> None:
    """Append what is missing, resuming interrupted transfers."""
    for attempt in range(1, _TRIES + 1):
        before = stream.tell()
        try:
            if _append(url, stream, progress):
                return
            why = "the transfer broke off"
        except HTTPError as error:
            if error.code < 500:
                raise PipelineError(f"{url}: {error.code} {error.reason}") from None
            why = f"{error.code} {error.reason}"
        except (URLError, HTTPException, OSError) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
        if attempt == _TRIES or (stream.tell() == before and urlsplit(url).scheme == "file"):
            raise PipelineError(
                f"{url}: {why} after {stream.tell()} bytes; the same command resumes"
            )
        if stream.tell() == before:
            time.sleep(PAUSE_S * attempt)


def _append(url: str, stream: BinaryIO, progress: Progress | None) -> bool:
    """One transfer from the end of the file; whether it was complete."""
    start = stream.tell()
    asked = Request(url, headers={"Range": f"bytes={start}-", "User-Agent": "spfem-data"})
    try:
        reply = urlopen(asked, timeout=_TIMEOUT_S)
    except HTTPError as error:
        if error.code == _OUT_OF_RANGE and start:
            return True  # complete, or another file: the sha256 decides
        raise
    with reply:
        if reply.status != _PARTIAL and start:
            stream.truncate(0)  # a server without ranges, or a local file, gives the whole
            stream.seek(0)
        length = reply.headers.get("Content-Length")
        told = length and length.isascii() and length.isdigit() and len(length) < 20
        whole = stream.tell() + int(length) if told else None
        while chunk := reply.read(_CHUNK_BYTES):
            stream.write(chunk)
            if progress:
                progress(stream.tell(), whole)
        return whole is None or stream.tell() == whole
