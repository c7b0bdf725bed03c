"""SSERD's hybrid training on families and real frames from the shards."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import pytest
import torch

from spfem_data import ImageFormat, SserdQuads
from tests.builders.shards import PX, write_everything
from tests.builders.small_networks import batches
from tests.losses.sserd import DIM, ROWS, TAU, Discriminator, Framework, learn, parts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sserd")
    write_everything(made)
    return made


def _quads(folder: Path, share: float = 0.5) -> SserdQuads:
    image_format = ImageFormat(size=PX, values="-1..1")
    return SserdQuads(folder, synthetic_share=share, image_format=image_format)


def test_celcl_is_the_fraction_of_the_equation() -> None:
    """Eq. 5 by hand: one cached code of three emotions, one image."""
    framework = Framework()
    generator = torch.Generator().manual_seed(1)
    cached = torch.nn.functional.normalize(torch.randn(3, ROWS * DIM, generator=generator), dim=1)
    for emotion in range(3):
        framework.cache[emotion].append(cached[emotion])
    code = torch.randn(1, ROWS, DIM, generator=generator)
    unit = torch.nn.functional.normalize(code.flatten(1), dim=1)[0]
    terms = [math.exp(float(unit @ c) / TAU) for c in cached]
    wanted = -math.log(terms[2] / sum(terms))
    assert float(framework.celcl(code, torch.tensor([2]))) == pytest.approx(wanted, rel=1e-5)
    assert len(framework.cache[2]) == 2


@pytest.mark.slow
def test_real_sources_have_no_pixel_term(folder: Path) -> None:
    """The indicator of eq. 14: real frames are not compared with the black target."""
    batch = next(batches(_quads(folder), 24))
    real = batch["synthetic"] == 0
    assert real.any()
    only_real = {k: v[real] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    terms = parts(Framework(), Discriminator(), only_real)
    assert terms["pix"].item() == terms["lips"].item() == 0.0
    assert terms["adv"].item() > 0.0
    changed = {**batch, "target": torch.where(real[:, None, None, None], 1.0, batch["target"])}
    for name in ("pix", "lips"):
        both = [parts(Framework(), Discriminator(), b)[name].item() for b in (batch, changed)]
        assert both[0] == pytest.approx(both[1], rel=1e-6)


@pytest.mark.slow
def test_hybrid_training_learns_from_the_shards(folder: Path) -> None:
    """Two hundred steps of eq. 14: all terms fall but the adversarial one, which depends on D."""
    steps = learn(islice(batches(_quads(folder), 12), 200))

    def mean(name: str, part: slice) -> float:
        values = [row[name] for row in steps[part]]
        return sum(values) / len(values)

    start, end = slice(2, 12), slice(-20, None)  # the cache is empty at first
    assert all(math.isfinite(row["all"]) for row in steps)
    assert mean("all", end) < 0.5 * mean("all", start)
    assert mean("pix", end) < 0.4 * mean("pix", start)
    assert mean("cl", end) < 0.8 * mean("cl", start)
