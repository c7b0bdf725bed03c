"""DVC and git: on PATH, quiet, and the same environment that DVC will call."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.tools.doctor.check import Check, extra_install
from pipeline.tools.doctor.requirements import installed


def examine(here: Path = Path()) -> Iterator[Check]:
    """What versioning needs; where nothing is versioned, that is said and nothing asked."""
    if not (here / "dvc.yaml").is_file():
        yield Check("dvc", "ok", "no dvc.yaml here: stages run by their commands, unversioned")
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
        mend = f'export PATH="{Path(sys.executable).parent}:$PATH"'
        return Check("dvc", "warn", f"dvc {version} is installed, but not on PATH", mend)
    return Check("dvc", "ok", f"dvc {version}, {where}")


def _analytics(here: Path) -> Check:
    if os.environ.get("DVC_NO_ANALYTICS") or _setting(here, "analytics") == "false":
        return Check("dvc analytics", "ok", "off")
    mend = "dvc config core.analytics false"
    return Check("dvc analytics", "warn", "on: dvc reports its use over the network", mend)


def _setting(here: Path, name: str) -> str | None:
    """A setting of DVC's section core; the local file counts more than the project's."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([here / ".dvc" / "config", here / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return None
    value = parser.get("core", name, fallback=None)
    return value.strip().lower() if value is not None else None


def _own_command() -> Check:
    """DVC runs `spfem-data` as PATH has it, which must be of this environment."""
    where = shutil.which("spfem-data")
    folder = Path(sys.executable).parent
    if where is not None and Path(where).resolve().parent == folder.resolve():
        return Check("command", "ok", where)
    found = "spfem-data is not on PATH" if where is None else f"PATH has another: {where}"
    return Check("command", "warn", f"{found}; dvc repro would not run this one",
                 f'export PATH="{folder}:$PATH"')  # fmt: skip


def _git(here: Path) -> Check:
    if shutil.which("git") is None:
        return Check("git", "warn", "git is not on PATH: no versions", "apt-get install git")
    root = next(
        (p for p in (here.absolute(), *here.absolute().parents) if (p / ".git").exists()), None
    )
    if root is None:
        return Check("git", "warn", "this folder is in no git repository", "git init && dvc init")
    attributes = root / ".gitattributes"
    if attributes.is_file() and "filter=lfs" in attributes.read_text("utf-8", "replace"):
        mend = "git lfs pull, then give the files to DVC: git lfs untrack, dvc add"
        return Check(
            "git", "warn", "some files are kept by git LFS, which nothing here needs", mend
        )
    return Check("git", "ok", f"a repository at {root}; no LFS")
