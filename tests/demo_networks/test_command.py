"""`python -m benchmarks.demo_networks` trains the demo's networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.demo_networks import __main__ as command
from benchmarks.demo_networks import clip
from benchmarks.demo_networks.drawn_faces import FacesParams
from pipeline.digests import sha256_of


@pytest.mark.slow
def test_train_writes_the_files_and_prints_their_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = FacesParams(seed=3, people=3, held_out=1, images=8, frame_px=160)
    monkeypatch.setattr("benchmarks.demo_networks.drawn_faces.SHIPPED_FACES", few)
    monkeypatch.setattr(clip, "SHIPPED", clip.Recipe(seed=5, steps=2, batch=8, width=8))
    monkeypatch.chdir(tmp_path)
    arguments = ["--network", "clip", "--out", "made", "--faces", "f", "--workers", "1"]
    done = CliRunner().invoke(command.app, arguments)
    assert (done.exit_code, done.exception) == (0, None)
    made = tmp_path / "made" / "demo-clip.safetensors"
    assert f"sha256 {sha256_of(made)}" in done.output.replace("\n", "")
    assert "held-out people: accuracy" in done.output
    assert {path.name for path in made.parent.iterdir()} == {
        "demo-clip.json", "demo-clip.merges.gz", "demo-clip.safetensors",
    }  # fmt: skip


def test_an_unknown_network_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(command.app, ["--network", "yolo", "--out", str(tmp_path / "made")])
    assert done.exit_code == 2
    assert "yolo" in done.output
