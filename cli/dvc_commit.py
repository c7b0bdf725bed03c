"""Tell DVC what a command has done: `dvc status` is right at once, `dvc repro` finds it done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.stages import STAGES


def may_seal(data: Path, params: Path | None) -> bool:
    """Whether this is a DVC project's own run: its data folder and parameters, not under DVC."""
    own = data == Path("data") and params in (None, Path("params.yaml"))
    project = Path("dvc.yaml").is_file() and Path(".dvc").is_dir()
    return own and project and "DVC_STAGE" not in os.environ


def seal(stage: str, dataset: str) -> str | None:
    """Write one stage's state to dvc.lock.

    Returns
    -------
    str or None
        Why it could not be written, in one line; the outputs are whole all the same.
    """
    name = stage if stage == STAGES[0] else f"{stage}@{dataset}"
    command = [sys.executable, "-m", "dvc", "commit", "--force", "--quiet", name]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
    return f"dvc.lock does not know of it yet ({said[-1]}); dvc repro {name} will tell it"
