"""VGG's features: torchvision's own layers, their file, and what they tell of inversions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.latents.networks import Networks
from pipeline.models.registry import Weights
from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import load_network
from pipeline.stylegan.perceptual import VGG19, Vgg, VggConfig

TINY = (4, 4, "M", 6, "M", 8, 8)
PUBLISHED = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Places of VGG-19's convolutions in torchvision's `features`."""


class Theirs(nn.Module):
    """torchvision's VGG, layer by layer in its places."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in TINY:
            if isinstance(width, int):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(8, 2))


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    torch.manual_seed(0)
    return Theirs().eval()


@pytest.fixture(scope="module")
def ours(theirs: Theirs, tmp_path_factory: pytest.TempPathFactory) -> Vgg:
    folder = tmp_path_factory.mktemp("vgg")
    torch.save(theirs.state_dict(), folder / "vgg.pth")
    out = folder / "vgg.safetensors"
    convert(examine(folder / "vgg.pth"), out)
    network = load_network(Weights("vgg", out, ""))
    assert isinstance(network, Vgg)
    return network


def test_features_are_torchvision_s(theirs: Theirs, ours: Vgg) -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    x = (images - mean) / spread
    wanted = [theirs.features[:4](x), theirs.features[:7](x), theirs.features[:12](x)]
    found = ours(2 * images - 1)
    assert ours.config.stages == ((4, 4), (6,), (8, 8))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_vgg19_s_layers_stand_where_the_published_ones_do() -> None:
    with torch.device("meta"):
        network = Vgg(VggConfig())
    places = [int(n.split(".")[1]) for n in network.state_dict() if n.endswith("weight")]
    assert tuple(places) == PUBLISHED
    assert sum(t.numel() for t in network.state_dict().values()) == 20_024_384
    assert len(VGG19) == len(network.ends) == 5


def test_unlike_images_have_unlike_features(ours: Vgg) -> None:
    generator = Generator(GeneratorConfig(8, (4, 4), style_dim=4, n_mlp=1))
    nets = Networks(generator, None, None, ours, None, "cpu", "fp32", 2)
    rng = np.random.default_rng(0)
    source = [rng.integers(0, 256, (16, 16, 3)).astype(np.uint8) for _ in range(3)]
    near = [np.clip(p.astype(int) + 4, 0, 255).astype(np.uint8) for p in source]
    same, close, far = (nets.unlike(source, other) for other in (source, near, source[::-1]))
    assert same is not None
    assert (same == 0).all()
    assert (close < 0.3 * far)[[0, 2]].all()


def test_stages_without_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="channel counts of at least one stage"):
        VggConfig(((4,), ()))
