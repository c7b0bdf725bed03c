"""Python and the project's packages: installed, of supported versions, without duplicates."""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.specifiers import SpecifierSet

from pipeline.install_hints import checkout, extra_install, pip, pip_install
from pipeline.tools.doctor.check import Check

BUILD = "build"
OPTIONAL = {
    "demo": "required to generate the demo corpus",
    "mds": "required only for `spfem-data export --format mds`",
    "ray": "required only for `--engine ray`",
}
"""Extras that a single feature needs; only a missing `demo` is a warning."""
_LINE = re.compile(r"([\w.-]+)\s*([^;]*)(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"])?")
_SAME_CV2 = ("opencv-python", "opencv-python-headless", "opencv-contrib-python-headless")
_MAX_NAMES = 6


@dataclass(frozen=True)
class Requirement:
    """A package, a version specifier, and the extra that requires it; "" for the reader."""

    name: str
    versions: str
    extra: str

    @property
    def text(self) -> str:
        """The requirement in pip's syntax."""
        return f"{self.name}{self.versions}"

    def allows(self, version: str) -> bool:
        """Whether a version matches the specifier."""
        return SpecifierSet(self.versions).contains(version, prereleases=True)


def requirements() -> list[Requirement]:
    """All requirements of the project."""
    lines = metadata.requires("spfem-data") or []
    root = checkout()
    if root is not None:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"].items()
        lines = [
            *project["dependencies"],
            *(f"{x}; extra == '{e}'" for e, own in extras for x in own),
        ]
    parts = [match.groups("") for line in lines if (match := _LINE.match(line))]
    return [Requirement(name, versions.strip(), extra) for name, versions, extra in parts]


def installed(name: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def missing_names() -> set[str]:
    """The required distributions of the reader and of the extra build that are not installed."""
    return {name for extra in ("", BUILD) for name in _missing(_of(extra))}


def survey() -> Iterator[Check]:
    """Python, the reader, the extras, and the versions of their packages."""
    yield python()
    reader, build = _of(""), _of(BUILD)
    gone = _missing(reader)
    if gone:
        fix = pip_install(*(r.text for r in reader if r.name in gone))
        yield Check("libraries", "fail", f"not installed: {_names(gone)}", fix)
    else:
        yield Check("libraries", "ok", "the reader's libraries are installed")
    gone = _missing(build)
    if gone:
        detail = f"not installed: {_names(gone)}; the pipeline needs them"
        yield Check("extra build", "fail", detail, extra_install(BUILD))
    else:
        yield Check("extra build", "ok", "the pipeline's libraries are installed")
    yield from _versions([*reader, *build])
    yield from _doubles()
    for name, use in OPTIONAL.items():
        yield _optional(name, use)


def python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """The Python version; mediapipe has no wheels for 3.13 and later."""
    found = f"{platform.python_version()} ({sys.executable}), {platform.machine()}"
    fix = "make setup PYTHON=python3.12" if checkout() else "python3.12 -m venv .venv"
    if not (3, 11) <= version < (3, 14):
        return Check("python", "fail", f"{found}; Python 3.11 or 3.12 is required", fix)
    if version >= (3, 13):
        detail = f"{found}; the reader works, the pipeline needs 3.11 or 3.12"
        return Check("python", "warn", detail, fix)
    return Check("python", "ok", found)


def _of(extra: str) -> list[Requirement]:
    return [requirement for requirement in requirements() if requirement.extra == extra]


def _missing(asked: Sequence[Requirement]) -> list[str]:
    return [r.name for r in asked if installed(r.name) is None]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _versions(asked: Sequence[Requirement]) -> list[Check]:
    """One check per package with an unsupported version, or one check for all."""
    found = {r: version for r in asked if (version := installed(r.name)) is not None}
    wrong = {}
    for r, version in found.items():
        if not r.allows(version):
            by = f"the extra {r.extra}" if r.extra else "the reader"
            detail = f"{r.name} {version}; {by} needs {r.versions}"
            wrong[r.name] = Check("version", "fail", detail, pip_install(r.text))
    n_packages = len({r.name for r in found})
    return list(wrong.values()) or [
        Check("versions", "ok", f"{n_packages} packages have supported versions")
    ]


def _doubles() -> Iterator[Check]:
    """Several OpenCV packages install the same `cv2`; the last one overwrites the files."""
    doubles, right = list(filter(installed, _SAME_CV2)), installed("opencv-contrib-python")
    if doubles and right:
        again = f"install --force-reinstall --no-deps opencv-contrib-python=={right}"
        fix = f"{pip()} uninstall -y {' '.join(doubles)} && {pip()} {again}"
        detail = f"{', '.join(doubles)} conflicts with opencv-contrib-python: both install cv2"
        yield Check("opencv", "fail", detail, fix)


def _optional(name: str, use: str) -> Check:
    gone = _missing(_of(name))
    if not gone:
        return Check(f"extra {name}", "ok", "installed")
    if name == "demo":
        detail = f"not installed: {_names(gone)}; {use}"
        return Check(f"extra {name}", "warn", detail, extra_install(name))
    return Check(f"extra {name}", "ok", f"not installed; {use}: {extra_install(name)}")
