"""Python and the project's packages: installed, of supported versions, without duplicates."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterable

from pipeline.install_hints import checkout, extra_install, pip, pip_install
from pipeline.tools.doctor.check import Check
from pipeline.tools.doctor.requirements import Requirement, installed, requirements

BUILD, DEMO = "build", "demo"
OPTIONAL = {
    DEMO: "required to generate the demo corpus",
    "mds": "required only for `spfem-data export --format mds`",
    "ray": "required only for `--engine ray`",
}
"""Extras that a single feature needs."""
_FIRST, _BUILD_UNTIL, _READ_UNTIL = (3, 11), (3, 13), (3, 14)
_SAME_CV2 = ("opencv-python", "opencv-python-headless", "opencv-contrib-python-headless")
_MAX_NAMES = 6


def python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """The Python version; mediapipe has no wheels for 3.13 and later."""
    version_text = f"{platform.python_version()} ({sys.executable}), {platform.machine()}"
    fix = "make setup PYTHON=python3.12" if checkout() else "python3.12 -m venv .venv"
    if not _FIRST <= version < _READ_UNTIL:
        return Check("python", "fail", f"{version_text}; Python 3.11 or 3.12 is required", fix)
    if version >= _BUILD_UNTIL:
        return Check(
            "python",
            "warn",
            f"{version_text}; the reader works, the pipeline needs 3.11 or 3.12",
            fix,
        )
    return Check("python", "ok", version_text)


def missing_names() -> set[str]:
    """The required distributions of the reader and of the extra build that are not installed."""
    asked = [r for r in requirements() if r.extra in ("", BUILD)]
    return {r.name for r in asked if installed(r.name) is None}


def survey(*, is_wanted: bool) -> list[Check]:
    """The reader, build and other extras. `is_wanted`: there is a project, so build is required."""
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
        fix = pip_install(*(r.text for r in gone))
        return Check("libraries", "fail", f"not installed: {_names(gone)}", fix)
    return Check("libraries", "ok", "the reader's libraries are installed")


def _build(
    asked: Iterable[Requirement], own: set[str], *, has_build: bool, is_wanted: bool
) -> Check:
    gone = [r for r in asked if installed(r.name) is None]
    if not gone:
        return Check("extra build", "ok", "the pipeline's libraries are installed")
    fix = extra_install(BUILD)
    if has_build or is_wanted:
        return Check(
            "extra build", "fail", f"not installed: {_names(gone)}; the pipeline needs them", fix
        )
    detail = "not installed: shards can be read, verified and shown, but not built"
    return Check("extra build", "warn", detail, fix)


def _names(asked: Iterable[Requirement]) -> str:
    names = [r.name for r in asked]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _versions(asked: Iterable[Requirement]) -> list[Check]:
    """One check per package with an unsupported version, or one check for all."""
    wrong: dict[str, Check] = {}
    checked = set()
    for requirement in asked:
        version = installed(requirement.name)
        if version is None:
            continue
        checked.add(requirement.name)
        if not requirement.allows(version):
            by = f"the extra {requirement.extra}" if requirement.extra else "the reader"
            detail = f"{requirement.name} {version}; {by} needs {requirement.versions}"
            wrong[requirement.name] = Check(
                "version", "fail", detail, pip_install(requirement.text)
            )
    return list(wrong.values()) or [
        Check("versions", "ok", f"{len(checked)} packages have supported versions")
    ]


def _doubles() -> list[Check]:
    """Several OpenCV packages install the same `cv2`; the last one overwrites the files."""
    doubles = [name for name in _SAME_CV2 if installed(name)]
    if not doubles or installed("opencv-contrib-python") is None:
        return []
    right = f"opencv-contrib-python=={installed('opencv-contrib-python')}"
    again = f"{pip()} install --force-reinstall --no-deps {right}"
    fix = f"{pip()} uninstall -y {' '.join(doubles)} && {again}"
    detail = f"{', '.join(doubles)} conflicts with opencv-contrib-python: both install cv2"
    return [Check("opencv", "fail", detail, fix)]


def _extra(name: str, asked: Iterable[Requirement], use: str) -> Check:
    """An optional extra: only a missing `demo` is a warning."""
    gone = [r for r in asked if installed(r.name) is None]
    if not gone:
        return Check(f"extra {name}", "ok", "installed")
    if name == DEMO:
        return Check(
            f"extra {name}", "warn", f"not installed: {_names(gone)}; {use}", extra_install(name)
        )
    return Check(f"extra {name}", "ok", f"not installed; {use}: {extra_install(name)}")
