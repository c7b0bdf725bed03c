"""One input after the other through a parser, and what it must not do noted: for `fuzz`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MOST = 40
"""Findings that are told apart, by the place that they come from."""
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pty.spawn")
_SPEAKS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.bind")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


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
        self._work, self._findings, self._attempt = str(work), findings, attempt
        self._seen: set[str] = set()
        self._done: list[str] = []
        self._on = False
        sys.addaudithook(self._heard)

    def one(self, raw: bytes) -> None:
        """Try an input."""
        self._done.clear()
        self._on = True
        try:
            self._attempt(raw)
        except Exception as error:
            self._on = False
            self._note(_place(error), f"{type(error).__name__}: {error}"[:500], raw, _said(error))
        finally:
            self._on = False
        for what in self._done:
            self._note(what, what, raw, "")

    def _note(self, place: str, what: str, raw: bytes, where: str) -> None:
        if place in self._seen or len(self._seen) >= _MOST:
            return
        self._seen.add(place)
        with self._findings.open("a", encoding="utf-8") as stream:
            told = {"what": what, "input": repr(raw[:4000]), "where": where}
            stream.write(json.dumps(told) + "\n")

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in _RUNS:
            self._done.append(f"EXECUTED: {event}")
        elif event in _SPEAKS:
            self._done.append(f"SPOKE: {event}")
        elif event == "open" and isinstance(args[2], int) and args[2] & _WRITES:
            self._written(args[0])

    def _written(self, path: Any) -> None:
        if isinstance(path, (str, bytes)):
            where = os.path.abspath(os.fsdecode(path))
            if not where.startswith(self._work + os.sep):
                self._done.append(f"ESCAPED: {where[:200]}")


def _place(error: BaseException) -> str:
    """The kind of an error and the last line of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f"{os.sep}pipeline{os.sep}" in f.filename] or list(frames)
    return f"{type(error).__name__} {own[-1].filename}:{own[-1].lineno}"


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-1500:]
