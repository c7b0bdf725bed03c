"""docs/columns.md: every column of every config, from the schema itself.

`python -m cli.reference.columns` writes the page anew; a test holds it current.
"""

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
        "and in `manifest.json`; a\npackage refuses a version that it does not know. What a change "
        "of version means: [shards.md](shards.md).\n\n"
        "Made from `spfem_data/schema.py` by `python -m cli.reference.columns`. A column "
        "that has no\nvalue in a row is null there. The first column of a config names its rows.",
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
