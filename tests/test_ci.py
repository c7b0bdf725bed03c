"""The scripts of CI say what they find, and the workflows call what is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tests.builders.shards import write_everything

WORKFLOWS = (".github/workflows/dataset.yml", ".gitlab-ci.yml")


def _calls_audit(value: Any) -> bool:
    return any("sh .ci/audit.sh" in text for text in _texts(value))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("place", [".github/workflows/audit.yml", ".gitlab-ci.yml"])
def test_known_holes_are_asked_for_weekly_and_on_every_change_of_a_pin(
    repository: Path, place: str
) -> None:
    told = YAML(typ="safe", pure=True).load(repository / place)
    assert _calls_audit(told)
    text = (repository / place).read_text(encoding="utf-8")
    assert "schedule" in text
    assert "constraints.txt" in text
    pins = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin) for pin in pins)


@pytest.mark.parametrize("place", WORKFLOWS)
def test_workflow_calls_scripts_and_targets_that_are_there(repository: Path, place: str) -> None:
    said = "\n".join(_texts(YAML(typ="safe", pure=True).load(repository / place)))
    scripts = set(re.findall(r"sh (\.ci/\S+)", said))
    assert {".ci/check-lock.sh", ".ci/compare.sh"} <= scripts
    assert all((repository / script).is_file() for script in scripts)
    targets = set(re.findall(r"\bmake (\w+)\b", said)) & {
        "setup", "run", "test", "lint", "docs", "git",
    }  # fmt: skip
    rules = (repository / "Makefile").read_text(encoding="utf-8")
    assert {"setup", "run", "test", "lint", "docs"} <= targets
    for target in targets - {"git"}:
        assert re.search(rf"^{target}:", rules, re.M), target


def test_gitlab_jobs_are_of_its_stages(repository: Path) -> None:
    entries = YAML(typ="safe", pure=True).load(repository / ".gitlab-ci.yml")
    jobs = {name: e for name, e in entries.items() if isinstance(e, dict) and "script" in e}
    assert set(jobs) == {"test", "audit", "docs", "reproduce", "bytes"}
    assert {job["stage"] for job in jobs.values()} == set(entries["stages"])


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `make test` has it; pytest may also have been called by its path."""
    tools = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


