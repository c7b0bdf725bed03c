"""The site's pages are all in its contents, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.reference.commands import commands

_FENCED = re.compile(r"```(\w*)\n(.*?)```", re.S)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#[^)]*)?\)")


def _listed(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        (value,) = entry.values()
        yield from [value] if isinstance(value, str) else _listed(value)


def _pages(repository: Path) -> list[Path]:
    return sorted((repository / "docs").rglob("*.md"))


def test_every_page_is_in_the_contents(repository: Path) -> None:
    site = YAML(typ="safe", pure=True).load(repository / "mkdocs.yml")
    there = {p.relative_to(repository / "docs").as_posix() for p in _pages(repository)}
    assert set(_listed(site["nav"])) == there


def test_links_between_pages_lead_somewhere(repository: Path) -> None:
    broken = []
    for page in _pages(repository):
        text = _FENCED.sub("", page.read_text(encoding="utf-8"))
        for link in _LINK.findall(text):
            if link and not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert not broken


def _typed(repository: Path) -> Iterator[tuple[str, list[str]]]:
    """Each call of spfem-data in a block of shell, as (page, words)."""
    guides = [repository / "README.md", repository / "CONTRIBUTING.md", *_pages(repository)]
    for page in guides:
        for kind, block in _FENCED.findall(page.read_text(encoding="utf-8")):
            if kind == "sh":
                for call in re.findall(r"(?:^|[;&|]\s*|\s)spfem-data ([^\n;|&]*)", block, re.M):
                    yield page.name, shlex.split(call.partition(" #")[0])


def test_commands_and_options_in_the_docs_exist(repository: Path) -> None:
    known = {path.removeprefix("spfem-data").strip(): c for path, c in commands()}
    unknown, seen = [], 0
    for page, words in _typed(repository):
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
        if words[0].startswith("$"):  # a loop over the stages
            name = "align"
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        if name is None:
            unknown.append(f"{page}: spfem-data {' '.join(words)}")
            continue
        there = {o for p in known[name].params for o in [*p.opts, *p.secondary_opts]}
        unknown += [f"{page}: {name} {o}" for o in options - there - {"--help"}]
        seen += 1
    assert not unknown
    assert seen > 40


def test_the_site_builds_without_a_warning(repository: Path, tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build", reason="the extra docs is not installed")
    config = pytest.importorskip("mkdocs.config")
    settings = config.load_config(
        str(repository / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True
    )
    build.build(settings)
    pages = [p.read_text(encoding="utf-8") for p in (tmp_path / "site").rglob("*.html")]
    assert len(pages) > 20
    fetched = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", re.I)
    assert not [page[:200] for page in pages if fetched.search(page)]
    assert any("<math" in page for page in pages)
    assert not [page[:200] for page in pages if 'class="arithmatex"' in page]
