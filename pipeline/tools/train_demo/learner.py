"""One step's losses and gradients on one part of its batch, and processes that do the other parts.

Threads of one process wait for each other at every layer, and for the interpreter; where a machine
has other work, two of them are slower than one. Processes meet once a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, multiprocessing, nn
from torch.nn import functional

from pipeline.demo_corpus.emotion_profiles import EMOTIONS
from pipeline.errors import PipelineError
from pipeline.stylegan.generator import Generator
from pipeline.tools.train_demo.drawn_faces import FaceSet
from pipeline.tools.train_demo.framed import Framed, framed_faces
from pipeline.tools.train_encoder import losses
from pipeline.tools.train_encoder.order import Order, chance

NORM_MOMENTUM = 0.02  # of batch norms: what they keep shall be of many batches


@dataclass(frozen=True)
class Recipe:
    """How generator and encoder are trained.

    Attributes
    ----------
    steps, batch
        How many steps of how many pictures.
    parts
        Processes that share a batch.
    rate_equalised, rate
        Adam's learning rates of layers whose weights have unit deviation, and of others; they fall
        to nothing from `decay_from` (a share of the steps) on.
    half_until
        Share of the steps that look at pictures of half the side, for half the time: faces are
        blots at first.
    judged_from
        Share of the steps from which on a discriminator takes part.
    emphasis
        Power of the weights of `framed.importance`: at 2.3 lips count 8.6 times as much as the rest
        of the face, eyes and brows 4.9, what is behind it 0.3. Lips are one hundredth of a picture.
    measures
        Weight of a linear reading of opening and width of the mouth and opening of the eyes off
        the code, against the truth: what is small in a picture shall not be small in its code.
    norms_until
        Share of the steps in which batch norms see their batch; from then on they take what they
        have seen on average, as they will in use: a few faces have no colour in common.
    code_noise
        Noise on the codes, over their deviation: what lies between faces shall be faces, too.
    averaging
        Share of the running mean of the weights that a step keeps.
    bf16
        Whether convolutions run in bfloat16 (of use where the processor has it).
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
    """(n, 3, h, w) pictures, (n, 1, h, w) weights, (n,) labels and strengths, (n, 3) measures."""

    pictures: Tensor
    weights: Tensor
    labels: Tensor
    strength: Tensor
    measures: Tensor


class FaceData:
    """Framed faces by number, apart by who learns from them."""

    def __init__(self, faces: FaceSet, framed: Framed) -> None:
        self.paths = faces.paths
        self.framed = framed
        self.train = np.nonzero(~faces.held_out)[0]
        self.held_out = np.nonzero(faces.held_out)[0]
        self.labels = np.array([EMOTIONS.index(e) for e in faces.emotion])
        self.strength = np.where(faces.emotion == "neutral", 1.0, faces.intensity)
        measures = np.column_stack([faces.mouth_open, faces.mouth_width, faces.eye_open])
        self.measures = (measures - measures.mean(axis=0)) / measures.std(axis=0)

    def batch(self, places: NDArray[np.int64], draw: torch.Generator, emphasis: float) -> Batch:
        """A training batch; half of it, by chance, mirrored."""
        chosen = self.train[places]
        pictures = to_network(self.framed.pictures[chosen])
        weights = torch.from_numpy(self.framed.weights[chosen])[:, None].float() / 100
        weights = weights**emphasis
        weights = functional.interpolate(weights, scale_factor=2.0, mode="nearest")
        flipped = (torch.rand(len(chosen), generator=draw) < 0.5)[:, None, None, None]
        pictures = torch.where(flipped, pictures.flip(3), pictures)
        return Batch(
            pictures.contiguous(memory_format=torch.channels_last),
            torch.where(flipped, weights.flip(3), weights),
            torch.from_numpy(self.labels[chosen]),
            torch.from_numpy(self.strength[chosen]).float(),
            torch.from_numpy(self.measures[chosen]).float(),
        )

    def spread(self, among: NDArray[np.intp], n: int, batch: int = 16) -> Iterator[Tensor]:
        """`n` pictures spread over some of the numbers, in batches."""
        chosen = among[np.linspace(0, len(among) - 1, min(n, len(among))).astype(int)]
        for start in range(0, len(chosen), batch):
            yield to_network(self.framed.pictures[chosen[start : start + batch]])


