"""The page of columns is that of the schema."""

from __future__ import annotations

from pathlib import Path

from cli.reference.tables import COLUMNS_PAGE as PAGE
from cli.reference.tables import columns_page as page
from spfem_data.schema import COLUMNS


def test_page_is_current(repository: Path) -> None:
    written = (repository / PAGE).read_text(encoding="utf-8")
    assert written == page(), "run: make reference"


def test_page_has_every_column_of_every_config() -> None:
    text = page()
    for config, columns in COLUMNS.items():
        section = text.split(f"## `{config}`\n")[1].split("\n## ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [
            column.name for column in columns
        ]


def test_every_column_says_what_it_means() -> None:
    for columns in COLUMNS.values():
        assert all(len(column.doc) > 3 for column in columns)
