"""Two runs at once on one folder: one works, the other refuses in one line, nothing is mixed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.locks import Claim, hold
from tests.builders.digests import digests
from tests.builders.small_run import Small, made, outputs, run_command, touched


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return made(tmp_path)


@pytest.mark.slow
def test_runs_at_once_end_in_the_bytes_of_one(small: Small, tmp_path: Path) -> None:
    sources = digests(small.sources)
    runs = [
        subprocess.Popen(
            small.command("pose", "--force"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [run.communicate(timeout=250)[1] for run in runs]
    refused = [line for run, line in zip(runs, said, strict=True) if run.returncode]
    assert any(run.returncode == 0 for run in runs), said
    for line in refused:
        assert "error: another run is working on pose of made" in line
        assert "Traceback" not in line
    together = outputs(small)
    assert run_command(small.command("pose", "--force")).returncode == 0
    assert outputs(small) == together
    assert touched(small, sources) == []


@pytest.mark.slow
def test_a_reader_waits_or_refuses_while_its_input_is_written(small: Small) -> None:
    with hold(small.data / "made", Claim.of("align"), say=pytest.fail):
        done = run_command(small.command("pose"))
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: another run is working on align of made (last process")
    )
    assert run_command(small.command("pose")).returncode == 0


@pytest.mark.slow
def test_what_was_stopped_is_not_read(small: Small) -> None:
    assert run_command(small.command("pose")).returncode == 0
    (small.data / "made" / ".local" / "unfinished-pose").touch()
    done = run_command(small.command("shards"))
    assert done.returncode == 1
    assert "made's pose was stopped before its end, or has parts left; run first" in done.stderr
    assert run_command(small.command("pose")).returncode == 0
    assert run_command(small.command("shards")).returncode == 0


@pytest.mark.slow
def test_under_dvc_a_run_is_refused_too_and_then_done(small: Small, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()

    def dvc(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dvc", *words]
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(Path.cwd())}
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    assert dvc("init", "--no-scm", "--quiet").returncode == 0
    stage = {"pose": {"cmd": shlex.join(small.command("pose")), "always_changed": True}}
    (project / "dvc.yaml").write_text(json.dumps({"stages": stage}), encoding="utf-8")
    with hold(small.data / "made", Claim.of("pose"), say=pytest.fail):
        refused = dvc("repro")
    assert refused.returncode != 0
    assert "error: another run is working on pose of made (last process" in refused.stderr
    done = dvc("repro")
    assert done.returncode == 0, done.stderr
    assert outputs(small)
