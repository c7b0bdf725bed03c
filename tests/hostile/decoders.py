"""Decoders that crash, hang and swell, planted in extract's worker for takes of such names."""

from __future__ import annotations

import ctypes
import time

from pipeline.runtime.store import ItemStore
from pipeline.runtime.units import UnitResult
from pipeline.stages.extract import stage as extract
from pipeline.stages.extract.worker import extract_take

_extract_take = extract_take


def extract_take(tools: extract.Tools, store: ItemStore, unit: str, job: extract.Job) -> UnitResult:
    """extract's own function, with a fault in the native code under it for some takes."""
    if "crashes" in unit:
        ctypes.string_at(0)
    if "hangs" in unit:  # as a loop in C does: nothing of Python runs any more
        ctypes.PyDLL(None).sleep(600)
    if "swells" in unit:
        held = []
        for _ in range(60):
            held.append(b"\x01" * (50 << 20))
            time.sleep(0.05)
        time.sleep(600)
    return _extract_take(tools, store, unit, job)
