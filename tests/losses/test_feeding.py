"""Each sampler works with its loss: it is finite, it falls, and wrong pairings raise it.

See also test_cerl.py and test_sserd.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from spfem_data import (
    AscclPairs,
    CcrlTriplets,
    CerlTuples,
    ImageFormat,
    Regularisation,
    StcclWindows,
)
from tests.builders import small_networks
from tests.builders.shards import PX, write_everything
from tests.losses import asccl, ccrl, regularisation, stccl
from tests.losses.cerl import cerl_loss

FORMAT = ImageFormat(size=PX, values="-1..1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_everything(made)
    return made


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_asccl_equation_4_by_hand() -> None:
    x, y, k = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, 1.0]])
    loss = asccl.contrast(x, y, k, tau=0.5)
    assert float(loss) == pytest.approx(-math.log(math.exp(1.2) / (math.exp(1.2) + 1)), rel=1e-6)


@pytest.mark.slow
def test_asccl_learns_from_pairs(folder: Path) -> None:
    data = AscclPairs(folder, image_format=FORMAT)
    metric = asccl.Metric()

    def loss(batch: dict[str, Any]) -> torch.Tensor:
        return asccl.asccl_loss(metric, batch["x"], batch["y"])

    losses = small_networks.learn(loss, metric, small_networks.batches(data, 8), 60)
    assert small_networks.final(losses) < 0.6 * losses[0]
    right = small_networks.mean_loss(loss, small_networks.batches(data, 16, seed=1))
    wrong = small_networks.mean_loss(
        loss, small_networks.shifted(small_networks.batches(data, 16, seed=1), ("y",), 5)
    )
    assert wrong > 1.15 * right
    batch = next(small_networks.batches(data, 32, seed=2))
    same, other = asccl.similarities(metric, batch["x"], batch["y"])
    assert same > 0.5
    assert abs(other) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["VD", "CM"])
def test_stccl_learns_from_windows(folder: Path, kind: Any) -> None:
    data = StcclWindows(folder, length=4, image_format=FORMAT)
    metrics = stccl.Metrics(kind)

    def loss(batch: dict[str, Any]) -> torch.Tensor:
        terms = stccl.stccl_loss(metrics, batch["x"], batch["y"], batch["weights"])
        return terms["space"] + terms["time"]

    def time_alone(batch: dict[str, Any]) -> torch.Tensor:
        return stccl.stccl_loss(metrics, batch["x"], batch["y"], batch["weights"])["time"]

    losses = small_networks.learn(loss, metrics, small_networks.batches(data, 4), 50)
    assert small_networks.final(losses) < 0.8 * losses[0]
    right = small_networks.mean_loss(time_alone, small_networks.batches(data, 8, seed=1))
    backwards = (
        batch | {"y": batch["y"].flip(1)} for batch in small_networks.batches(data, 8, seed=1)
    )
    assert small_networks.mean_loss(time_alone, backwards) > 1.02 * right
    other_pairs = small_networks.shifted(small_networks.batches(data, 8, seed=1), ("y",), 3)
    assert small_networks.mean_loss(loss, other_pairs) > 1.1 * small_networks.mean_loss(
        loss, small_networks.batches(data, 8, seed=1)
    )


@pytest.mark.slow
def test_stccl_weights_count(folder: Path) -> None:
    metrics = stccl.Metrics("VD")
    batch = next(small_networks.batches(StcclWindows(folder, length=3, image_format=FORMAT), 4))
    one = stccl.stccl_loss(metrics, batch["x"], batch["y"], torch.ones(4, 3))
    first = torch.tensor([[1.0, 0, 0]] * 4)
    other = stccl.stccl_loss(metrics, batch["x"], batch["y"], first)
    assert float(one["time"].detach()) != pytest.approx(float(other["time"].detach()), rel=1e-4)


@pytest.mark.slow
def test_ccrl_learns_from_triplets(folder: Path) -> None:
    data = CcrlTriplets(folder, window_s=0.04, image_format=FORMAT)
    content = ccrl.Content()

    def loss(batch: dict[str, Any]) -> torch.Tensor:
        return ccrl.ccrl_loss(content, batch)

    losses = small_networks.learn(loss, content, small_networks.batches(data, 32), 80)
    assert losses[0] == pytest.approx(1, abs=0.4)
    assert small_networks.final(losses) < 0.6 * losses[0]
    right = small_networks.mean_loss(loss, small_networks.batches(data, 32, seed=1))
    wrong = small_networks.mean_loss(
        loss, small_networks.shifted(small_networks.batches(data, 32, seed=1), ("y", "audio_y"), 7)
    )
    assert wrong > right + 0.2
    other_audio = small_networks.shifted(small_networks.batches(data, 32, seed=1), ("audio_x",), 7)
    assert small_networks.mean_loss(loss, other_audio) > right + 0.05


@pytest.mark.slow
def test_cerl_learns_from_tuples(folder: Path) -> None:
    data = CerlTuples(folder, images=False)
    priors = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(7, 8) * 0.1)])

    def loss(batch: dict[str, Any]) -> torch.Tensor:
        return cerl_loss(priors[0], batch["embedding"]) / (7 * len(batch["embedding"]))

    losses = small_networks.learn(loss, priors, small_networks.batches(data, 8), 60, rate=2e-2)
    assert losses[0] == pytest.approx(math.log(7), abs=1.0)
    assert small_networks.final(losses) < 0.2 * losses[0]
    right = small_networks.mean_loss(loss, small_networks.batches(data, 8, seed=1))
    other_emotions = (
        batch | {"embedding": batch["embedding"].roll(1, 1)}
        for batch in small_networks.batches(data, 8, seed=1)
    )
    assert small_networks.mean_loss(loss, other_emotions) > right + 1


@pytest.mark.slow
def test_regularisation_trains_a_generator(folder: Path) -> None:
    data = Regularisation(folder, reference="same", window_s=0.04, image_format=FORMAT)
    content, features = ccrl.Content().eval(), regularisation.Features().eval()
    generator = regularisation.Generator()
    priors = prototypes(features, data)
    settle(content, data)
    for frozen in (content, features):
        frozen.requires_grad_(False)

    def loss(batch: dict[str, Any]) -> torch.Tensor:
        generated = generator(batch["source"], batch["emotion"])
        return regularisation.content_loss(content, batch, generated) + regularisation.emotion_loss(
            features, priors, batch, generated
        )

    start = small_networks.mean_loss(loss, small_networks.batches(data, 16, seed=1))
    losses = small_networks.learn(loss, generator, small_networks.batches(data, 16), 60)
    assert math.isfinite(losses[0])
    right = small_networks.mean_loss(loss, small_networks.batches(data, 16, seed=1))
    assert right < 0.8 * start
    other = small_networks.shifted(small_networks.batches(data, 16, seed=1), ("emotion",), 3)
    assert small_networks.mean_loss(loss, other) > 1.2 * right
    other_audio = small_networks.shifted(small_networks.batches(data, 16, seed=1), ("audio",), 3)
    assert small_networks.mean_loss(loss, other_audio) != pytest.approx(right, rel=1e-4)


@torch.no_grad()
def settle(content: ccrl.Content, data: Regularisation) -> None:
    """Centre the frozen network's output by the statistics of one batch."""
    content.train()
    content.out[1].momentum = 1.0
    batch = data[:64]
    content(batch["source"], batch["audio"])
    content.eval()


@torch.no_grad()
def prototypes(features: regularisation.Features, data: Regularisation) -> torch.Tensor:
    """T: mean features of each emotion's references, minus the mean of all; (7, 32)."""
    batch = data[: len(data)]
    values = features(batch["reference"])
    means = torch.stack([values[batch["emotion"] == k].mean(0) for k in range(7)])
    return torch.nn.functional.normalize(means - means.mean(0), dim=1)
