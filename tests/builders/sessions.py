"""Processes of a session, killed ones among them: for who kills whole trees."""

from __future__ import annotations

from pathlib import Path


def alive(session: int) -> int:
    """How many processes of a session are alive (Linux)."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, theirs = path.read_text().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        count += theirs == str(session) and state != "Z"
    return count
