"""One line of the doctor."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, what was found, and the command or setting that mends it.

    `warn`: something is poorer than it could be, `fail`: work would stop there.
    """

    name: str
    state: State
    found: str
    mend: str = ""

    def __post_init__(self) -> None:
        if (self.state == "ok") == bool(self.mend):
            raise AssertionError(f"{self.name}: what is not ok needs a mend, and nothing else")

    def as_json(self) -> dict[str, str]:
        """The check for machines."""
        return vars(self)


def checkout() -> Path | None:
    """The root of the checkout that this package is imported from; None where it is installed."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() else None


def pip_install(*wanted: str) -> str:
    """The command that installs requirements into the environment that runs this."""
    root = checkout()
    constraints = root / "constraints.txt" if root else None
    pinned = ["-c", _short(constraints)] if constraints and constraints.is_file() else []
    return f"{pip()} install {shlex.join([*pinned, *wanted])}"


def pip() -> str:
    """The pip of the environment that runs this, as short as PATH allows."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return shlex.join(["python" if same else sys.executable, "-m", "pip"])


def _short(path: Path) -> str:
    """A path from the working folder where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def extra_install(extra: str) -> str:
    """The command that installs an extra of this project."""
    root = checkout()
    if root is None:
        return pip_install(f"spfem-data[{extra}]")
    pipeline = root / "distributions" / "spfem-data-pipeline"
    return pip_install("-e", f"{_short(root)}[{extra}]", "-e", _short(pipeline))


def in_words(size: float) -> str:
    """Bytes for people, in units of 1000.

    >>> in_words(2_340_000_000)
    '2.3 GB'
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
