"""Train the demo's generator and W+ encoder jointly, as an autoencoder over W+ codes.

The papers train the generator as a GAN on 70,000 faces and the encoder afterwards. That is not
possible in minutes on two cores, and the demo only needs networks with the same classes and file
formats. Here the encoder provides the codes from the start, and the generator learns to decode
them. Its mapping network (z to w) is not trained, because nothing uses it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.demo_networks.drawn_faces import FaceSet
from benchmarks.demo_networks.framed import Framed
from benchmarks.demo_networks.learner import (
    FaceData,
    Learner,
    Recipe,
    as_read,
    drawing_parameters,
    trained_parameters,
)
from pipeline.models.registry import DRAWN, TRAINED_ON
from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import save_network
from pipeline.tools.train_encoder import losses
from pipeline.tools.train_encoder.checkpoints import Journal

GENERATOR = GeneratorConfig(128, (128, 128, 96, 64, 32, 16), style_dim=128, n_mlp=2)
ENCODER = EncoderConfig("e4e", 12, 128, 64, (1, 1, 1, 1), (24, 48, 80, 112), 64)
JUDGE = GeneratorConfig(64, (64, 64, 64, 48, 24), style_dim=1, n_mlp=1)
"""Input side of the discriminator, the centre of the image."""
SHIPPED = Recipe(seed=7, steps=8000, batch=16, half_until=0.075, norms_until=0.0375, bf16=True)
"""The settings of the published networks."""

_WARM_UP = 50  # steps over which the learning rates rise


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    psnr_db
        Mean over the held-out identities.
    """

    generator: Path
    encoder: Path
    psnr_db: float


def train(
    faces: FaceSet,
    framed: Framed,
    folder: Path,
    recipe: Recipe,
    *,
    checkpoint_every: int = 100,
    done: Callable[[int, int, dict[str, float]], None] = lambda step, steps, row: None,
) -> Trained:
    """Train generator and encoder, or resume a training.

    Parameters
    ----------
    folder
        The output folder: checkpoint, losses, sheets and the two networks.
    done
        Called with the steps done, the total number of steps, and the losses of the step.

    Returns
    -------
    Trained
        `demo-generator.safetensors` and `demo-encoder.safetensors` in `folder`.
    """
    journal = Journal(folder, {k: v for k, v in asdict(recipe).items() if k != "steps"})
    session = _Session(FaceData(faces, framed), recipe)
    saved = journal.resume()
    start = session.restore(saved) if saved else 0
    for step in range(start, recipe.steps):
        row = session.step(step)
        made = step + 1
        kept = made % checkpoint_every == 0 or made == recipe.steps
        if kept:
            row["held_out_psnr_db"] = session.held_out_psnr_db()
        journal.add(step, row)
        if kept:
            journal.save(session.state(made))
            journal.sheet("sheet", session.sheet())
        done(made, recipe.steps, row)
    return session.finish(folder)


