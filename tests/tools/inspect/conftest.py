"""Shards built once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from tests.builders.dataset import make_inputs, make_run
from tests.builders.finished_shards import copy


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards as the stage leaves them, bookkeeping and all; not to be changed."""
    run = make_run(tmp_path_factory.mktemp("built"))
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    return run.folder("shards")


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return copy(built, tmp_path / "shards")
