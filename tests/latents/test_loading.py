"""What a worker of `synth` is given to judge clarity by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.clip.architecture import read_architecture
from pipeline.clip.judge import Judge, load_scorer
from pipeline.models.registry import Weights
from pipeline.params import load
from pipeline.stages.synth import worker
from tests.builders.dataset import texture
from tests.builders.drawing_generator import DrawnNets
from tests.builders.tiny_clip import PROMPTS, made_network


@pytest.mark.slow
def test_made_images_are_judged_as_they_are_framed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`making` frames them as `score` does; framed once more, faces would be cut to a mouth."""
    _, config, weights = made_network(tmp_path)
    prompts = tuple(tuple(own) for own in PROMPTS)
    judge = Judge(
        read_architecture(str(config)),
        Weights("t", weights, ""),
        prompts,
        "ned256",
        "cpu",
        "fp32",
        4,
    )
    monkeypatch.setattr(worker, "load_networks", lambda weights, section: DrawnNets())
    monkeypatch.setattr(worker, "replace", lambda nets, clarity: DrawnNets(clarity=clarity))
    maker = worker.maker({}, load(None).invert, judge)
    images = [texture(k)[:128, :128] for k in range(3)]
    wanted = load_scorer(judge).probabilities(images)
    np.testing.assert_allclose(maker.nets.clarity(images), wanted, atol=1e-6)
