"""The training example: a stopped run goes on with equal numbers, and the two curves part."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.builders.shards import write_pairs

GIVEN: dict[str, Any] = {
    "steps": 24, "batch_size": 8, "learning_rate": 2e-3, "size_px": 48, "min_confidence": 0.2,
    "seed": 0, "device": "cpu", "save_every": 4, "watch_every": 6,
}  # fmt: skip


@pytest.fixture
def example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "examples/train"))
    for name in ("train", "metric"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("train")


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_the_curves_part(example: ModuleType, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    write_pairs(tmp_path / "shards", ["happy", "sad"])
    folders = [tmp_path / name for name in ("whole", "stopped")]
    for folder in folders:
        folder.mkdir()
    shards = str(tmp_path / "shards")
    whole = example.train(shards, GIVEN, folders[0])
    example.train(shards, GIVEN, folders[1], stop_at=10)
    assert torch.load(folders[1] / "last.pt", weights_only=True)["step"] == 10
    again = example.train(shards, GIVEN, folders[1])
    assert [row[0] for row in whole] == [0, 6, 12, 18, 24]
    assert again == whole
    (_, same_0, other_0), (_, same, other) = whole[0], whole[-1]
    assert same - other > same_0 - other_0 + 0.1


def test_settings_are_those_of_the_example(example: ModuleType, repository: Path) -> None:
    given = example.settings(repository / "examples/train/params.yaml")
    assert set(given) == set(GIVEN)
    assert given["steps"] == 200
