"""The training of the demo's networks, in small: it learns, it goes on, its files load."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.demo_networks import stylegan
from benchmarks.demo_networks.drawn_faces import FaceSet, FacesParams, draw_faces
from benchmarks.demo_networks.framed import Framed, framed_faces
from benchmarks.demo_networks.stylegan import SHIPPED, Recipe, train
from pipeline.errors import PipelineError
from pipeline.models.registry import Weights, read_weights
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import network_of

RECIPE = Recipe(seed=1, steps=8, batch=4, parts=1, judged_from=0.5, decay_from=0.9, r1_every=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceSet, Framed]:
    folder = tmp_path_factory.mktemp("faces")
    faces = draw_faces(FacesParams(3, 3, 1, 8, 128), folder, workers=1)
    return faces, framed_faces(faces, 32)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stylegan, "GENERATOR", GeneratorConfig(32, (16, 16, 8, 8), 8, 1))
    monkeypatch.setattr(
        stylegan, "ENCODER", EncoderConfig("e4e", 8, 8, 32, (1, 1, 1, 1), (8, 8, 8, 8), 8)
    )
    monkeypatch.setattr(stylegan, "JUDGE", GeneratorConfig(16, (8, 8, 4), 1, 1))


def _losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_it_learns(data: tuple[FaceSet, Framed], tmp_path: Path) -> None:
    steps = 60
    train(*data, tmp_path, replace(RECIPE, steps=steps, judged_from=1.0), checkpoint_every=steps)
    l1 = [float(row["l1"]) for row in _losses(tmp_path)]
    assert np.mean(l1[-10:]) < 0.75 * np.mean(l1[:5])


@pytest.mark.slow
def test_killed_and_resumed_gives_the_losses_of_an_unbroken_run(
    data: tuple[FaceSet, Framed], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, parts=2)
    whole = train(*data, tmp_path / "whole", recipe, checkpoint_every=2)

    def killed(step: int, steps: int, row: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*data, tmp_path / "broken", recipe, checkpoint_every=2, done=killed)
    assert [row["step"] for row in _losses(tmp_path / "broken")] == list("0123")
    broken = train(*data, tmp_path / "broken", recipe, checkpoint_every=2)
    assert _losses(tmp_path / "broken") == _losses(tmp_path / "whole")
    assert len(_losses(tmp_path / "whole")) == 8
    assert {"judged", "judge"} <= set(_losses(tmp_path / "whole")[-1])
    for one, other in ((broken.encoder, whole.encoder), (broken.generator, whole.generator)):
        ours, theirs = (read_weights(Weights("n", path, ""))[0] for path in (one, other))
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_files_hold_what_was_trained(data: tuple[FaceSet, Framed], tmp_path: Path) -> None:
    trained = train(*data, tmp_path, RECIPE, checkpoint_every=8)
    encoder, generator = (
        network_of(*read_weights(Weights("n", path, "")))
        for path in (trained.encoder, trained.generator)
    )
    assert isinstance(encoder, WPlusEncoder)
    assert isinstance(generator, Generator)
    images = torch.from_numpy(data[1].images[16:]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        made = generator(encoder(images)).clamp(-1, 1)
        mean = encoder(images).mean(dim=(0, 1))
    found = 10 * torch.log10(4 / (made - images).square().mean(dim=(1, 2, 3)))
    assert float(found.mean()) == pytest.approx(trained.psnr_db, abs=0.1)
    assert float((generator.get_buffer("latent_avg") - mean).abs().max()) < 0.5
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 32, 8 * 32, 3)
    _, metadata = read_weights(Weights("n", trained.generator, ""))
    assert metadata["framing"] == "ffhq"
    assert metadata["recipe"]["steps"] == 8


def test_another_recipe_is_another_folder(data: tuple[FaceSet, Framed], tmp_path: Path) -> None:
    train(*data, tmp_path, replace(RECIPE, steps=2), checkpoint_every=2)
    with pytest.raises(PipelineError, match=r"another emotion, rate; give another folder"):
        train(*data, tmp_path, replace(RECIPE, rate=0.1, emotion=0.0))


def test_shipped_recipe_fits_the_judge() -> None:
    assert SHIPPED.batch // SHIPPED.parts in (4, 8)
