"""ArcFace: what is not in the e4e fixture (its body is), written out from the definition.

The published tiny networks themselves are in test_published.py.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.stylegan.arcface import ArcFaceConfig, arcface, face_of_aligned
from tests.builders.stylegan_files import off

WIDTHS = (8, 12, 16, 24)


def lively(body: str) -> torch.nn.Module:
    """A network whose norms and slopes are not the identity that they begin as."""
    torch.manual_seed(3)
    network = arcface(ArcFaceConfig(body, (2, 1, 1, 1), WIDTHS, 10, 32)).eval()
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.mul_(0.7).add_(torch.rand_like(tensor) * 0.2 + 0.1 * name.endswith("var"))
    return network.requires_grad_(False)


def normed(x: torch.Tensor, state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    shape = (1, -1, *([1] * (x.ndim - 2)))
    mean, var, weight, bias = (
        state[f"{name}.{part}"].view(shape)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def test_iresnet_is_the_published_arithmetic() -> None:
    network, x = lively("iresnet"), torch.randn(2, 3, 32, 32)
    s = network.state_dict()

    def prelu(y: torch.Tensor, name: str) -> torch.Tensor:
        return torch.where(y > 0, y, y * s[f"{name}.weight"].view(1, -1, 1, 1))

    y = prelu(normed(functional.conv2d(x, s["conv1.weight"], padding=1), s, "bn1"), "prelu")
    for stage, count in enumerate((2, 1, 1, 1), start=1):
        for i in range(count):
            at, short, stride = f"layer{stage}.{i}", y, 2 if i == 0 else 1
            z = functional.conv2d(normed(y, s, f"{at}.bn1"), s[f"{at}.conv1.weight"], padding=1)
            z = prelu(normed(z, s, f"{at}.bn2"), f"{at}.prelu")
            z = functional.conv2d(z, s[f"{at}.conv2.weight"], stride=stride, padding=1)
            if i == 0:
                short = functional.conv2d(y, s[f"{at}.downsample.0.weight"], stride=2)
                short = normed(short, s, f"{at}.downsample.1")
            y = normed(z, s, f"{at}.bn3") + short
    flat = normed(y, s, "bn2").flatten(1)
    vector = normed(flat @ s["fc.weight"].T + s["fc.bias"], s, "features")
    assert off(network.vector(x), vector) < 1e-4
    assert off(network(x), vector / vector.norm(dim=1, keepdim=True)) < 1e-4


def test_irse_ends_in_norm_linear_norm() -> None:
    network, x = lively("irse"), torch.randn(2, 3, 32, 32)
    s = network.state_dict()
    y = normed(network.body(network.input_layer(x)), s, "output_layer.0").flatten(1)
    y = y @ s["output_layer.3.weight"].T + s["output_layer.3.bias"]
    assert off(network.vector(x), normed(y, s, "output_layer.4")) < 1e-4
    assert torch.allclose(network(x).norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_face_of_an_aligned_image_is_e4es_crop() -> None:
    images = torch.rand(1, 3, 256, 256)
    expected = functional.adaptive_avg_pool2d(images[:, :, 35:223, 32:220], 112)
    assert torch.equal(face_of_aligned(images), expected)
    large = functional.interpolate(images, scale_factor=4, mode="nearest")
    assert torch.allclose(face_of_aligned(large), expected, atol=1e-6)
    assert face_of_aligned(torch.rand(2, 3, 128, 128)).shape == (2, 3, 112, 112)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"body": "vgg"}, "body 'vgg'"),
        ({"widths": (8, 8)}, "four counts each"),
        ({"input_px": 100}, "input_px 100: expected a multiple of 16"),
    ],
)
def test_config_checks_itself(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ArcFaceConfig(**{"body": "irse", **change})


def test_another_size_is_said() -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 3, 32, 32\)"):
        lively("irse")(torch.zeros(1, 3, 112, 112))
