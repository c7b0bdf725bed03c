"""DVC and git: on PATH, analytics off, and DVC calls the same environment."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.install_hints import extra_install
from pipeline.tools.doctor.check import Check
from pipeline.tools.doctor.requirements import installed


def examine(here: Path = Path()) -> Iterator[Check]:
    """Check DVC and git; a folder without dvc.yaml needs neither."""
    if not (here / "dvc.yaml").is_file():
        yield Check("dvc", "ok", "no dvc.yaml here: stages run without versioning")
        return
    yield _dvc()
    yield _analytics(here)
    yield _own_command()
    yield _git(here)


def _dvc() -> Check:
    version = installed("dvc")
    if version is None:
        return Check("dvc", "fail", "dvc is not installed", extra_install("build"))
    where = shutil.which("dvc")
    if where is None:
        fix = f'export PATH="{Path(sys.executable).parent}:$PATH"'
        return Check("dvc", "warn", f"dvc {version} is installed, but not on PATH", fix)
    return Check("dvc", "ok", f"dvc {version}, {where}")


def _analytics(here: Path) -> Check:
    if os.environ.get("DVC_NO_ANALYTICS") or _setting(here, "analytics") == "false":
        return Check("dvc analytics", "ok", "off")
    fix = "dvc config core.analytics false"
    return Check("dvc analytics", "warn", "on: DVC sends usage data over the network", fix)


def _setting(here: Path, name: str) -> str | None:
    """A setting of DVC's section core; the local file overrides the project's."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([here / ".dvc" / "config", here / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return None
    value = parser.get("core", name, fallback=None)
    return value.strip().lower() if value is not None else None


def _own_command() -> Check:
    """DVC runs the `spfem-data` on PATH, which must belong to this environment."""
    where = shutil.which("spfem-data")
    folder = Path(sys.executable).parent
    if where is not None and Path(where).resolve().parent == folder.resolve():
        return Check("command", "ok", where)
    detail = "spfem-data is not on PATH" if where is None else f"another one is on PATH: {where}"
    return Check("command", "warn", f"{detail}; dvc repro would not run this environment",
                 f'export PATH="{folder}:$PATH"')  # fmt: skip


def _git(here: Path) -> Check:
    if shutil.which("git") is None:
        return Check(
            "git", "warn", "git is not on PATH; versioning needs it", "apt-get install git"
        )
    root = next(
        (p for p in (here.absolute(), *here.absolute().parents) if (p / ".git").exists()), None
    )
    if root is None:
        return Check(
            "git", "warn", "this folder is not in a git repository", "git init && dvc init"
        )
    attributes = root / ".gitattributes"
    if attributes.is_file() and "filter=lfs" in attributes.read_text("utf-8", "replace"):
        fix = "git lfs pull, then move the files to DVC: git lfs untrack, dvc add"
        return Check("git", "warn", "some files are stored in Git LFS; use DVC instead", fix)
    return Check("git", "ok", f"repository {root}, no LFS")
