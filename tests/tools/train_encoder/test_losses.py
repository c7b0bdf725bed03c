"""What the trainings minimise, in numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.tools.train_encoder import losses
from pipeline.tools.train_encoder.order import Order, chance


def test_weights_weigh() -> None:
    made, meant = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    made[..., 2, 2] = 1.0
    weights = torch.ones(1, 1, 8, 8)
    assert float(losses.weighted_l1(made, meant, weights)) == pytest.approx(1 / 64)
    weights[..., 2, 2] = 2.5
    assert float(losses.weighted_l1(made, meant, weights)) == pytest.approx(2.5 / 64)


def test_laplacian_sees_detail_and_not_the_level() -> None:
    weights = torch.ones(1, 1, 16, 16)
    level = torch.full((1, 3, 16, 16), 0.5)
    assert float(losses.laplacian_l1(level, torch.zeros_like(level), weights)) == 0
    checks = (torch.arange(16)[:, None] + torch.arange(16)[None]) % 2 - 0.5
    board = checks.expand(1, 3, 16, 16)
    assert float(losses.laplacian_l1(board, torch.zeros_like(board), weights)) == 0.5


def test_contrast_by_hand() -> None:
    features = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
    labels = torch.tensor([0, 0, 1])
    wanted = -math.log(math.exp(10) / (math.exp(10) + 1))
    assert float(losses.contrast(features, labels)) == pytest.approx(wanted, rel=1e-3)
    assert float(losses.contrast(features, torch.tensor([0, 1, 2]))) == 0


def test_cached_contrast_is_equation_5() -> None:
    rng = torch.Generator().manual_seed(0)
    codes, same = torch.randn(2, 5, generator=rng), torch.randn(2, 5, generator=rng)
    others = torch.randn(2, 6, 5, generator=rng)
    unit = [functional.normalize(x, dim=-1).double().numpy() for x in (codes, same, others)]
    wanted = []
    for code, near, far in zip(*unit, strict=True):
        top = np.exp(code @ near / 0.1)
        wanted.append(-np.log(top / (top + np.exp(far @ code / 0.1).sum())))
    found = losses.cached_contrast(codes, same, others, 0.1)
    assert float(found) == pytest.approx(np.mean(wanted), rel=1e-4)


def test_cached_contrast_without_a_past_is_nothing() -> None:
    codes = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = losses.cached_contrast(codes, torch.zeros(2, 5), torch.zeros(2, 6, 5), 0.1)
    found.backward()
    assert float(found.detach()) == 0
    assert float(codes.grad.abs().max()) == 0


def test_emotion_head_learns_to_read() -> None:
    torch.manual_seed(0)
    codes = torch.eye(7).repeat(4, 1)[:, None].repeat(1, 2, 1)
    labels, strength = torch.arange(7).repeat(4), torch.ones(28)
    head = losses.EmotionHead(14, 8)
    adam = torch.optim.Adam(head.parameters(), lr=0.02)
    first = float(head.loss(codes, labels, strength).detach())
    for _ in range(100):
        adam.zero_grad()
        loss = head.loss(codes, labels, strength)
        loss.backward()
        adam.step()
    assert first > 1.5
    assert float(loss.detach()) < 0.5
    silent = head.loss(codes, (labels + 1) % 7, torch.zeros(28))
    assert float(silent.detach()) < 1.5  # what is left is the contrast


def test_r1_of_a_linear_judge_is_the_square_of_its_weights() -> None:
    weight = torch.full((3, 4, 4), 0.5)
    real = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    logits = (real * weight).sum(dim=(1, 2, 3))
    assert float(losses.r1_penalty(real, logits)) == pytest.approx(48 * 0.25)


def test_logistic_losses() -> None:
    zero = torch.zeros(4, 1)
    assert float(losses.generator_loss(zero)) == pytest.approx(math.log(2))
    assert float(losses.discriminator_loss(zero, zero)) == pytest.approx(2 * math.log(2))


def test_psnr() -> None:
    meant = torch.zeros(1, 3, 4, 4)
    assert float(losses.psnr_db(meant + 0.2, meant)) == pytest.approx(20.0, abs=1e-3)


def test_order_is_a_function_of_the_step() -> None:
    order = Order(10, 4, seed=1)
    flat = np.concatenate([order.at(k) for k in range(5)])
    assert sorted(flat[:10]) == list(range(10)) == sorted(flat[10:])
    assert list(flat[:10]) != list(flat[10:])
    assert np.array_equal(Order(10, 4, seed=1).at(3), order.at(3))
    one, other = (torch.rand(3, generator=chance(2, step)) for step in (5, 6))
    assert torch.equal(one, torch.rand(3, generator=chance(2, 5)))
    assert not torch.equal(one, other)
