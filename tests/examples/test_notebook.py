"""The notebook runs from its first cell to its last on made shards, and carries no outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders.shards import write_everything


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_everything(tmp_path / "shards")
    monkeypatch.setenv("SPFEM_SHARDS", str(tmp_path / "shards"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shards"


def _cells(repository: Path) -> list[dict[str, Any]]:
    text = (repository / "examples/batch.ipynb").read_text(encoding="utf-8")
    return [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_cells_run_in_order(repository: Path, shards: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for number, cell in enumerate(_cells(repository)):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), found)
    assert found["SHARDS"] == str(shards)
    assert found["x"].shape == found["y"].shape == (8, 3, 64, 64)
    assert len(found["losses"]) == min(20, len(found["asccl"]) // 8)
    assert found["losses"][-1] < found["losses"][0]


def test_no_output_is_committed(repository: Path) -> None:
    assert [cell["outputs"] for cell in _cells(repository) if cell["outputs"]] == []


@pytest.mark.slow
def test_a_kernel_runs_it(repository: Path, shards: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    book = nbformat.read(repository / "examples/batch.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=240, resources={"metadata": {"path": "."}}).execute()
    printed = [out for cell in book.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in printed)
