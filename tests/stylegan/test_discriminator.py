"""The discriminator against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.generator import GeneratorConfig
from pipeline.stylegan.ops import TAPS
from tests.builders.stylegan_files import off, upfirdn2d

CONFIG = GeneratorConfig(16, (12, 8, 6), 16, 2)
KERNEL = torch.outer(torch.tensor(TAPS), torch.tensor(TAPS)) / 64


def lrelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    y = x + bias.view(1, -1, *([1] * (x.ndim - 2)))
    return torch.where(y > 0, y, 0.2 * y) * math.sqrt(2)


def test_logits_are_the_published_arithmetic() -> None:
    torch.manual_seed(0)
    network = Discriminator(CONFIG).requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if name.endswith("bias"):
            tensor.normal_(std=0.3)
    s, x = network.state_dict(), torch.randn(4, 3, 16, 16)

    def conv(y: torch.Tensor, name: str, **how: int) -> torch.Tensor:
        weight = s[f"{name}.weight"]
        return functional.conv2d(y, weight / math.sqrt(weight[0].numel()), **how)

    y = lrelu(conv(x, "convs.0.0"), s["convs.0.1.bias"])
    for i in (1, 2):
        at = f"convs.{i}"
        z = lrelu(conv(y, f"{at}.conv1.0", padding=1), s[f"{at}.conv1.1.bias"])
        z = conv(upfirdn2d(z, KERNEL, pad=(2, 2)), f"{at}.conv2.1", stride=2)
        z = lrelu(z, s[f"{at}.conv2.2.bias"])
        short = conv(upfirdn2d(y, KERNEL, pad=(1, 1)), f"{at}.skip.1", stride=2)
        y = (z + short) / math.sqrt(2)
    spread = torch.sqrt(y.var(dim=0, unbiased=False) + 1e-8).mean()
    y = torch.cat([y, spread.expand(4, 1, 4, 4)], dim=1)
    y = lrelu(conv(y, "final_conv.0", padding=1), s["final_conv.1.bias"]).flatten(1)
    for i, last in ((0, False), (1, True)):
        weight = s[f"final_linear.{i}.weight"]
        y, bias = y @ weight.T / math.sqrt(weight.shape[1]), s[f"final_linear.{i}.bias"]
        y = y + bias if last else lrelu(y, bias)
    assert off(network(x), y) < 1e-4


def test_groups_of_four_do_not_see_each_other() -> None:
    network = Discriminator(CONFIG).requires_grad_(False)
    x = torch.randn(8, 3, 16, 16)
    # sample i is in the group of i modulo n / 4, as published
    assert off(network(x)[::2], network(x[::2])) < 1e-5


def test_penalty_on_the_gradient_can_be_taken() -> None:
    network = Discriminator(CONFIG)
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert network.convs[0][0].weight.grad.abs().sum() > 0


def test_a_batch_that_makes_no_groups_is_said() -> None:
    with pytest.raises(ValueError, match="6 images: at most 4 or a multiple"):
        Discriminator(CONFIG)(torch.zeros(6, 3, 16, 16))
