"""Write one speaker's clear frames: the worker of the stage `filter`."""

from __future__ import annotations

import pyarrow as pa

from pipeline.records import CLEAR_SCHEMA
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_table
from pipeline.runtime.units import UnitResult

CLEAR = ".clear.parquet"


def write_speaker(state: None, store: ItemStore, unit: str, rows: pa.Table) -> UnitResult:
    """Write the rows of one speaker."""
    write_table(store.path(unit, CLEAR), rows.cast(CLEAR_SCHEMA).combine_chunks())
    return UnitResult(suffixes=[CLEAR])
