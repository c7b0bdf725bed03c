"""Reject reasons from the tables of the run that contains the shards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.tools.inspect.findings import DAMAGE

_STAGES = ("shards", "pose", "align", "extract")


@dataclass(frozen=True)
class KnownReject:
    """A row of a stage's rejected table."""

    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Reasons:
    """Rejects of all stages by item; later stages take precedence."""

    by_item: dict[str, KnownReject]

    def of(self, *items: str) -> KnownReject | None:
        """The reject of the first item that has one."""
        return next((self.by_item[item] for item in items if item in self.by_item), None)


@lru_cache(maxsize=2)
def read_reasons(shards: Path) -> Reasons:
    """The rejects of the run that contains these shards; empty for a copy of the shards alone.

    Damaged tables are ignored, because they are not part of the published dataset.
    """
    by_item: dict[str, KnownReject] = {}
    for stage in _STAGES:
        folder = shards if stage == "shards" else shards.parent / stage
        path = folder / "tables" / "rejected.parquet"
        if not path.is_file():
            continue
        try:
            rows = pq.read_table(path, columns=["item", "reason", "detail"]).to_pylist()
        except DAMAGE:
            continue
        for row in rows:
            by_item.setdefault(row["item"], KnownReject(stage, row["reason"], row["detail"]))
    return Reasons(by_item)