@dataclass(frozen=True)
class Learnt:
    """Losses by name, and the gradients of the networks and (or none) of the judge."""

    losses: dict[str, float]
    gradients: list[Tensor]
    judge_gradients: list[Tensor]


class Learner:
    """Losses and gradients of one part of every batch.

    Parameters
    ----------
    networks
        generator, encoder and head.
    part
        Which of `recipe.parts`.
    """

    def __init__(
        self, networks: nn.ModuleDict, judge: nn.Module, data: FaceData, recipe: Recipe, part: int
    ) -> None:
        self.networks, self.judge, self.data, self.recipe = networks, judge, data, recipe
        self.part = part
        self.order = Order(len(data.train), recipe.batch, recipe.seed)
        self.parameters = trained_parameters(networks)

    def learn(self, step: int) -> Learnt:
        """What this part of a step's batch says."""
        draw = chance(self.recipe.seed, step * self.recipe.parts + self.part)
        places = np.array_split(self.order.at(step), self.recipe.parts)[self.part]
        batch = self.data.batch(places, draw, self.recipe.emphasis)
        self.set_norms(learn=step < self.recipe.norms_until * self.recipe.steps)
        made, parts = self._losses(batch, draw, step)
        total = torch.stack(list(parts.values())).sum()
        found = torch.autograd.grad(total, self.parameters, allow_unused=True)
        gradients = [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(self.parameters, found, strict=True)
        ]
        row = {name: float(part.detach()) for name, part in parts.items()}
        judged: list[Tensor] = []
        if self.judges(step):
            row["judge"], judged = self._judge(step, batch.pictures, made.detach())
        return Learnt(row, gradients, judged)

    def set_norms(self, *, learn: bool) -> None:
        """Whether batch norms look at their batch."""
        for module in self.networks.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(learn)
                module.momentum = NORM_MOMENTUM

    def judges(self, step: int) -> bool:
        """Whether the discriminator takes part in a step."""
        return step >= self.recipe.judged_from * self.recipe.steps

    def _losses(
        self, batch: Batch, draw: torch.Generator, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstructions and the weighted parts of the loss."""
        recipe, head, generator = self.recipe, self.networks["head"], self.networks["generator"]
        assert isinstance(head, losses.EmotionHead)
        assert isinstance(generator, Generator)
        halved = step < recipe.half_until * recipe.steps
        meant, weights = batch.pictures, batch.weights
        with self._autocast():
            encoder = self.networks["encoder"]
            codes = encoder(as_read(encoder, batch.pictures)).float()
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

    def _judge(self, step: int, real: Tensor, fake: Tensor) -> tuple[float, list[Tensor]]:
        """The discriminator's loss and gradients, now and then with R1."""
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
        found = torch.autograd.grad(total, list(self.judge.parameters()))
        return float(loss.detach()), list(found)

    def _middle(self, pictures: Tensor) -> Tensor:
        """What the discriminator sees: the middle of the picture, where the face is."""
        config: Any = self.judge.config
        start = (pictures.shape[-1] - config.size) // 2
        return pictures[..., start : start + config.size, start : start + config.size]

    def _autocast(self, *, enabled: bool = True) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=enabled and self.recipe.bf16)


