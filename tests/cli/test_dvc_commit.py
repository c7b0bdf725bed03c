"""What a command tells DVC, and when it keeps out of its way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.dvc_commit import may_seal, seal


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with this repository's stages and parameters, and nothing run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(repository / name, tmp_path / name)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    return tmp_path


def test_only_the_projects_own_run_is_sealed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert may_seal(Path("data"), None)
    assert may_seal(Path("data"), Path("params.yaml"))
    assert not may_seal(Path("elsewhere"), None)
    assert not may_seal(Path("data"), Path("other.yaml"))
    monkeypatch.setenv("DVC_STAGE", "align@demo")
    assert not may_seal(Path("data"), None)


def test_outside_a_project_nothing_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not may_seal(Path("data"), None)


def test_a_stage_that_dvc_does_not_know_is_said(project: Path) -> None:
    said = seal("align", "mead")
    assert said is not None
    assert said.startswith("dvc.lock does not know of it yet (")
    assert said.endswith("dvc repro align@mead will tell it")


def test_a_stage_is_written_to_the_lock(project: Path, repository: Path) -> None:
    for folder in ("demo_corpus", "stages"):
        shutil.copytree(repository / "pipeline" / folder, project / "pipeline" / folder)
    for folder in ("corpus", "demo"):
        (project / "data" / "demo" / folder).mkdir(parents=True)
        (project / "data" / "demo" / folder / "file").write_text("made", encoding="utf-8")
    assert seal("demo", "demo") is None
    assert "cmd: spfem-data demo --dataset demo" in (project / "dvc.lock").read_text("utf-8")
