"""Which modules a module imports, directly and through others: by reading the code."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("spfem_data", "pipeline", "cli")
COVERED_BY_VERSION = (
    "pipeline",
    "pipeline.digests",
    "pipeline.errors",
    "pipeline.install_hints",
    "pipeline.params",
    "pipeline.records",
    "pipeline.runtime",
    "pipeline.stages",
    "pipeline.yaml_files",
    "spfem_data.errors",
    "spfem_data.labels",
)
"""Modules and packages that every stage uses: when they change what a stage gives, its VERSION is
raised, and dvc.yaml does not watch them."""


def file_of(module: str) -> Path | None:
    """The file of a module of this project, None where it is none."""
    place = REPOSITORY / module.replace(".", "/")
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file() and module.split(".")[0] in PACKAGES:
            return path
    return None


def modules_of(package: str) -> list[str]:
    """All modules below a package, sorted; a package goes by its own name."""
    paths = (REPOSITORY / package).rglob("*.py")
    parts = (path.relative_to(REPOSITORY).with_suffix("").parts for path in paths)
    return sorted(".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts)


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of this project that a module names in its imports, wherever these stand.

    A package counts where something is taken from itself: that a submodule is imported through it
    does not change what the submodule gives.
    """
    path = file_of(module)
    if path is None:
        return frozenset()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if file_of(name) else node.module for name in below}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if file_of(name))


def closure(module: str) -> set[str]:
    """A module and all that it imports, but for `COVERED_BY_VERSION` and what only that imports."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in seen and not is_covered(name):
            seen.add(name)
            todo += imports_of(name)
    return seen


def is_covered(module: str) -> bool:
    """Whether a module is one of `COVERED_BY_VERSION`, or below a package of them."""
    bare = {"pipeline", "pipeline.stages"}  # declarations alone, not what is below them
    return any(
        module == name or (name not in bare and module.startswith(f"{name}."))
        for name in COVERED_BY_VERSION
    )
