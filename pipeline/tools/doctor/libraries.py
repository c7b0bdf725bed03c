"""Python, and the packages of the project: there, of versions that serve, and no two of one."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterable

from pipeline.tools.doctor.check import Check, checkout, extra_install, pip, pip_install
from pipeline.tools.doctor.requirements import Requirement, installed, requirements

BUILD, DEMO = "build", "demo"
OPTIONAL = {
    DEMO: "the demo corpus cannot be made without it",
    "mds": "only `spfem-data export --format mds` needs it",
    "ray": "only `--engine ray` needs it",
}
"""Extras that one thing needs, and which."""
_FIRST, _BUILD_UNTIL, _READ_UNTIL = (3, 11), (3, 13), (3, 14)
_SAME_CV2 = ("opencv-python", "opencv-python-headless", "opencv-contrib-python-headless")
_TOLD = 6


def python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """Python's own version; mediapipe has no wheel from 3.13 on."""
    found = f"{platform.python_version()} ({sys.executable}), {platform.machine()}"
    again = "python3.12 -m venv .venv"
    mend = "make setup PYTHON=python3.12" if checkout() else again
    if not _FIRST <= version < _READ_UNTIL:
        return Check("python", "fail", f"{found}; 3.11 or 3.12 is needed", mend)
    if version >= _BUILD_UNTIL:
        return Check("python", "warn", f"{found}; the reader runs, the pipeline needs 3.12", mend)
    return Check("python", "ok", found)


def missing_names() -> set[str]:
    """The distributions of base and build that are not installed."""
    asked = [r for r in requirements() if r.extra in ("", BUILD)]
    return {r.name for r in asked if installed(r.name) is None}


def survey(*, is_wanted: bool) -> list[Check]:
    """Base, build and extras; `is_wanted`: there is a project, so the pipeline is meant to run."""
    asked: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in requirements():
        asked[requirement.extra].append(requirement)
    own = {r.name for r in asked[""]}
    has_build = any(installed(r.name) for r in asked[BUILD] if r.name not in own)
    checks = [_base(asked[""])]
    checks.append(_build(asked[BUILD], own, has_build=has_build, is_wanted=is_wanted))
    checks += _versions([*asked[""], *(asked[BUILD] if has_build else ())])
    checks += _doubles()
    checks += [_extra(name, asked[name], use) for name, use in OPTIONAL.items() if name in asked]
    return checks


def _base(asked: Iterable[Requirement]) -> Check:
    gone = [r for r in asked if installed(r.name) is None]
    if gone:
        mend = pip_install(*(r.text for r in gone))
        return Check("libraries", "fail", f"not installed: {_names(gone)}", mend)
    return Check("libraries", "ok", "those of the reader are installed")


def _build(
    asked: Iterable[Requirement], own: set[str], *, has_build: bool, is_wanted: bool
) -> Check:
    gone = [r for r in asked if installed(r.name) is None]
    if not gone:
        return Check("extra build", "ok", "installed: the pipeline's libraries")
    mend = extra_install(BUILD)
    if has_build or is_wanted:
        return Check("extra build", "fail", f"the pipeline lacks {_names(gone)}", mend)
    found = "not installed: shards can be read, checked and shown, not made"
    return Check("extra build", "warn", found, mend)


def _names(asked: Iterable[Requirement]) -> str:
    names = [r.name for r in asked]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def _versions(asked: Iterable[Requirement]) -> list[Check]:
    """One line a package whose version does not serve, or one line for all."""
    wrong: dict[str, Check] = {}
    seen = set()
    for requirement in asked:
        version = installed(requirement.name)
        if version is None:
            continue
        seen.add(requirement.name)
        if not requirement.serves(version):
            by = f"the extra {requirement.extra}" if requirement.extra else "the reader"
            found = f"{requirement.name} {version}, {by} needs {requirement.versions}"
            wrong[requirement.name] = Check("version", "fail", found, pip_install(requirement.text))
    return list(wrong.values()) or [Check("versions", "ok", f"{len(seen)} packages in range")]


def _doubles() -> list[Check]:
    """Several OpenCV packages own the same `cv2`: the last one installed wins, file by file."""
    doubles = [name for name in _SAME_CV2 if installed(name)]
    if not doubles or installed("opencv-contrib-python") is None:
        return []
    right = f"opencv-contrib-python=={installed('opencv-contrib-python')}"
    again = f"{pip()} install --force-reinstall --no-deps {right}"
    mend = f"{pip()} uninstall -y {' '.join(doubles)} && {again}"
    found = f"{', '.join(doubles)} beside opencv-contrib-python: both own cv2"
    return [Check("opencv", "fail", found, mend)]


def _extra(name: str, asked: Iterable[Requirement], use: str) -> Check:
    """An extra of which most people have no use: told, not asked for; but for the demo's."""
    gone = [r for r in asked if installed(r.name) is None]
    if not gone:
        return Check(f"extra {name}", "ok", "installed")
    if name == DEMO:
        return Check(f"extra {name}", "warn", f"lacks {_names(gone)}; {use}", extra_install(name))
    return Check(f"extra {name}", "ok", f"not installed; {use}: {extra_install(name)}")
