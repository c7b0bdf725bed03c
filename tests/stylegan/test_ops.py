"""The operations against the published ones, and the fast filters against the definition."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pipeline.stylegan import ops
from tests.builders.stylegan_files import HERE, arrays, off, upfirdn2d

IO = arrays("ops_io.npz")
SPECS = json.loads(str(np.load(HERE / "ops_io.npz")["spec_json"]))
KERNEL = torch.outer(torch.tensor(ops.TAPS), torch.tensor(ops.TAPS)) / 64


@pytest.mark.parametrize("case", range(len(SPECS)))
def test_upfirdn2d_is_the_published_one(case: int) -> None:
    kernel, up, down, before, after = SPECS[case]
    found = upfirdn2d(IO["x"], IO[kernel], up, down, (before, after))
    assert off(found, IO[f"y_{case:02d}"]) < 1e-5


@pytest.mark.parametrize(("pad", "gain"), [(1, 4.0), (2, 1.0), (0, 1.0)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fir_is_the_definition(pad: int, gain: float, layout: torch.memory_format) -> None:
    x, bias = torch.randn(2, 5, 9, 7).contiguous(memory_format=layout), torch.randn(5)
    expected = upfirdn2d(x, KERNEL * gain, pad=(pad, pad))
    assert off(ops.fir(x, pad, gain), expected) < 1e-5
    assert off(ops.fir(x, pad, gain, bias), expected + bias.view(1, 5, 1, 1)) < 1e-5


def test_upsample_is_the_definition() -> None:
    x = torch.randn(2, 3, 9, 7)
    assert off(ops.upsample(x), upfirdn2d(x, KERNEL * 4, up=2, pad=(2, 1))) < 1e-5


def test_activation_and_norm_are_the_published_ones() -> None:
    assert off(ops.activate(IO["x"], IO["lrelu_bias"]), IO["lrelu_y"]) < 1e-6
    assert off(ops.activate(IO["lrelu2d_x"], IO["lrelu2d_bias"]), IO["lrelu2d_y"]) < 1e-6
    assert off(ops.PixelNorm()(IO["lrelu2d_x"]), IO["pixelnorm_y"]) < 1e-6


def test_equalised_layers_scale_at_run_time() -> None:
    layer = ops.EqualLinear(16, 3, bias=1.0, lr_mul=0.01)
    assert layer.weight.std() > 50  # stored as of unit deviation over lr_mul
    x = torch.randn(4, 16)
    expected = x @ (layer.weight * 0.01 / 4).T + 1.0
    assert off(layer(x), expected.detach()) < 1e-5
    conv = ops.EqualConv2d(4, 2, 3, stride=2, pad=1)
    assert conv(torch.randn(1, 4, 8, 8)).shape == (1, 2, 4, 4)
    assert conv.scale == pytest.approx(1 / 6)
