"""Record finished stages in dvc.lock, so that `dvc status` is right and `dvc repro` finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.stages import STAGES

_LOCK = Path("dvc.lock")


def is_project_run(data: Path, params: Path | None) -> bool:
    """Whether a command writes the outputs of the DVC project here, and DVC did not start it."""
    own = data == Path("data") and params in (None, Path("params.yaml"))
    project = Path("dvc.yaml").is_file() and Path(".dvc").is_dir()
    return own and project and "DVC_STAGE" not in os.environ


def commit_stages(stages: Sequence[str], dataset: str) -> str | None:
    """Record stages of a dataset in dvc.lock.

    A commit rewrites the whole lock file once per stage. For several stages, `dvc status` first
    finds those that changed.

    Returns
    -------
    str or None
        Why dvc.lock could not be written, in one line. The outputs are complete all the same.
    """
    names = [stage if stage == STAGES[0] else f"{stage}@{dataset}" for stage in stages]
    if (line := _conflict()) is not None:
        return (
            f"{_LOCK} has merge conflict markers (line {line}) and was not updated; run: "
            f"git checkout --ours {_LOCK} && dvc commit --force {' '.join(names)}"
        )
    if len(names) > 1:
        names = _changed(names)
    done = _dvc("commit", "--force", "--quiet", *names) if names else None
    if done is None or done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
    return f"{_LOCK} was not updated ({lines[-1]}); run: dvc repro {' '.join(names)}"


def _changed(names: list[str]) -> list[str]:
    """The stages whose state differs from dvc.lock; all of them if DVC cannot tell."""
    done = _dvc("status", "--json", *names)
    try:
        changed = json.loads(done.stdout)
    except ValueError:
        return names
    return [name for name in names if name in changed]


def _dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def _conflict() -> int | None:
    if not _LOCK.is_file():
        return None
    from pipeline.yaml_files import conflict_line  # ruamel.yaml: doctor says if it is missing

    return conflict_line(_LOCK.read_bytes().decode(errors="replace"))
