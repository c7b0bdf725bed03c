"""The examples of docs/reading.md and README.md run on generated shards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builders.shards import write_everything


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_everything(folder / "data/demo/shards")
    return folder


def blocks(page: Path) -> list[str]:
    examples = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    return [block for block in examples if "spfem_data import" in block]


def test_the_page_has_its_examples(repository: Path) -> None:
    assert len(blocks(repository / "docs/reading.md")) == 3
    assert len(blocks(repository / "README.md")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "number"),
    [("docs/reading.md", 0), ("docs/reading.md", 1), ("docs/reading.md", 2), ("README.md", 0)],
)
def test_an_example_runs(
    repository: Path, project: Path, monkeypatch: pytest.MonkeyPatch, page: str, number: int
) -> None:
    monkeypatch.chdir(project)
    names: dict[str, object] = {}
    exec(blocks(repository / page)[number], names)
    batch = names["batch"]
    assert isinstance(batch, dict)
    assert batch
