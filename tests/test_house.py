"""The house itself: one name in four places, and imports that point down."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cli.main import app
from pipeline import params
from pipeline.stages import PURPOSE, STAGES, module_of

TOOLS = {
    "inventory",
    "forget",
    "status",
    "plan",
    "doctor",
    "init",
    "align-pair",
    "show-pair",
    "audit-pairs",
    "export",
    "verify",
    "show",
    "diff",
    "train-encoder",
    "models",
}

LAYERS = [
    {"errors", "progress"},
    {"records"},
    {"reuse", "locking", "yaml_text"},
    {"rates"},
    {"tables", "tracks", "params", "engine", "split", "media", "models", "fetch"},
    {"run"},
    {"dtw", "faces", "clip", "clarity", "stylegan", "shards", "corpora", "report"},
    {"extracting", "pairing", "packing", "scoring", "sifting", "families", "audit", "published"},
    {"export", "forgetting", "doctor", "starting"},
    {"stages", "training"},
    {"planning"},
]
"""Modules of `pipeline`, lowest first: a module imports only from its own layer or below."""
MATHEMATICS = {
    "dtw", "faces", "clip", "clarity", "stylegan", "extracting", "pairing", "packing", "scoring",
    "sifting", "families", "report", "media", "corpora", "split",
}  # fmt: skip
"""Packages whose change may change what a stage gives."""
PURE = {"dtw", "faces", "clip", "clarity", "stylegan"}
"""The mathematics: arrays in, arrays out, no stage's shell, no tables."""


def _yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def test_stages_carry_one_name_in_four_places(repository: Path) -> None:
    modules = {p.stem for p in (repository / "pipeline" / "stages").glob("[!_]*.py")}
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands = (commands | {group.name for group in app.registered_groups}) - TOOLS
    sections = set(_yaml(repository / "params.yaml")) - {
        "datasets",
        "forgotten",
        "splits",
        "models",
        "train_encoder",
    }
    dvc = list(_yaml(repository / "dvc.yaml")["stages"])
    assert dvc == list(STAGES)
    assert modules == commands == sections == set(STAGES) == set(PURPOSE)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_a_version_and_a_run(stage: str) -> None:
    module = importlib.import_module(module_of(stage))
    assert isinstance(module.VERSION, int)
    assert callable(module.run)


def test_sections_of_params_are_those_of_the_file(repository: Path) -> None:
    assert set(params.Params.model_fields) == set(_yaml(repository / "params.yaml"))


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n.split(".")[1] for n in names if n.startswith("pipeline.")}


def _layer(name: str) -> int:
    found = [k for k, layer in enumerate(LAYERS) if name in layer]
    return found[0] if found else -1


def test_imports_point_down(repository: Path) -> None:
    root = repository / "pipeline"
    wrong = []
    for path in sorted(root.rglob("*.py")):
        own = path.relative_to(root).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert _layer(own) >= 0, f"{own} has no layer"
        for name in _imports(path) - {own}:
            if _layer(name) > _layer(own):
                wrong.append(f"{path.relative_to(repository)} imports {name}")
    assert not wrong


def test_mathematics_know_nothing_of_runs_and_tables(repository: Path) -> None:
    for package in PURE:
        for path in (repository / "pipeline" / package).glob("*.py"):
            assert not _imports(path) & {"run", "tables", "engine", "params", "corpora"}, path


def test_dvc_watches_code_that_is_there(repository: Path) -> None:
    stages = _yaml(repository / "dvc.yaml")["stages"]
    for name, stage in stages.items():
        watched = {d for d in stage.get("do", stage)["deps"] if d.startswith("pipeline")}
        assert f"pipeline/stages/{name}.py" in watched
        assert [d for d in watched if not (repository / d).exists()] == []
        needed = _imports(repository / "pipeline" / "stages" / f"{name}.py") & MATHEMATICS
        assert needed <= {d.split("/")[1].removesuffix(".py") for d in watched}, name


def test_no_stage_imports_a_stage(repository: Path) -> None:
    for path in (repository / "pipeline" / "stages").glob("[!_]*.py"):
        assert "stages" not in _imports(path), path
