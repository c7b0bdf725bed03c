"""Why something is not in a dataset, as far as the tables beside its shards still say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.tools.inspect.findings import DAMAGE

_STAGES = ("shards", "pose", "align", "extract")


@dataclass(frozen=True)
class Said:
    """What a stage's table of rejects says of an item."""

    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Reasons:
    """Rejects of all stages by item, the last stage before the others."""

    by_item: dict[str, Said]

    def of(self, *items: str) -> Said | None:
        """What is said of the first of the items that anything is said of."""
        return next((self.by_item[item] for item in items if item in self.by_item), None)


@lru_cache(maxsize=2)
def read_reasons(shards: Path) -> Reasons:
    """The rejects of the run that these shards are part of; none where only shards were given.

    Tables that are damaged say nothing: they are no part of what is published.
    """
    found: dict[str, Said] = {}
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
            found.setdefault(row["item"], Said(stage, row["reason"], row["detail"]))
    return Reasons(found)
