"""Losses and gradients of a step on one part of its batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.demo_networks.drawn_faces import FaceSet
from benchmarks.demo_networks.framed import Framed
from pipeline.demo_corpus.emotion_profiles import EMOTIONS
from pipeline.stylegan.generator import Generator
from pipeline.tools.train_encoder import losses
from pipeline.tools.train_encoder.order import Order, chance

NORM_MOMENTUM = 0.02  # of batch norms; averages over many batches


@dataclass(frozen=True)
class Recipe:
    """The training settings of generator and encoder.

    Attributes
    ----------
    steps, batch
        The number of steps and images per step.
    parts
        The number of parts of a batch, whose gradients are averaged.
    rate_equalised, rate
        Adam's learning rates of layers with equalised weights and of others; they decay to 0 from
        `decay_from` (a share of the steps) on.
    half_until
        Share of the steps at half resolution, which take half the time.
    judged_from
        Share of the steps after which the discriminator is used.
    emphasis
        Exponent of the weights of `framed.importance`: at 2.3, lips have 8.6 times the weight of
        the rest of the face, eyes and brows 4.9, the background 0.3. Lips cover 1 % of an image.
    measures
        Weight of a linear regression of mouth opening, mouth width and eye opening on the code, so
        that small image regions are well represented in the code.
    norms_until
        Share of the steps in which batch norms use batch statistics; afterwards they use running
        averages, as in inference.
    code_noise
        Noise on the codes relative to their deviation, for a smooth latent space.
    averaging
        Decay of the moving average of the weights.
    bf16
        Whether convolutions run in bfloat16 (useful if the processor supports it).
    """

    seed: int
    steps: int
    batch: int
    parts: int = 2
    rate_equalised: float = 4e-3
    rate: float = 1.2e-3
    decay_from: float = 0.55
    half_until: float = 0.5
    emphasis: float = 2.3
    laplacian: float = 1.0
    emotion: float = 0.10
    measures: float = 0.05
    deltas: float = 1e-3
    norms_until: float = 0.25
    code_noise: float = 0.08
    judged_from: float = 0.8
    judged: float = 0.01
    r1: float = 2.0
    r1_every: int = 16
    averaging: float = 0.995
    bf16: bool = False


@dataclass(frozen=True)
class Batch:
    """(n, 3, h, w) images, (n, 1, h, w) weights, (n,) labels and strengths, (n, 3) measures."""

    images: Tensor
    weights: Tensor
    labels: Tensor
    strength: Tensor
    measures: Tensor


class FaceData:
    """Framed faces by number, split into training and held-out."""

    def __init__(self, faces: FaceSet, framed: Framed) -> None:
        self.framed = framed
        self.train = np.nonzero(~faces.held_out)[0]
        self.held_out = np.nonzero(faces.held_out)[0]
        self.labels = np.array([EMOTIONS.index(e) for e in faces.emotion])
        self.strength = np.where(faces.emotion == "neutral", 1.0, faces.intensity)
        measures = np.column_stack([faces.mouth_open, faces.mouth_width, faces.eye_open])
        self.measures = (measures - measures.mean(axis=0)) / measures.std(axis=0)

    def batch(self, places: NDArray[np.int64], draw: torch.Generator, emphasis: float) -> Batch:
        """A training batch; each image is mirrored with probability 1/2."""
        chosen = self.train[places]
        images = to_network(self.framed.images[chosen])
        weights = torch.from_numpy(self.framed.weights[chosen])[:, None].float() / 100
        weights = weights**emphasis
        weights = functional.interpolate(weights, scale_factor=2.0, mode="nearest")
        flipped = (torch.rand(len(chosen), generator=draw) < 0.5)[:, None, None, None]
        images = torch.where(flipped, images.flip(3), images)
        return Batch(
            images.contiguous(memory_format=torch.channels_last),
            torch.where(flipped, weights.flip(3), weights),
            torch.from_numpy(self.labels[chosen]),
            torch.from_numpy(self.strength[chosen]).float(),
            torch.from_numpy(self.measures[chosen]).float(),
        )

    def spread(self, among: NDArray[np.intp], n: int, batch: int = 16) -> Iterator[Tensor]:
        """`n` evenly spaced images of the given numbers, in batches."""
        chosen = among[np.linspace(0, len(among) - 1, min(n, len(among))).astype(int)]
        for start in range(0, len(chosen), batch):
            yield to_network(self.framed.images[chosen[start : start + batch]])


class Learner:
    """Computes losses and adds up gradients, one part of a batch after another.

    Parameters
    ----------
    networks
        generator, encoder and head.
    """

    def __init__(
        self, networks: nn.ModuleDict, judge: nn.Module, data: FaceData, recipe: Recipe
    ) -> None:
        self.networks, self.judge, self.data, self.recipe = networks, judge, data, recipe
        self.order = Order(len(data.train), recipe.batch, recipe.seed)

    def learn(self, step: int, part: int) -> dict[str, float]:
        """Add the gradients of one of the `recipe.parts` of a step's batch; returns the losses."""
        draw = chance(self.recipe.seed, step * self.recipe.parts + part)
        places = np.array_split(self.order.at(step), self.recipe.parts)[part]
        batch = self.data.batch(places, draw, self.recipe.emphasis)
        self.set_norms(step, part)
        made, parts = self._losses(batch, draw, step)
        total = torch.stack(list(parts.values())).sum() / self.recipe.parts
        total.backward()  # type: ignore[no-untyped-call]
        row = {name: float(loss.detach()) for name, loss in parts.items()}
        if self.judges(step):
            row["judge"] = self._judge(step, batch.images, made.detach())
        return row

    def set_norms(self, step: int, part: int) -> None:
        """Set whether batch norms use batch statistics; the first part updates the averages."""
        for module in self.networks.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(step < self.recipe.norms_until * self.recipe.steps)
                module.momentum = NORM_MOMENTUM if part == 0 else 0.0

    def judges(self, step: int) -> bool:
        """Whether a step uses the discriminator."""
        return step >= self.recipe.judged_from * self.recipe.steps

    def _losses(
        self, batch: Batch, draw: torch.Generator, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstructions and the weighted terms of the loss."""
        recipe, head, generator = self.recipe, self.networks["head"], self.networks["generator"]
        assert isinstance(head, losses.EmotionHead)
        assert isinstance(generator, Generator)
        halved = step < recipe.half_until * recipe.steps
        meant, weights = batch.images, batch.weights
        with self._autocast():
            encoder = self.networks["encoder"]
            codes = encoder(as_read(encoder, batch.images)).float()
            noise = torch.randn(codes.shape, generator=draw)
            noisy = codes + recipe.code_noise * codes.detach().std() * noise
            made = half_drawn(generator, noisy) if halved else generator(noisy)
        made = made.float()
        reading = self.networks["measures"](codes.flatten(1))
        if halved:
            meant, weights = (functional.avg_pool2d(x, 2) for x in (meant, weights))
        parts = {
            "l1": losses.weighted_l1(made, meant, weights),
            "laplacian": recipe.laplacian * losses.laplacian_l1(made, meant, weights),
            "deltas": recipe.deltas * losses.row_spread(codes),
            "emotion": recipe.emotion * head.loss(codes, batch.labels, batch.strength),
            "measures": recipe.measures * (reading - batch.measures).square().mean(),
        }
        if self.judges(step):
            self.judge.requires_grad_(False)
            with self._autocast():
                logits = self.judge(self._middle(made))
            parts["judged"] = recipe.judged * losses.generator_loss(logits.float())
        return made, parts

    def _judge(self, step: int, real: Tensor, fake: Tensor) -> float:
        """Add the discriminator's gradients, with lazy R1; returns its loss."""
        self.judge.requires_grad_(True)
        regular = step % self.recipe.r1_every == 0
        shown = self._middle(real).clone().requires_grad_(regular)
        with self._autocast(enabled=not regular):
            real_logits, fake_logits = self.judge(shown), self.judge(self._middle(fake))
        loss = losses.discriminator_loss(real_logits.float(), fake_logits.float())
        total = loss
        if regular:
            penalty = losses.r1_penalty(shown, real_logits)
            total = loss + self.recipe.r1 / 2 * self.recipe.r1_every * penalty
        (total / self.recipe.parts).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _middle(self, images: Tensor) -> Tensor:
        """The input of the discriminator: the centre of the image, with the face."""
        config: Any = self.judge.config
        start = (images.shape[-1] - config.size) // 2
        return images[..., start : start + config.size, start : start + config.size]

    def _autocast(self, *, enabled: bool = True) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=enabled and self.recipe.bf16)


