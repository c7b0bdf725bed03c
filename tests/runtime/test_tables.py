"""What is said of tables that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TableError
from pipeline.runtime.tables import iter_batches, read_table

MISSING = (
    r"a\.frames\.parquet is missing: DVC does not store items; run: spfem-data extract --dataset "
    r"mead, or copy \S*mead/extract/items from another machine$"
)


def test_missing_items_name_the_command(tmp_path: Path) -> None:
    path = tmp_path / "mead" / "extract" / "items" / "M003" / "a.frames.parquet"
    with pytest.raises(TableError, match=MISSING):
        read_table(path)
    with pytest.raises(TableError, match=MISSING):
        list(iter_batches(path, ["frame"], 10))
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "gone")  # a link into a cache that was removed
    with pytest.raises(TableError, match=MISSING):
        read_table(path)


def test_a_damaged_file_is_another_matter(tmp_path: Path) -> None:
    path = tmp_path / "mead" / "extract" / "items" / "a.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1")
    with pytest.raises(TableError, match=r"not a readable table \(.*\); remove it and rerun"):
        read_table(path)
