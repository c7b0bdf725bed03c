"""What a parser does that it must not, and one input after the other through it: for `fuzz`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MOST = 40
"""Findings that are told apart, by the place that they come from."""
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pty.spawn")
_SPEAKS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.bind")
_CHANGES = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.chown",
)  # fmt: skip
_FROM_A_FOLDER = ("os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown")
"""Those whose last argument is the open folder that they begin from, as `shutil.rmtree` does."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _is_change(event: str, args: tuple[Any, ...]) -> bool:
    """Whether an event of the interpreter changes a file or a folder."""
    if event == "open":
        return isinstance(args[2], int) and bool(args[2] & _WRITES)
    return event in _CHANGES and not (event == "os.mkdir" and os.path.isdir(args[0]))


class Deeds:
    """What a block of code did that it must not: programs, connections, files written elsewhere.

    Parameters
    ----------
    work
        The only folder in which anything may be written.
    """

    def __init__(self, work: Path) -> None:
        self._work = str(work.resolve())
        self._done: list[str] = []
        self._on = False
        sys.addaudithook(self._heard)  # for the life of the process

    @contextmanager
    def seen(self) -> Iterator[list[str]]:
        """The list of what was done in the block, each with its kind in capitals."""
        self._done = []
        self._on = True
        try:
            yield self._done
        finally:
            self._on = False

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in _RUNS:
            self._done.append(f"EXECUTED: {event}")
        elif event in _SPEAKS:
            self._done.append(f"SPOKE: {event}")
        elif _is_change(event, args):
            self._written(args[0], args[-1] if event in _FROM_A_FOLDER else -1)

    def _written(self, path: Any, folder: int) -> None:
        """`folder`: the open folder that a relative path counts from; -1: the working folder."""
        if isinstance(path, (str, bytes)):
            start = os.getcwd() if folder == -1 else os.readlink(f"/proc/self/fd/{folder}")
            where = os.path.abspath(os.path.join(start, os.fsdecode(path)))
            if not where.startswith(self._work + os.sep):
                self._done.append(f"ESCAPED: {where[:200]}")


class Watch:
    """Calls a parser and notes each new finding with its input; goes on afterwards.

    Parameters
    ----------
    work
        The only folder in which anything may be written.
    findings
        Where they are noted, a JSON a line.
    """

    def __init__(self, work: Path, findings: Path, attempt: Callable[[bytes], object]) -> None:
        self._findings, self._attempt = findings, attempt
        self._deeds = Deeds(work)
        self._seen: set[str] = set()

    def one(self, raw: bytes) -> None:
        """Try an input."""
        with self._deeds.seen() as done:
            fault = self._tried(raw)
        if fault is not None:
            self._note(_place(fault), f"{type(fault).__name__}: {fault}"[:500], raw, _said(fault))
        for what in done:
            self._note(what, what, raw, "")

    def _tried(self, raw: bytes) -> Exception | None:
        try:
            self._attempt(raw)
        except Exception as error:
            return error
        return None

    def _note(self, place: str, what: str, raw: bytes, where: str) -> None:
        if place in self._seen or len(self._seen) >= _MOST:
            return
        self._seen.add(place)
        with self._findings.open("a", encoding="utf-8") as stream:
            told = {"what": what, "input": repr(raw[:4000]), "where": where}
            stream.write(json.dumps(told) + "\n")


def _place(error: BaseException) -> str:
    """The kind of an error and the last line of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f"{os.sep}pipeline{os.sep}" in f.filename] or list(frames)
    return f"{type(error).__name__} {own[-1].filename}:{own[-1].lineno}"


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-1500:]
