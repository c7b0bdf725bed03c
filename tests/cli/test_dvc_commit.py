"""What commands record in dvc.lock, and when they leave it alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.dvc_commit import commit_stages, is_project_run


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with this repository's stages and parameters, and nothing run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(repository / name, tmp_path / name)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    return tmp_path


@pytest.mark.slow
def test_only_the_projects_own_run_is_recorded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_project_run(Path("data"), None)
    assert is_project_run(Path("data"), Path("params.yaml"))
    assert not is_project_run(Path("elsewhere"), None)
    assert not is_project_run(Path("data"), Path("other.yaml"))
    monkeypatch.setenv("DVC_STAGE", "align@demo")
    assert not is_project_run(Path("data"), None)


def test_outside_a_project_nothing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_project_run(Path("data"), None)


@pytest.mark.slow
def test_a_stage_that_dvc_does_not_know_is_reported(project: Path) -> None:
    problem = commit_stages(["align"], "mead")
    assert problem is not None
    assert problem.startswith("dvc.lock was not updated (")
    assert problem.endswith("; run: dvc repro align@mead")


@pytest.mark.slow
def test_merge_conflicts_in_the_lock_are_named_with_the_fix(project: Path) -> None:
    text = "schema: '2.0'\n<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    (project / "dvc.lock").write_text(text, encoding="utf-8")
    assert commit_stages(["filter", "shards"], "demo") == (
        "dvc.lock has merge conflict markers (line 2) and was not updated; run: git checkout "
        "--ours dvc.lock && dvc commit --force filter@demo shards@demo"
    )
    assert (project / "dvc.lock").read_text(encoding="utf-8") == text


@pytest.mark.slow
def test_a_stage_is_written_to_the_lock(project: Path, repository: Path) -> None:
    for folder in ("demo_corpus", "stages"):
        shutil.copytree(repository / "pipeline" / folder, project / "pipeline" / folder)
    for folder in ("corpus", "demo"):
        (project / "data" / "demo" / folder).mkdir(parents=True)
        (project / "data" / "demo" / folder / "file").write_text("made", encoding="utf-8")
    assert commit_stages(["demo"], "demo") is None
    assert "cmd: spfem-data demo --dataset demo" in (project / "dvc.lock").read_text("utf-8")


@pytest.mark.slow
def test_of_several_stages_only_changed_ones_are_committed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []

    def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
        called.append(arguments)
        out = '{"pose@demo": ["changed deps"], "elsewhere": []}'
        return subprocess.CompletedProcess(arguments, 0, out, "")

    monkeypatch.setattr("cli.dvc_commit._dvc", dvc)
    assert commit_stages(["demo", "align", "pose"], "demo") is None
    assert called == [
        ("status", "--json", "demo", "align@demo", "pose@demo"),
        ("commit", "--force", "--quiet", "pose@demo"),
    ]
