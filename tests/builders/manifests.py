"""Rows of a manifest of a custom corpus, and the file."""

from __future__ import annotations

import csv
from pathlib import Path


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    """A manifest of those rows."""
    names = ["path", "speaker", "emotion", "sentence"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(path: str, speaker: str = "s", sentence: str = "one") -> dict[str, str]:
    """A row of a manifest."""
    return {"path": path, "speaker": speaker, "emotion": "neutral", "sentence": sentence}
