"""Fixtures of the command line's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def params_here(repository: Path, tmp_path: Path) -> Path:
    """The default params.yaml in the folder where `call` runs commands."""
    return Path(shutil.copy(repository / "params.yaml", tmp_path / "params.yaml"))
