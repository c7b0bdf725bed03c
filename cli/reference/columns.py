"""docs/columns.md: every column of every config, from the schema. Written by `make reference`."""

from __future__ import annotations

from pathlib import Path

from spfem_data.schema import COLUMNS, SCHEMA_VERSION, VERSION_KEY, Column

PAGE = Path("docs/columns.md")
_KINDS = {"image": "struct<bytes, path>: an image", "audio": "struct<bytes, path>: audio"}


def page() -> str:
    """The page as Markdown."""
    parts = [
        "# Columns of the shards\n\n"
        f"Schema version {SCHEMA_VERSION}, as in each file's metadata (`{VERSION_KEY.decode()}`) "
        "and in `manifest.json`. The\nreader refuses unknown versions; [shards.md](shards.md) "
        "explains what a new version means.\n\n"
        "Generated from `spfem_data/schema.py` by `make reference`. Missing values are null. The\n"
        "first column of a config is the id of its rows.",
        *(_section(config, columns) for config, columns in COLUMNS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(config: str, columns: tuple[Column, ...]) -> str:
    lines = [f"## `{config}`\n", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{c.name}` | {_kind(c)} | {c.doc.replace('|', chr(92) + '|')} |" for c in columns]
    return "\n".join(lines)


def _kind(column: Column) -> str:
    text = _KINDS[column.media] if column.media else str(column.type)
    return text.replace("element: ", "").replace("item: ", "").replace("<", "&lt;")