class Helper:
    """A process that learns another part of every batch, on the same weights in shared memory.

    Parameters
    ----------
    networks, judge
        In shared memory; only the caller changes them, between two steps.
    """

    def __init__(
        self, networks: nn.ModuleDict, judge: nn.Module, data: FaceData, recipe: Recipe, part: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._shared = [
            [_shared(p) for p in parameters]
            for parameters in (trained_parameters(networks), judge.parameters())
        ]
        self._line, other = context.Pipe()
        size_px = data.framed.pictures.shape[1]
        given = (other, networks, judge, data.paths, size_px, asdict(recipe), part, self._shared)
        self._process = context.Process(target=_help, args=given, daemon=True)
        self._process.start()

    def begin(self, step: int) -> None:
        """Let it learn its part of a step."""
        self._line.send(step)

    def result(self) -> Learnt:
        """What it learnt; waits for it."""
        try:
            row, judged = self._line.recv()
        except EOFError:
            raise PipelineError("a process of the training died; run the command again") from None
        return Learnt(row, self._shared[0], self._shared[1] if judged else [])

    def stop(self) -> None:
        """Let it go."""
        self._line.close()
        self._process.join()


def _help(
    line: Connection,
    networks: nn.ModuleDict,
    judge: nn.Module,
    paths: list[Path],
    size_px: int,
    recipe: dict[str, Any],
    part: int,
    shared: list[list[Tensor]],
) -> None:
    torch.set_num_threads(1)
    faces = FaceSet(paths)
    data = FaceData(faces, framed_faces(faces, size_px, workers=1))
    norms = _own_norms(networks)
    learner = Learner(networks, judge, data, Recipe(**recipe), part)
    while True:
        try:
            step: int = line.recv()
        except EOFError:
            return
        for own, theirs in norms:
            own.copy_(theirs)
        learnt = learner.learn(step)
        for buffers, found in zip(shared, (learnt.gradients, learnt.judge_gradients), strict=True):
            for buffer, gradient in zip(buffers, found, strict=False):
                buffer.copy_(gradient)
        line.send((learnt.losses, bool(learnt.judge_gradients)))


def _own_norms(networks: nn.ModuleDict) -> list[tuple[Tensor, Tensor]]:
    """Give batch norms running means of this process; (own, shared) of each."""
    pairs = []
    for module in networks.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name in ("running_mean", "running_var"):
                theirs = module.get_buffer(name)
                setattr(module, name, theirs.clone())
                pairs.append((module.get_buffer(name), theirs))
    return pairs


def trained_parameters(networks: nn.ModuleDict) -> list[nn.Parameter]:
    """All but the mapping network's, the generator's first."""
    others = (networks[name].parameters() for name in ("encoder", "head", "measures"))
    return [*drawing_parameters(networks), *chain.from_iterable(others)]


def drawing_parameters(networks: nn.ModuleDict) -> list[nn.Parameter]:
    """The generator's, without its mapping network's."""
    generator = networks["generator"]
    return [p for name, p in generator.named_parameters() if not name.startswith("style.")]


def as_read(encoder: Any, pictures: Tensor) -> Tensor:
    """Pictures at the side that an encoder reads: means of pixels."""
    return functional.adaptive_avg_pool2d(pictures, encoder.config.input_px)


def half_drawn(generator: Generator, codes: Tensor) -> Tensor:
    """The picture (n, 3, size / 2, size / 2) that the generator's last two layers enlarge."""
    maps = generator.noises.maps()
    x = generator.input.input.to(codes.dtype).expand(len(codes), -1, -1, -1)
    x = generator.conv1(x, codes[:, 0], maps[0])
    picture: Tensor = generator.to_rgb1(x, codes[:, 1])
    for j, to_rgb in enumerate(list(generator.to_rgbs)[:-1]):
        x = generator.convs[2 * j](x, codes[:, 2 * j + 1], maps[2 * j + 1])
        x = generator.convs[2 * j + 1](x, codes[:, 2 * j + 2], maps[2 * j + 2])
        picture = to_rgb(x, codes[:, 2 * j + 3], picture)
    return picture


def to_network(pictures: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) bytes to (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _shared(like: Tensor) -> Tensor:
    """Zeros of a tensor's shape that other processes see."""
    zeros = torch.zeros_like(like, requires_grad=False)
    zeros.share_memory_()  # type: ignore[no-untyped-call]
    return zeros
