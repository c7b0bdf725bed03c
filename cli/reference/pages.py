"""The reference pages and their paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli.reference import columns, commands, parameters, reasons, tables

PAGES: dict[Path, Callable[[], str]] = {
    m.PAGE: m.page for m in (commands, parameters, tables, reasons, columns)
}
