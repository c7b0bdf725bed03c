"""The reference pages and their paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli.reference import commands, parameters, tables

PAGES: dict[Path, Callable[[], str]] = {
    commands.PAGE: commands.page,
    parameters.PAGE: parameters.page,
    tables.TABLES_PAGE: tables.tables_page,
    tables.REASONS_PAGE: tables.reasons_page,
    tables.COLUMNS_PAGE: tables.columns_page,
}
