"""The reference pages are what the code gives, and leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from cli.reference import commands, meanings, parameters, tables
from cli.reference.pages import PAGES
from cli.reference.text import cell, code
from pipeline import records
from pipeline.errors import REASONS
from pipeline.media import FINDINGS
from pipeline.stages import STAGES


@pytest.mark.parametrize("place", PAGES, ids=str)
def test_page_is_current(repository: Path, place: Path) -> None:
    assert (repository / place).read_text(encoding="utf-8") == PAGES[place](), "run: make reference"


def test_every_command_and_option_has_a_row_with_a_meaning() -> None:
    text = commands.page()
    found = dict(commands.commands())
    assert {f"spfem-data {stage}" for stage in STAGES} < set(found)
    for path, command in found.items():
        section = text.split(f"## `{path}`\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert f"`{parameter.opts[0]}`" in section, f"{path} {parameter.opts[0]}"
                assert len(parameter.help or "") > 3, f"{path} {parameter.opts[0]} has no help"


def test_option_says_values_default_and_environment() -> None:
    section = commands.page().split("## `spfem-data align`\n")[1].split("\n## ")[0]
    assert "| `--workers` | number | `$SPFEM_WORKERS` `0` | Processes; 0: one per core" in section
    assert "| `--lock`, `--no-lock` | flag | `--lock` |" in section
    assert "| `--shard` | I/N | `1/1` |" in section


def _leaves(value: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if not isinstance(value, dict) or not value:
        return {path}
    return {leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))}


@pytest.mark.slow
def test_every_key_of_params_has_a_row_with_a_meaning(repository: Path) -> None:
    found = {p.path: p for p in parameters.parameters()}
    assert len(found) == len(parameters.parameters())
    values = YAML(typ="safe", pure=True).load(repository / "params.yaml")
    known = [re.compile(re.escape(p).replace("<name>", r"[^.]+") + r"(\..*)?") for p in found]
    for leaf in _leaves(values):
        assert any(p.fullmatch(".".join(leaf)) for p in known), leaf
    assert {"datasets.<name>.root", "splits.<name>.unit", "models.<name>.sha256"} < set(found)
    assert [p.path for p in found.values() if len(p.meaning) < 4] == []


def test_parameter_says_bounds_choices_and_default() -> None:
    found = {p.path: p for p in parameters.parameters()}
    assert found["extract.jpeg_quality"].values == "whole number, at least 50, at most 100"
    assert found["extract.jpeg_quality"].default == "95"
    assert found["pose.method"].values == "`affine`, `affine_robust`, `similarity`"
    assert found["synth.betas.happy"].values == "number or null"


def test_comments_above_beside_and_in_braces() -> None:
    told = parameters.meanings(
        "# all of it\na:\n  b: 1   # beside\n  # above\n  c: {d: 1, e: 2}\nf: '#7'\n"
    )
    assert told == {
        ("a",): "all of it", ("a", "b"): "beside", ("a", "c"): "above", ("f",): "",
    }  # fmt: skip


def test_every_schema_of_records_is_a_table_here() -> None:
    classes = {v for v in vars(records).values() if isinstance(v, type)}
    rows = {v.SCHEMA for v in classes if issubclass(v, records.Row) and "SCHEMA" in vars(v)}
    rows.discard(records.Take.SCHEMA)  # never written: its columns are the first of clips
    files = {v for v in vars(records).values() if isinstance(v, pa.Schema)}
    assert rows | files == {listed.schema for listed in tables.TABLES}


def test_every_column_has_a_meaning_and_no_meaning_is_of_none() -> None:
    used = set()
    for listed in tables.TABLES:
        for name in listed.schema.names:
            assert len(meanings.meaning(listed.name, name)) > 3
            used |= {(listed.name, name), ("", name)}
    told = {(t, c) for t, own in meanings.MEANINGS.items() for c in own}
    assert told | {("", c) for c in meanings.COMMON} <= used


def test_every_reason_and_finding_is_told() -> None:
    text = tables.reasons_page()
    assert all(
        f"| `{slug}` | {r.kind} | {cell(r.meaning)} | {cell(code(r.setting))} |" in text
        for slug, r in REASONS.items()
    )
    assert all(f"| `{slug}` | {cell(meaning)} |" in text for slug, meaning in FINDINGS.items())
