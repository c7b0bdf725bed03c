"""CI of a dataset of own takes, as docs/howto/ci.md has it: clone, pull, change, compare."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline import media
from tests.builders.media_files import AUDIO_HZ, write_media
from tests.builders.speech import RATE_HZ, speak
from tests.builders.takes import talking

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def takes(folder: Path) -> Path:
    """A manifest of a neutral and a happy take of one sentence."""
    spoken = {"neutral": (1.0, 0.85), "happy": (0.85, 1.1)}
    rows = ["path,speaker,emotion,sentence"]
    for emotion, (one, other) in spoken.items():
        audio = np.concatenate([speak(1, one), speak(2, other)])
        frames = talking(round(25 * len(audio) / RATE_HZ))
        heard = media.resample(audio.astype(np.float32), RATE_HZ, AUDIO_HZ)
        write_media(folder / f"{emotion}.mp4", frames, audio=heard)
        rows.append(f"{emotion}.mp4,p,{emotion},s1")
    table = folder / "takes.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def shell(folder: Path, text: str) -> str:
    """The output of commands in a project, whose code they use."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    git = {f"GIT_{who}_{what}": "ci@example.org" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        ["sh", "-ec", text], cwd=folder, text=True, capture_output=True, timeout=1500, check=False,
        env={**os.environ, **git, "PATH": path, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def setting(project: Path, change: str) -> None:
    old, new = change.split(" -> ")
    path = project / "params.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def steps(repository: Path) -> dict[str, str]:
    """The commands of docs/howto/ci.md by the heading above them."""
    text = (repository / "docs/howto/ci.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+?)$.*?```sh\n(.+?)```", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_a_fresh_runner_reproduces_a_change_from_pulled_items(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "takes").mkdir()
    author, runner = tmp_path / "author", tmp_path / "runner"
    shell(tmp_path, f"git clone -q {repository} {author}")
    yaml = YAML()
    values = yaml.load((author / "params.yaml").read_text(encoding="utf-8"))
    select: dict[str, list[str]] = {n: [] for n in ("speakers", "emotions", "levels", "views")}
    root = str(takes(tmp_path / "takes"))
    values["datasets"] = {
        "studio": {"corpus": "custom", "root": root, "select": select, "split": "by_speaker"}
    }
    with (author / "params.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)
    commands = steps(repository)
    once = commands["Once, where the takes are"].replace("/disk/dvc-store", f"{tmp_path}/store")
    shell(author, once)
    shell(tmp_path, f"git clone -q {author} {runner}")
    pulled = commands["On the runner, for each change"].split("dvc repro")[0]
    shell(runner, pulled.split("make setup\n")[1])
    assert len(list((runner / "data/studio/extract/items").rglob("*.frames.parquet"))) == 2
    setting(runner, "min_confidence: 0.85  -> min_confidence: 0.97  ")
    rest = "dvc repro" + commands["On the runner, for each change"].split("dvc repro")[1]
    said = shell(runner, rest.replace("origin/main", "origin/HEAD"))
    assert "align.frames.min_confidence" in said
    assert "0.97" in said
    assert "extract@studio' didn't change, skipping" in said
    difference = (runner / "difference.md").read_text(encoding="utf-8")
    assert re.search(r"\| align\.frame_pairs\w* +\| \d+ +\| \d+", difference)
