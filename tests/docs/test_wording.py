"""Docs, help, messages, docstrings and comments of parameters use the field's standard words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

GLOSSARY = {
    r"(on|along|down|up) the way|the way (from|of)\b|find the way": "the pipeline; the direction",
    r"(is|are|was|were|be|been) told\b": "reported, listed",
    r"mend(s|ed|ing)?": "fix, repair",
    r"beside": "next to, with, compared with",
    r"nobody": "none, not",
    r"pictures?": "image, frame",
    r"sounds?(?! (like|right|good))": "audio",
    r"by lot": "random",
    r"(lie|stand)s? (at|in|below|beside)": "is in",
    r"lay (it |them )?onto": "warp onto, align to",
    r"take (a person|somebody) out": "delete a speaker's data",
    r"becomes? of": "how X is handled",
    r"as if (it|they) (was|were) not there": "excluded",
    r"foresee(s|n)?|fates?": "forecast, status",
}
"""What not to write, and what to write instead."""
WRONG = {word: re.compile(rf"\b({word})\b", re.IGNORECASE) for word in GLOSSARY}


def _prose_of_markdown(text: str) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def _prose_of_python(text: str) -> Iterator[tuple[int, str]]:
    """Docstrings, messages and help texts: every string of more than one word."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, re.sub(r"`[^`]*`", "", node.value)


def _prose_of_yaml(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        yield number, line.partition("#")[2]


READERS = {".md": _prose_of_markdown, ".py": _prose_of_python, ".yaml": _prose_of_yaml}


def _files(repository: Path) -> list[Path]:
    pages = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    pages += [*(repository / "examples").rglob("*.md"), repository / "params.yaml"]
    for package in ("spfem_data", "pipeline", "cli"):
        pages += (repository / package).rglob("*.py")
    return sorted(path for path in pages if path.name != "CHANGELOG.md")


def _breaches(path: Path) -> list[str]:
    lines = READERS[path.suffix](path.read_text(encoding="utf-8"))
    return [
        f"{path.name}:{number}: {found.group()!r}: use {GLOSSARY[word]}"
        for number, prose in lines
        for word, pattern in WRONG.items()
        if (found := pattern.search(prose))
    ]


def test_only_standard_words(repository: Path) -> None:
    files = _files(repository)
    assert len(files) > 300
    assert [breach for path in files for breach in _breaches(path)] == []


@pytest.mark.parametrize(
    ("name", "text", "n"),
    [
        ("page.md", "The picture is mended.\n```\nsound = 1\n```\nSee `sound_gap`.", 2),
        ("code.py", 'raise Error("the sound of a take")\nname = "sound"', 1),
        ("params.yaml", "key: sound  # nobody is told", 2),
    ],
)
def test_a_breach_is_found(tmp_path: Path, name: str, text: str, n: int) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(_breaches(tmp_path / name)) == n
