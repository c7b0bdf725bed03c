"""The pip commands that messages print: for a checkout and for an installed package."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def checkout() -> Path | None:
    """The root of the checkout that this package is imported from; None if it is installed."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else None


def pip_install(*wanted: str) -> str:
    """The command that installs requirements into the running environment."""
    root = checkout()
    constraints = root / "constraints.txt" if root else None
    pinned = ["-c", _short(constraints)] if constraints and constraints.is_file() else []
    return f"{pip()} install {shlex.join([*pinned, *wanted])}"


def pip() -> str:
    """The pip of the running environment, as short as PATH allows."""
    python = shutil.which("python")
    same = python is not None and Path(python).absolute() == Path(sys.executable).absolute()
    return shlex.join(["python" if same else sys.executable, "-m", "pip"])


def _short(path: Path) -> str:
    """A path, relative to the working folder if it is in it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def extra_install(extra: str) -> str:
    """The command that installs an extra of this project."""
    root = checkout()
    if root is None:
        return pip_install(f"spfem-data[{extra}]")
    pipeline = root / "distributions" / "spfem-data-pipeline"
    return pip_install("-e", f"{_short(root)}[{extra}]", "-e", _short(pipeline))
