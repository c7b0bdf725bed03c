"""The contents of files below a folder."""

from __future__ import annotations

from pipeline.runtime.run import Run


def contents(made: Run) -> dict[str, bytes]:
    folder = made.folder("extract")
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "summary.json"
    }
