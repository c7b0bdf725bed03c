"""The house itself: one name in four places, and imports that point down."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cli.main import app
from pipeline import __version__, params
from pipeline.stages import STAGES, module_of
from tests.builders.import_closure import (
    PACKAGES,
    closure,
    file_of,
    imports_of,
    is_covered,
    modules_of,
)

TOOLS = {
    "inventory",
    "run",
    "rejects",
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
    {"spfem_data"},
    {
        "pipeline",
        "pipeline.stages",
        "pipeline.errors",
        "pipeline.digests",
        "pipeline.yaml_files",
        "pipeline.install_hints",
    },
    {"pipeline.params", "pipeline.splits", "pipeline.records"},
    {"pipeline.runtime"},
    {"pipeline.models", "pipeline.media"},
    {"pipeline.alignment", "pipeline.faces", "pipeline.clip", "pipeline.stylegan"},
    {"pipeline.corpora", "pipeline.demo_corpus"},
    {"pipeline.takes"},
    {"pipeline.latents"},
    {f"pipeline.stages.{stage}" for stage in STAGES},
    {"pipeline.tools"},
    {"cli"},
]
"""Modules and packages, lowest first: a module imports only from its own layer or below.

`pipeline` and `pipeline.stages` stand for their own declarations, which import nothing.
"""
PURE = ("alignment", "faces", "clip", "stylegan")
"""The mathematics: arrays in, arrays out, no stage's shell, no tables."""
SHELL = ("run", "tables", "executor")
"""What of `pipeline.runtime` the mathematics know nothing of."""
DATA_FILES = {"pipeline.faces.expression": "pipeline/faces/expression.json"}
"""Files beside a module that it reads, where dvc.yaml watches the module by itself."""


def _yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def test_stages_carry_one_name_in_four_places(repository: Path) -> None:
    modules = {p.parent.name for p in (repository / "pipeline" / "stages").glob("*/stage.py")}
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands = (commands | {group.name for group in app.registered_groups}) - TOOLS
    sections = set(_yaml(repository / "params.yaml")) - {
        "datasets",
        "forgotten",
        "numerics",
        "splits",
        "models",
        "train_encoder",
    }
    dvc = list(_yaml(repository / "dvc.yaml")["stages"])
    assert dvc == list(STAGES)
    assert modules == commands == sections == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_a_version_and_a_run(stage: str) -> None:
    module = importlib.import_module(module_of(stage))
    assert isinstance(module.VERSION, int)
    assert callable(module.run)


def test_sections_of_params_are_those_of_the_file(repository: Path) -> None:
    assert set(params.Params.model_fields) == set(_yaml(repository / "params.yaml"))


def _layer(module: str) -> int:
    """The layer of a module: of its own name, else of the nearest package that has one."""
    names = [module]
    while "." in names[-1]:
        names.append(names[-1].rpartition(".")[0])
    bare = {"pipeline", "pipeline.stages"}
    for name in names:
        for k, layer in enumerate(LAYERS):
            if name in layer and (name == module or name not in bare):
                return k
    raise AssertionError(f"{module} has no layer")


@pytest.mark.slow
def test_imports_point_down() -> None:
    wrong = [
        f"{module} imports {name}"
        for package in PACKAGES
        for module in modules_of(package)
        for name in imports_of(module)
        if _layer(name) > _layer(module)
    ]
    assert not wrong


def test_declarations_of_stages_import_nothing() -> None:
    assert imports_of("pipeline.stages") == set()
    assert all(
        file_of(f"pipeline.stages.{stage}").read_text(encoding="utf-8") == "" for stage in STAGES
    )


def test_mathematics_know_nothing_of_runs_and_tables() -> None:
    forbidden = tuple(f"pipeline.runtime.{name}" for name in SHELL)
    for package in PURE:
        for module in modules_of(f"pipeline/{package}"):
            assert not [n for n in imports_of(module) if n.startswith(forbidden)], module


def _watched(repository: Path, stage: str) -> set[str]:
    """The code that dvc.yaml watches for a stage: files, and folders as they are listed."""
    entry = _yaml(repository / "dvc.yaml")["stages"][stage]
    return {d for d in entry.get("do", entry)["deps"] if d.split("/")[0] in PACKAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_watches_the_code_that_a_stage_imports(repository: Path, stage: str) -> None:
    watched = _watched(repository, stage)
    assert [place for place in watched if not (repository / place).exists()] == []
    needed = closure(module_of(stage))
    files = {file_of(module).relative_to(repository).as_posix() for module in needed}
    files |= {DATA_FILES[module] for module in needed & set(DATA_FILES)}
    places = tuple(place if place.endswith((".py", ".json")) else f"{place}/" for place in watched)
    assert sorted(file for file in files if not file.startswith(places)) == []
    idle = [place for place in places if not any(file.startswith(place) for file in files)]
    assert idle == [], "watched, and not imported"


def test_dvc_watches_no_code_that_versions_cover(repository: Path) -> None:
    covered = {
        file_of(module).relative_to(repository).as_posix()
        for package in ("pipeline", "spfem_data")
        for module in modules_of(package)
        if is_covered(module)
    } - {"pipeline/__init__.py", "pipeline/stages/__init__.py"}
    for stage in STAGES:
        for place in _watched(repository, stage):
            assert not [f for f in covered if f == place or f.startswith(f"{place}/")], stage


def test_no_stage_imports_a_stage() -> None:
    for stage in STAGES:
        own = f"pipeline.stages.{stage}"
        for module in modules_of(f"pipeline/stages/{stage}"):
            others = {n for n in imports_of(module) if n.startswith("pipeline.stages.")}
            assert not {n for n in others if n != own and not n.startswith(f"{own}.")}, module


def test_trainers_import_the_reader_alone() -> None:
    for module in modules_of("spfem_data"):
        assert all(name.split(".")[0] == "spfem_data" for name in imports_of(module)), module


def test_both_distributions_carry_one_version(repository: Path) -> None:
    projects = [
        tomllib.loads((repository / folder / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        for folder in (".", "distributions/spfem-data-pipeline")
    ]
    assert {project["version"] for project in projects} == {__version__}
    assert projects[1]["dependencies"] == [f"spfem-data[build]=={__version__}"]
    extra = projects[0]["optional-dependencies"]["build"]
    assert f"spfem-data-pipeline=={__version__}" in extra


def test_no_test_imports_another_test() -> None:
    """What tests share is in tests/builders, so that a test module can be read and moved alone."""
    another = re.compile(r"^\s*(from|import) tests\.[\w.]*(test_|conftest)", re.MULTILINE)
    paths = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(paths) > 200
    assert [path for path in paths if another.search(path.read_text(encoding="utf-8"))] == []
