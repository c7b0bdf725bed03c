"""The project's requirements, and whether a version satisfies them.

`packaging` could do this, but may itself be missing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from pipeline.install_hints import checkout

_NAME = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(.*)$")
_CLAUSE = re.compile(r"(==|!=|>=|<=|~=|<|>)\s*([0-9][0-9A-Za-z.*+!-]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


@dataclass(frozen=True)
class Requirement:
    """A package, a version specifier, and the extra that requires it."""

    name: str
    versions: str
    extra: str

    @property
    def text(self) -> str:
        """The requirement in pip's syntax."""
        return f"{self.name}{self.versions}"

    def allows(self, version: str) -> bool:
        """Whether a version matches the specifier."""
        return all(_holds(version, *clause) for clause in _CLAUSE.findall(self.versions))


def requirements() -> list[Requirement]:
    """All requirements of the project; without an extra, `extra` is ""."""
    root = checkout()
    if root is None:
        return [_parsed(line) for line in metadata.requires("spfem-data") or ()]
    with (root / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    return list(_listed(project))


def _listed(project: dict[str, object]) -> Iterator[Requirement]:
    base, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(base, list)
    assert isinstance(extras, dict)
    yield from (_parsed(line) for line in base)
    for extra, lines in extras.items():
        yield from (_parsed(f'{line}; extra == "{extra}"') for line in lines)


def _parsed(line: str) -> Requirement:
    text, _, marker = line.partition(";")
    match = _NAME.match(text.strip())
    if match is None:
        raise AssertionError(f"{line!r} is not a requirement")
    extra = _EXTRA.search(marker)
    versions = match[2].strip().strip("()").replace(" ", "")
    return Requirement(match[1], versions, extra[1] if extra else "")


def installed(name: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _holds(version: str, operator: str, wanted: str) -> bool:
    if operator == "~=":
        lowest = _release(wanted)
        return _release(version) >= lowest and _release(version)[: len(lowest) - 1] == lowest[:-1]
    if wanted.endswith(".*"):
        head = _release(wanted[:-2])
        return (_release(version)[: len(head)] == head) == (operator == "==")
    a, b = _release(version), _release(wanted)
    length = max(len(a), len(b))
    return _COMPARE[operator](_padded(a, length), _padded(b, length))


def _release(version: str) -> tuple[int, ...]:
    """The release segment of a version: `2.13.0+cpu` is (2, 13, 0), `3.0rc1` is (3, 0)."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        digits = re.match(r"\d+", part)
        if not digits:
            break
        numbers.append(int(digits[0]))
    return tuple(numbers)


def _padded(release: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (*release, *(0,) * (length - len(release)))
