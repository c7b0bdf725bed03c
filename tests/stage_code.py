"""Digests of the code that each stage's outputs depend on, as recorded beside its VERSION.

`python -m tests.stage_code` records them anew. Before that: if the change gives other bytes for
the same input, bump VERSION in the stage's module, or users' reused items are stale and nothing
says so.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.stages import STAGES, module_of
from tests.builders.import_closure import PACKAGES

REPOSITORY = Path(__file__).resolve().parent.parent
RECORDED = Path(__file__).with_suffix(".json")


def watched(stage: str) -> list[Path]:
    """The Python files that dvc.yaml lists as the stage's code, sorted."""
    stages = YAML(typ="safe", pure=True).load(REPOSITORY / "dvc.yaml")["stages"]
    entry = stages[stage].get("do", stages[stage])
    paths = [REPOSITORY / d for d in entry["deps"] if d.split("/")[0] in PACKAGES]
    files = {
        f for p in paths for f in (p.rglob("*.py") if p.is_dir() else [p]) if f.suffix == ".py"
    }
    return sorted(files)


def code_digest(files: list[Path]) -> str:
    """sha256 of what the files do: comments, docstrings and layout do not count."""
    hasher = hashlib.sha256()
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [n for n in body if not _is_text(n)]
        name = path.relative_to(REPOSITORY).as_posix()
        hasher.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return hasher.hexdigest()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def current() -> dict[str, dict[str, object]]:
    """Version and digest of every stage as the code stands."""
    return {
        stage: {
            "version": importlib.import_module(module_of(stage)).VERSION,
            "code": code_digest(watched(stage)),
        }
        for stage in STAGES
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
