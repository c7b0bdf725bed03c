"""The training example: a stopped run goes on with equal numbers, and the two curves part."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.builders.shards import write_pairs

GIVEN: dict[str, Any] = {
    "steps": 24, "batch_size": 8, "learning_rate": 2e-3, "size_px": 48, "min_confidence": 0.2,
    "seed": 0, "device": "cpu", "save_every": 4, "watch_every": 6,
}  # fmt: skip


@pytest.fixture
def example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "examples/train"))
    for name in ("train", "metric"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("train")


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_the_curves_part(example: ModuleType, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    write_pairs(tmp_path / "shards", ["happy", "sad"])
    folders = [tmp_path / name for name in ("whole", "stopped")]
    for folder in folders:
        folder.mkdir()
    shards = str(tmp_path / "shards")
    whole = example.train(shards, GIVEN, folders[0])
    example.train(shards, GIVEN, folders[1], stop_at=10)
    assert torch.load(folders[1] / "last.pt", weights_only=True)["step"] == 10
    again = example.train(shards, GIVEN, folders[1])
    assert [row[0] for row in whole] == [0, 6, 12, 18, 24]
    assert again == whole
    (_, same_0, other_0), (_, same, other) = whole[0], whole[-1]
    assert same - other > same_0 - other_0 + 0.1


def test_settings_are_those_of_the_example(example: ModuleType, repository: Path) -> None:
    given = example.settings(repository / "examples/train/params.yaml")
    assert set(given) == set(GIVEN)
    assert given["steps"] == 200


def _repository_with_shards(folder: Path) -> Path:
    """A git repository whose shards DVC tracks, as a dataset's author commits them."""
    write_pairs(folder / "data/demo/shards", ["happy", "sad"])
    _shell(
        "git init -q && dvc init -q && dvc add -q data/demo/shards && git add -A && "
        "git -c user.name=a -c user.email=a@b.c commit -qm shards",
        folder,
    )
    return folder


def _shell(commands: str, folder: Path) -> None:
    named = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.c"}
    named |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in named.items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, **named, "PATH": path, "HOME": str(folder), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_commands_of_the_page_run_as_they_are_written(repository: Path, tmp_path: Path) -> None:
    source = _repository_with_shards(tmp_path / "dataset")
    page = (repository / "examples/train/README.md").read_text(encoding="utf-8")
    commands = page.split("```sh\n")[1].split("```")[0].replace("REPOSITORY", str(source))
    assert "cp -r examples/train ~/metric && cd ~/metric" in commands
    home = tmp_path / "home"
    shutil.copytree(repository / "examples", home / "examples")
    small = home / "examples/train/params.yaml"
    small.write_text(re.sub(r"steps: \d+", "steps: 6", small.read_text()))
    _shell(commands, home)
    assert {"figure.png", "last.pt", "shards.dvc"} <= {p.name for p in (home / "metric").iterdir()}
    recorded = (home / "metric/shards.dvc").read_text()
    assert "path: data/demo/shards" in recorded
    assert "rev_lock: " in recorded
