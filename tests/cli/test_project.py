"""Commands find the project upwards, mean typed paths as typed, and write in no other folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.project import find_root
from pipeline.stages import STAGES

REFUSED = (
    "error: no params.yaml here or in a folder above; change to the project's folder, create a "
    "project here with spfem-data init, or name a file with --params\n"
)


def test_the_nearest_params_of_ours_is_the_project(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_root(inner) is None
    (tmp_path / "params.yaml").write_text("datasets:\n  x: 1\n")
    (tmp_path / "a" / "params.yaml").write_text("lr: 0.1\n")  # another program's
    assert find_root(inner) == tmp_path
    (inner / "params.yaml").write_text("")
    assert find_root(inner) == inner


def test_a_command_in_a_subfolder_works_on_the_project(
    call, params_here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = {"stage": "align", "grain": "clip pair", "planned": 4, "kept": 3, "look": []}
    tables = tmp_path / "data" / "demo" / "align" / "tables"
    tables.mkdir(parents=True)
    (tables / "summary.json").write_text(json.dumps({**summary, "reasons": {"few_pairs": 1}}))
    inner = tmp_path / "notes" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    code, out, err = call("status", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["stages"]["align"]["kept"] == 3
    assert list(inner.iterdir()) == []


def test_typed_paths_are_relative_to_where_they_were_typed(
    call, params_here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "notes"
    inner.mkdir()
    monkeypatch.chdir(inner)
    code, _, err = call("align-pair", "a.wav", "b.wav")
    assert code == 1
    assert str(inner / "a.wav") in err
    code, out, _ = call("status", "--data", "elsewhere", "--json")
    assert json.loads(out)["stages"] == dict.fromkeys(STAGES)
    assert not (inner / "elsewhere").exists()


@pytest.mark.parametrize("command", [["extract"], ["run"], ["train-encoder", "--out", "x"]])
def test_nothing_is_written_outside_a_project(call, command: list[str], tmp_path: Path) -> None:
    assert call(*command) == (1, "", REFUSED)
    assert list(tmp_path.iterdir()) == []
