"""The command `demo`: bare it is the stage, `demo train` makes the demo's networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.digests import sha256_of
from pipeline.tools.train_demo import clip
from pipeline.tools.train_demo.drawn_faces import FacesParams

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("params_here")
def test_the_bare_command_is_the_stage(call: Call) -> None:
    code, _, said = call("demo", "--dataset", "nobody")
    assert code == 1
    assert "params.yaml lists no dataset 'nobody'" in said


@pytest.mark.slow
def test_train_makes_the_files_and_tells_their_digest(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = FacesParams(seed=3, people=3, held_out=1, images=8, frame_px=160)
    monkeypatch.setattr("pipeline.tools.train_demo.drawn_faces.SHIPPED_FACES", few)
    monkeypatch.setattr(clip, "SHIPPED", clip.Recipe(seed=5, steps=2, batch=8, width=8))
    code, said, _ = call(
        "demo", "train", "--network", "clip", "--out", "made", "--faces", "f", "--workers", "1"
    )
    assert code == 0
    made = tmp_path / "made" / "demo-clip.safetensors"
    assert f"sha256 {sha256_of(made)}" in said
    assert "held-out people: accuracy" in said
    assert {path.name for path in made.parent.iterdir()} == {
        "demo-clip.json", "demo-clip.merges.gz", "demo-clip.safetensors",
    }  # fmt: skip


def test_an_unknown_network_is_told(call: Call) -> None:
    code, _, said = call("demo", "train", "--network", "yolo", "--out", "made")
    assert code == 2
    assert "yolo" in said