def _run(script: Path, folder: Path, *arguments: str, path: str | None = None) -> tuple[int, str]:
    environment = os.environ | {"PATH": path or os.environ["PATH"]}
    done = subprocess.run(
        ["/bin/sh", str(script), *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_lock_is_not_called_stale_where_dvc_is_missing(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    code, said = _run(repository / ".ci/check-lock.sh", tmp_path, path=str(tmp_path))
    assert code == 2
    assert said.startswith("dvc is not on PATH")
    assert "stale" not in said


@pytest.mark.slow
def test_lock_is_not_called_stale_where_dvc_is_misconfigured(
    repository: Path, project: Path
) -> None:
    (project / ".dvc/config.local").write_text('["remote \\"x\\""]\n    keyfile = k\n')
    code, said = _run(repository / ".ci/check-lock.sh", project)
    assert code == 2
    assert "configuration error" in said
    assert "stale" not in said


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of one stage: a number in, a metric out."""
    git = ["git", "-c", "user.email=a@example.org", "-c", "user.name=a"]
    (tmp_path / "params.yaml").write_text("gate: 0.85\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  one:\n    cmd: sed 's/gate/kept/' params.yaml > metrics.yaml\n"
        "    params: [gate]\n    metrics: [metrics.yaml: {cache: false}]\n"
    )
    for command in (
        ["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"],
        ["git", "add", "."], [*git, "commit", "-qm", "one"],
    ):  # fmt: skip
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    return tmp_path


@pytest.mark.slow
def test_lock_is_fresh_then_stale_then_differences_are_told(
    repository: Path, project: Path
) -> None:
    check, compare = repository / ".ci/check-lock.sh", repository / ".ci/compare.sh"
    assert _run(check, project) == (0, "dvc.lock is fresh\n")
    (project / "params.yaml").write_text("gate: 0.95\n")
    code, said = _run(check, project)
    assert code == 1
    assert said.endswith("dvc.lock is stale: run make run, then commit dvc.lock and the metrics\n")
    subprocess.run(["dvc", "repro", "-q"], cwd=project, check=True, capture_output=True)
    code, said = _run(compare, project, "HEAD", "https://example.org/report")
    assert code == 0
    parameters, metrics = said.split("### Parameters")[1].split("### Metrics")
    for part, key in ((parameters, "gate"), (metrics, "kept")):
        assert re.search(rf"\| \w+\.yaml +\| {key} +\| 0\.85 +\| 0\.95", part)
    assert "The report: https://example.org/report" in said


@pytest.mark.slow
def test_difference_to_an_unknown_revision_is_refused(repository: Path, project: Path) -> None:
    code, said = _run(repository / ".ci/compare.sh", project, "nowhere")
    assert code == 2
    assert said.startswith("nowhere is no revision here")


def test_metrics_are_split_into_changes_and_rounding(repository: Path) -> None:
    told = {"m.json": {
        "kept": {"old": 0.85, "new": 0.95, "diff": 0.1},
        "median": {"old": 26.3156, "new": 26.3154, "diff": -0.0002},
        "new": {"new": 3},
    }}  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(repository / ".ci/metrics.py")], input=json.dumps(told),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "| Path | Metric | old | new |",
        "|---|---|---|---|",
        "| m.json | kept | 0.85 | 0.95 |",
        "| m.json | new | None | 3 |",
        "",
        "1 other metrics differ by rounding (at most 0.1 %).",
    ]


@pytest.mark.slow
def test_data_of_another_revision_is_compared_where_the_cache_has_it(
    repository: Path, project: Path
) -> None:
    shards = project / "data" / "demo" / "shards"
    shards.mkdir(parents=True)
    (shards / "manifest.json").write_text("{}", encoding="utf-8")
    code, said = _run(repository / ".ci/compare.sh", project, "HEAD")
    assert code == 0
    assert "### Data in `data/demo/shards`" in said
    assert "not compared: this cache does not hold the shards of HEAD" in said


def test_the_demo_is_made_from_nothing_on_two_kinds_of_runner(repository: Path) -> None:
    jobs = YAML(typ="safe", pure=True).load(repository / ".github/workflows/dataset.yml")["jobs"]
    job = jobs["bytes"]
    assert len(set(job["strategy"]["matrix"]["runner"])) == 2
    said = "\n".join(_texts(job["steps"]))
    assert "git diff --exit-code -- dvc.lock data/demo/report/metrics.json" in said
    assert "actions/cache" not in said
    assert jobs["same-bytes"]["needs"] == "bytes"


@pytest.mark.slow
def test_torchvision_can_be_imported_by_the_users_own_scripts() -> None:
    """Its compiled part may be built for another torch: `.ci/install.sh` sees to that."""
    done = subprocess.run(
        [sys.executable, "-c", "import torchvision; print(torchvision.ops.nms.__name__)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["nms"], done.stderr


def test_pythons_of_the_workflow_are_those_that_are_promised(repository: Path) -> None:
    jobs = YAML(typ="safe", pure=True).load(repository / ".github/workflows/dataset.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert jobs["reader"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"


def test_gate_runs_the_quick_tests_and_all(repository: Path) -> None:
    steps = (repository / ".ci/run").read_text().splitlines()
    assert steps[-2:] == ["make test", "make test-all"]


def test_reader_script_counts_every_row(repository: Path, tmp_path: Path) -> None:
    write_everything(tmp_path)
    alone = "import sys; sys.modules['librosa'] = None; sys.argv[:] = sys.argv[1:]; "
    run = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = repository / ".ci/reader.py"
    done = subprocess.run(
        [sys.executable, "-c", alone + run, script, tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["Pairs", "Windows"]


def _tables_of_revision(folder: Path, name: str, column: str, finding: str, value: float) -> Path:
    table = pa.table({"n": [value], column: [b"jpeg"], "findings": [["mouth_covered", finding]]})
    (folder / "synth" / "tables").mkdir(parents=True)
    pq.write_table(table, folder / "synth" / "tables" / name)
    (folder / "synth" / "summary.json").write_text(json.dumps({finding: 1, "seconds": value}))
    return folder


@pytest.mark.parametrize(("value", "code", "equal"), [(1.5, 0, 2), (1.25, 1, 1)])
def test_renamed_data_are_equal_and_changed_data_are_not(
    repository: Path, tmp_path: Path, value: float, code: int, equal: int
) -> None:
    old = _tables_of_revision(tmp_path / "a", "pictures.parquet", "picture", "quiet_sound", 1.5)
    new = _tables_of_revision(tmp_path / "b", "images.parquet", "image", "quiet_audio", value)
    done = subprocess.run(
        [sys.executable, repository / ".ci/renamed.py", old, new],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, "")
    assert f"{equal} of 2 files equal under the table of renames" in done.stdout