def trained_parameters(networks: nn.ModuleDict) -> list[nn.Parameter]:
    """All parameters except the mapping network's, the generator's first."""
    others = (networks[name].parameters() for name in ("encoder", "head", "measures"))
    return [*drawing_parameters(networks), *chain.from_iterable(others)]


def drawing_parameters(networks: nn.ModuleDict) -> list[nn.Parameter]:
    """The generator's parameters without the mapping network."""
    generator = networks["generator"]
    return [p for name, p in generator.named_parameters() if not name.startswith("style.")]


def as_read(encoder: Any, images: Tensor) -> Tensor:
    """Images at the encoder's input size, by averaging pixels."""
    return functional.adaptive_avg_pool2d(images, encoder.config.input_px)


def half_drawn(generator: Generator, codes: Tensor) -> Tensor:
    """The image (n, 3, size / 2, size / 2) before the generator's last two layers."""
    maps = generator.noises.maps()
    x = generator.input.input.to(codes.dtype).expand(len(codes), -1, -1, -1)
    x = generator.conv1(x, codes[:, 0], maps[0])
    image: Tensor = generator.to_rgb1(x, codes[:, 1])
    for j, to_rgb in enumerate(list(generator.to_rgbs)[:-1]):
        x = generator.convs[2 * j](x, codes[:, 2 * j + 1], maps[2 * j + 1])
        x = generator.convs[2 * j + 1](x, codes[:, 2 * j + 2], maps[2 * j + 2])
        image = to_rgb(x, codes[:, 2 * j + 3], image)
    return image


def to_network(images: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) bytes to (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
