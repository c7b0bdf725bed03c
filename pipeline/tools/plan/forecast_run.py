"""A run whose earlier stages have not all run yet: their tables as they are expected to become.

The stages' own `plan` is asked for its units on such a run, so that what is foreseen and what is
done cannot part. What is not there yet has digests that no file can have: keys made of them are
nobody's, and their units count as to be redone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.records import Row
from pipeline.runtime.run import Run
from pipeline.runtime.store import FileHashes
from pipeline.runtime.tables import AnyRow

EXPECTED = "expected"
"""Stands where the digest of a file stands that is not there yet."""


class UnreadHashes(FileHashes):
    """Hashes of the files that were read before; others are not read only to be told of."""

    def sha256(self, path: Path, start: int = 0, length: int | None = None) -> str:
        """The remembered hash, else one that no file has."""
        return self.known(path, start, length) or EXPECTED


@dataclass(frozen=True)
class Foreseen(Run):
    """A run with expected tables (stage, name) and items (stage, unit) in place of those on disk.

    `is_fresh`: no take was ever extracted, so that no source file need be read to compare it.
    """

    tables: dict[tuple[str, str], Sequence[Row]] = field(default_factory=dict, compare=False)
    made: dict[tuple[str, str], pa.Table] = field(default_factory=dict, compare=False)
    is_fresh: bool = False

    def need(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow]:
        """The expected rows of an earlier stage's table, else those on disk."""
        rows = self.tables.get((stage, name))
        return super().need(stage, name, kind) if rows is None else _of_kind(rows, kind)

    def find(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow] | None:
        """As `need`; None where that stage has not run and nothing is expected of it."""
        rows = self.tables.get((stage, name))
        return super().find(stage, name, kind) if rows is None else _of_kind(rows, kind)

    def read_item(
        self,
        stage: str,
        unit: str,
        suffix: str,
        columns: Sequence[str] | None = None,
        schema: pa.Schema | None = None,
    ) -> pa.Table:
        """The expected table of a unit, else the one on disk."""
        table = self.made.get((stage, unit))
        if table is None:
            return super().read_item(stage, unit, suffix, columns, schema)
        return table if columns is None else table.select(list(columns))

    def hashes(self) -> FileHashes:
        """The memory of source files' hashes; a corpus never extracted is not read for it."""
        memory = self.local("hashes.json")
        return UnreadHashes(memory) if self.is_fresh else FileHashes(memory)


def _of_kind(rows: Sequence[Row], kind: type[AnyRow]) -> list[AnyRow]:
    found = [row for row in rows if isinstance(row, kind)]
    assert len(found) == len(rows)
    return found
