"""The Python of the how-to pages runs as it stands, beside made shards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builders.shards import write_everything

PAGES = {"howto/library.md": 6, "howto/thresholds.md": 1}
"""Pages, and how many examples each has."""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_everything(folder / "data/demo/shards")
    return folder


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def test_the_pages_have_their_examples(repository: Path) -> None:
    assert {page: len(blocks(repository / "docs" / page)) for page in PAGES} == PAGES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "number"), [(page, k) for page, count in PAGES.items() for k in range(count)]
)
def test_an_example_runs(
    repository: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, page: str, number: int
) -> None:
    monkeypatch.chdir(beside)
    code = blocks(repository / "docs" / page)[number]
    exec(compile(code, f"docs/{page}", "exec"), {"__name__": "example"})