class _Session:
    """Networks, optimisers and data of one training."""

    def __init__(self, data: FaceData, recipe: Recipe) -> None:
        self.recipe, self.data = recipe, data
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        code_size = ENCODER.n_styles * ENCODER.style_dim
        parts = {
            "generator": _channels_last(Generator(GENERATOR)),
            "encoder": _channels_last(awake(WPlusEncoder(ENCODER))),
            "head": losses.EmotionHead(code_size),
            "measures": nn.Linear(code_size, data.measures.shape[1]),
        }
        self.trained = nn.ModuleDict(parts).train()
        self.judge = _channels_last(Discriminator(JUDGE))
        self.averaged = copy.deepcopy(self.trained).requires_grad_(False)
        self.parameters = trained_parameters(self.trained)
        self._means, self._values = (_numbers(part) for part in (self.averaged, self.trained))
        self.optimiser = torch.optim.Adam(self._groups(), betas=(0.8, 0.99), foreach=True)
        self.judge_optimiser = torch.optim.Adam(
            self.judge.parameters(), lr=2e-3, betas=(0.0, 0.99), foreach=True
        )
        self.learner = Learner(self.trained, self.judge, data, recipe)
        self._stateful: dict[str, Any] = {
            "trained": self.trained,
            "averaged": self.averaged,
            "judge": self.judge,
            "optimiser": self.optimiser,
            "judge_optimiser": self.judge_optimiser,
        }

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate."""
        n_drawn = len(drawing_parameters(self.trained))
        return [
            {"params": self.parameters[:n_drawn], "lr": self.recipe.rate_equalised},
            {"params": self.parameters[n_drawn:], "lr": self.recipe.rate},
        ]

    def step(self, step: int) -> dict[str, float]:
        """One step of generator, encoder and discriminator; returns the losses by name."""
        self._set_rates(step)
        for parameter in (*self.parameters, *self.judge.parameters()):
            parameter.grad = torch.zeros_like(parameter)
        learnt = [self.learner.learn(step, part) for part in range(self.recipe.parts)]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        if self.learner.judges(step):
            self.judge_optimiser.step()
        self._average(step)
        return {name: float(np.mean([row[name] for row in learnt])) for name in learnt[0]}

    def _set_rates(self, step: int) -> None:
        recipe = self.recipe
        left = (1 - step / recipe.steps) / (1 - recipe.decay_from)
        rates = recipe.rate_equalised, recipe.rate
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, left, (step + 1) / _WARM_UP)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Update the moving average of the weights, which gives better images."""
        keep = min(self.recipe.averaging, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._means, self._values, 1 - keep)

    def state(self, step: int) -> dict[str, Any]:
        """The state for resuming."""
        return {"step": step, **{n: part.state_dict() for n, part in self._stateful.items()}}

    def restore(self, saved: dict[str, Any]) -> int:
        """Load a saved state and return the number of steps done."""
        for name, part in self._stateful.items():
            part.load_state_dict(saved[name])
        return int(saved["step"])

    @torch.no_grad()
    def redrawn(self, images: Tensor) -> Tensor:
        """Reconstructions (n, 3, 128, 128) by the averaged networks."""
        self.averaged.eval()
        encoder = self.averaged["encoder"]
        made: Tensor = self.averaged["generator"](encoder(as_read(encoder, images)))
        return made

    def held_out_psnr_db(self) -> float:
        """Mean PSNR of about a hundred held-out images."""
        images = self.data.spread(self.data.held_out, 128)
        return float(torch.cat([losses.psnr_db(self.redrawn(p), p) for p in images]).mean())

    def sheet(self) -> list[Tensor]:
        """Held-out images above their reconstructions."""
        rows = []
        for images in self.data.spread(self.data.held_out, 24, 8):
            rows += [images, self.redrawn(images)]
        return rows

    def finish(self, folder: Path) -> Trained:
        """Write both networks and the mean of the training codes."""
        generator, encoder = self.averaged["generator"], self.averaged["encoder"]
        assert isinstance(generator, Generator)
        assert isinstance(encoder, WPlusEncoder)
        with torch.no_grad():
            some = self.data.spread(self.data.train, 512)
            codes = torch.cat([encoder.eval()(as_read(encoder, images)) for images in some])
        generator.get_buffer("latent_avg").copy_(codes.mean(dim=(0, 1)))
        psnr = self.held_out_psnr_db()
        notes = {
            "framing": "ffhq",
            TRAINED_ON: f"{DRAWN} (python -m benchmarks.demo_networks)",
            "recipe": asdict(self.recipe),
            "held_out_psnr_db": round(psnr, 2),
            "mapping_trained": False,
        }
        paths = folder / "demo-generator.safetensors", folder / "demo-encoder.safetensors"
        for network, path in zip((generator, encoder), paths, strict=True):
            save_network(network, path, notes, half=True)
        return Trained(*paths, psnr)


def awake(encoder: WPlusEncoder) -> WPlusEncoder:
    """Initialise the heads to preserve the variance of their input (He et al. 2015).

    With torch's default, codes start forty times too small, and the generator cannot distinguish
    them for the first hundreds of steps.
    """
    for layer in encoder.styles.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return encoder


def _numbers(networks: nn.ModuleDict) -> list[Tensor]:
    """Parameters and running statistics in a fixed order."""
    state = networks.state_dict()
    return [tensor for _, tensor in sorted(state.items()) if tensor.is_floating_point()]


def _channels_last(network: Any) -> Any:
    """Convolution weights in channels-last layout, a third faster on a CPU."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
