"""The generator's layers for one image on a CPU without gradients, in a third of the time.

Style, normalisation and the activation's gain are folded into the weight, the bias into the
convolution, and the layout is channels-last, which suits the filter. Besides convolutions, one pass
for the noise and one for the activation remain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.stylegan.ops import EPSILON, GAIN, SLOPE, fir, upsample

if TYPE_CHECKING:
    from pipeline.stylegan.generator import Generator
    from pipeline.stylegan.layers import ModulatedConv, StyledConv, ToRGB


def applies(codes: Tensor) -> bool:
    """Whether images of these codes can be generated this way."""
    return codes.device.type == "cpu" and not torch.is_grad_enabled()


def image(network: Generator, rows: Tensor, maps: list[Tensor]) -> Tensor:
    """One image (1, 3, size, size) of one W+ code (1, n_latent, style_dim)."""
    x = network.input.input.contiguous(memory_format=torch.channels_last)
    x = _styled(network.conv1, x, rows[:, 0], maps[0])
    colours = _to_rgb(network.to_rgb1, x, rows[:, 1])
    for j, to_rgb in enumerate(network.to_rgbs):
        x = _styled(network.convs[2 * j], x, rows[:, 2 * j + 1], maps[2 * j + 1])  # type: ignore[arg-type]
        x = _styled(network.convs[2 * j + 1], x, rows[:, 2 * j + 2], maps[2 * j + 2])  # type: ignore[arg-type]
        colours = upsample(colours).add_(_to_rgb(to_rgb, x, rows[:, 2 * j + 3]))  # type: ignore[arg-type]
    return colours


def _modulated(conv: ModulatedConv, w: Tensor) -> Tensor:
    """The weight (n_out, n_in, k, k) of one sample."""
    style = conv.modulation(w)[0] * conv.scale
    weight: Tensor = conv.weight[0] * style[:, None, None]
    if conv.demodulate:
        power = weight.square().sum(dim=(1, 2, 3), keepdim=True)
        weight *= torch.rsqrt(power + EPSILON) * GAIN
    return weight


def _styled(layer: StyledConv, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    weight, bias = _modulated(layer.conv, w), layer.activate.bias * GAIN
    if layer.conv.up:
        x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        x = fir(x, 1, 4.0, bias)
    else:
        x = functional.conv2d(x, weight, bias, padding=1)
    x += layer.noise.weight * GAIN * noise
    functional.leaky_relu_(x, SLOPE)
    return x if layer.clamp is None else x.clamp_(-layer.clamp, layer.clamp)


def _to_rgb(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    colours = functional.conv2d(x, _modulated(layer.conv, w), layer.bias.flatten())
    return colours if layer.clamp is None else colours.clamp_(-layer.clamp, layer.clamp)
