"""`train-encoder` on made data: losses fall, a broken training goes on, unfit networks are told."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.digests import sha256_of
from pipeline.errors import MissingWeightsError, OutOfOrderError, ParameterError, PipelineError
from pipeline.models.registry import Weights, is_drawn, read_weights
from pipeline.params import ModelFile, TrainEncoder
from pipeline.runtime.run import Run
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import network_of, save_network
from pipeline.tools.train_encoder import encoder as training
from pipeline.tools.train_encoder.crops import CropSettings, training_crops
from pipeline.tools.train_encoder.on_dataset import train_on_dataset
from tests.builders.dataset import make_inputs, make_run

SMALL = {
    "start": "e", "generator": "g", "frames_per_take": 4, "steps": 6, "batch": 4, "rate": 1e-3,
    "checkpoint_every": 2, "device": "cpu", "r1": 1.0,
}  # fmt: skip

WIDTHS = (8, 8, 8, 8)
"""Of the encoders. Below 8 channels, oneDNN's gradient of a strided 1x1 convolution writes beyond
its memory on processors with AVX2 and no AVX-512 (torch 2.13)."""


def _run(tmp_path: Path, **settings: object) -> Run:
    """The made dataset with small networks beside it."""
    torch.manual_seed(3)
    networks = {
        "g": Generator(GeneratorConfig(32, (16, 16, 8, 8), 8, 1)),
        "e": WPlusEncoder(EncoderConfig("e4e", 8, 8, 32, (1, 1, 1, 1), WIDTHS, 8)),
        "short": WPlusEncoder(EncoderConfig("e4e", 6, 8, 32, (1, 1, 1, 1), WIDTHS, 8)),
    }
    models = {}
    for name, network in networks.items():
        path = tmp_path / f"{name}.safetensors"
        save_network(network, path)
        models[name] = ModelFile(path=str(path), url="", sha256=sha256_of(path))
    run = make_run(tmp_path / "data")
    section = run.params.train_encoder.model_copy(update={**SMALL, **settings})
    params = run.params.model_copy(update={"models": models, "train_encoder": section})
    return Run(run.dataset, params, run.data, run.options)


def _losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_it_learns_and_its_file_loads(tmp_path: Path) -> None:
    run = _run(tmp_path, steps=60, adversarial=0.0, checkpoint_every=60)
    make_inputs(run)
    trained = train_on_dataset(run, tmp_path / "out")
    rows = _losses(tmp_path / "out")
    pixel = [float(row["pixel"]) for row in rows]
    assert np.mean(pixel[-10:]) < 0.8 * np.mean(pixel[:5])
    assert trained.n_images == 12  # three takes that train, four frames each
    assert trained.sha256 == sha256_of(trained.path)
    tensors, metadata = read_weights(Weights("e", trained.path, ""))
    assert isinstance(network_of(tensors, metadata), WPlusEncoder)
    assert metadata["steps"] == 60
    assert metadata["generator_sha256"] == run.params.models["g"].sha256
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 1000


@pytest.mark.slow
def test_total_is_equation_10(tmp_path: Path) -> None:
    run = _run(tmp_path)
    make_inputs(run)
    train_on_dataset(run, tmp_path / "out")
    for row in _losses(tmp_path / "out"):
        wanted = (
            float(row["pixel"]) + 0.1 * float(row["adversarial"]) + 0.1 * float(row["contrast"])
        )
        assert float(row["total"]) == pytest.approx(wanted, rel=1e-5)
    assert "perceptual" not in row
    assert float(_losses(tmp_path / "out")[0]["contrast"]) == 0
    assert float(row["contrast"]) > 0


@pytest.mark.slow
def test_killed_and_resumed_gives_the_losses_of_an_unbroken_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path)
    make_inputs(run)
    whole = train_on_dataset(run, tmp_path / "whole")
    step = training._Session.step

    def killed(session: training._Session, number: int) -> dict[str, float]:
        if number == 3:
            raise KeyboardInterrupt
        return step(session, number)

    monkeypatch.setattr(training._Session, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        train_on_dataset(run, tmp_path / "broken")
    assert [row["step"] for row in _losses(tmp_path / "broken")] == ["0", "1"]
    monkeypatch.undo()
    broken = train_on_dataset(run, tmp_path / "broken")
    assert _losses(tmp_path / "broken") == _losses(tmp_path / "whole")
    assert len(_losses(tmp_path / "whole")) == 6
    ours, theirs = (read_weights(Weights("e", t.path, ""))[0] for t in (broken, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.slow
def test_it_never_goes_on_with_other_data_or_weights(tmp_path: Path) -> None:
    run = _run(tmp_path, steps=2)
    make_inputs(run)
    train_on_dataset(run, tmp_path / "out")
    other = _run(tmp_path, frames_per_take=3)
    with pytest.raises(PipelineError, match="another data, frames_per_take; give another folder"):
        train_on_dataset(other, tmp_path / "out")


@pytest.mark.slow
def test_the_generator_is_frozen(tmp_path: Path) -> None:
    run = _run(tmp_path)
    make_inputs(run)
    parts = training.Parts(
        *(network_of(*read_weights(Weights(n, tmp_path / f"{n}.safetensors", ""))) for n in "eg"),
        None,
        {"generator": "0"},
    )
    before = {name: t.clone() for name, t in parts.generator.state_dict().items()}
    norms = {n: t.clone() for n, t in parts.encoder.state_dict().items() if "running" in n}
    crops = training_crops(run, CropSettings("ffhq", 0.0, 4, 32), tmp_path / "images")
    weight = parts.encoder.input_layer[0].weight.clone()
    training.train_encoder(crops, parts, run.params.train_encoder, tmp_path / "out", "cpu")
    assert all(torch.equal(t, before[n]) for n, t in parts.generator.state_dict().items())
    assert all(torch.equal(parts.encoder.state_dict()[n], t) for n, t in norms.items())
    assert not torch.equal(parts.encoder.input_layer[0].weight, weight)


def test_perceptual_part_is_weighted(tmp_path: Path) -> None:
    run = _run(tmp_path, steps=1, adversarial=0.0, contrast=0.0)
    make_inputs(run)
    encoder, generator = (
        network_of(*read_weights(Weights(n, tmp_path / f"{n}.safetensors", ""))) for n in "eg"
    )
    parts = training.Parts(encoder, generator, lambda x: [2 * x], {"generator": "0"})
    crops = training_crops(run, CropSettings("ffhq", 0.0, 4, 32), tmp_path / "images")
    training.train_encoder(crops, parts, run.params.train_encoder, tmp_path / "out", "cpu")
    (row,) = _losses(tmp_path / "out")
    assert float(row["perceptual"]) == pytest.approx(4 * float(row["pixel"]), rel=1e-5)
    assert float(row["total"]) == pytest.approx((1 + 0.8 * 4) * float(row["pixel"]), rel=1e-5)


def test_crops_are_those_of_the_training_split(tmp_path: Path) -> None:
    run = _run(tmp_path)
    make_inputs(run)
    settings = CropSettings("ffhq", 0.0, 0, 48)
    crops = training_crops(run, settings, tmp_path / "images")
    assert len(crops) == 14 + 14 + 11  # the last three frames of angry have no face
    assert sorted(set(crops.labels)) == [0, 1, 2]
    assert crops.images(np.array([0, 30])).shape == (2, 48, 48, 3)
    assert crops.identity == training_crops(run, settings, tmp_path / "images").identity
    assert len(list((tmp_path / "images").glob("S1_*.npy"))) == 3


def test_without_a_train_split_there_is_nothing_to_learn(tmp_path: Path) -> None:
    run = _run(tmp_path)
    make_inputs(run)
    (run.table("extract", "clips")).unlink()
    with pytest.raises(OutOfOrderError, match="extract of made has not run yet"):
        train_on_dataset(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"generator": ""}, ParameterError, "train_encoder.generator names no weights"),
        ({"start": "g"}, PipelineError, "hold a Generator; a WPlusEncoder is expected"),
        ({"start": "short"}, ParameterError, "gives codes of 6 x 8, .* takes 8 x 8"),
        ({"start": ""}, ParameterError, "freeze_norms is true, but an encoder that begins"),
    ],
)
def test_networks_that_do_not_fit(
    tmp_path: Path, settings: dict[str, object], error: type[Exception], match: str
) -> None:
    run = _run(tmp_path, **settings)
    make_inputs(run)
    with pytest.raises(error, match=match):
        train_on_dataset(run, tmp_path / "out")


def test_an_encoder_of_drawn_faces_says_so(tmp_path: Path) -> None:
    run = _run(tmp_path, steps=1)  # of corpus demo
    make_inputs(run)
    trained = train_on_dataset(run, tmp_path / "out")
    assert is_drawn(Weights("e", trained.path, trained.sha256))
    entry = run.entry.model_copy(update={"corpus": "mead"})
    params = run.params.model_copy(update={"datasets": {run.dataset: entry}})
    real = Run(run.dataset, params, run.data, run.options)
    trained = train_on_dataset(real, tmp_path / "real")
    assert not is_drawn(Weights("e", trained.path, trained.sha256))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    run = _run(tmp_path)
    (tmp_path / "e.safetensors").unlink()
    with pytest.raises(MissingWeightsError, match=r"models\.e\.path"):
        train_on_dataset(run, tmp_path / "out")


def test_batches_fit_the_judge(tmp_path: Path) -> None:
    section = _run(tmp_path).params.train_encoder.model_dump()
    with pytest.raises(ValidationError, match="at most 4 or a multiple of 4"):
        TrainEncoder(**{**section, "batch": 6})
