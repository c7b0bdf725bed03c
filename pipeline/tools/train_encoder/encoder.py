"""Train a W+ encoder for a frozen generator on a dataset's faces (SSERD 3.2, eq. 7 to 10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.registry import DRAWN, TRAINED_ON
from pipeline.params import TrainEncoder
from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.encoders import WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import save_network
from pipeline.tools.train_encoder import losses
from pipeline.tools.train_encoder.checkpoints import Journal
from pipeline.tools.train_encoder.crops import Crops
from pipeline.tools.train_encoder.order import Order, chance
from spfem_data.labels import EMOTIONS

Features = Callable[[Tensor], Sequence[Tensor]]
"""Feature maps of images (n, 3, s, s) in [-1, 1]: phi of eq. 8."""

_CACHED = 32  # cached codes per emotion
_R1_EVERY = 16
_SHEET = 8


@dataclass(frozen=True)
class Parts:
    """The networks of a training.

    Attributes
    ----------
    encoder
        The initial encoder; trained in place.
    generator
        Frozen.
    perceptual
        phi of eq. 8; None for a pixel loss only.
    sources
        Digests of the weights; a training cannot be resumed with others.
    drawn
        Whether the faces are the demo's, so that the encoder serves the demo only.
    """

    encoder: WPlusEncoder
    generator: Generator
    perceptual: Features | None
    sources: dict[str, str]
    drawn: bool = False


def train_encoder(
    crops: Crops,
    parts: Parts,
    section: TrainEncoder,
    folder: Path,
    device: str,
    *,
    done: Callable[[int, dict[str, float]], None] = lambda step, row: None,
) -> Path:
    """Train, or resume a training, and return the encoder's file.

    On a CPU, a resumed training has exactly the losses of an uninterrupted one. On a GPU, the few
    kernels with a nondeterministic order of summation may differ.

    Parameters
    ----------
    folder
        The output folder of checkpoint.pt, losses.csv, sheet.png and encoder.safetensors.
    done
        Called with the number of steps done and the losses of the step.
    """
    journal = Journal(folder, _recipe(crops, parts, section, device))
    session = _Session(crops, parts, section, device)
    saved = journal.resume()
    start = session.restore(saved) if saved else 0
    for step in range(start, section.steps):
        row = session.step(step)
        journal.add(step, row)
        made = step + 1
        if made % section.checkpoint_every == 0 or made == section.steps:
            journal.save(session.state(made))
            journal.sheet("sheet", session.sheet())
        done(made, row)
    target = folder / "encoder.safetensors"
    notes: dict[str, Any] = {
        "framing": section.framing,
        "trained_by": "spfem-data train-encoder",
        "steps": section.steps,
        "generator_sha256": parts.sources["generator"],
    }
    if parts.drawn:
        notes[TRAINED_ON] = f"{DRAWN} (spfem-data train-encoder)"
    save_network(session.encoder, target, notes)
    return target


def _recipe(crops: Crops, parts: Parts, section: TrainEncoder, device: str) -> dict[str, Any]:
    """The settings that must not change on resume; the number of steps may."""
    free = {"steps", "checkpoint_every", "device"}
    settings = section.model_dump(mode="json", exclude=free)
    return {**settings, "device": device, "data": crops.identity, "weights": parts.sources}


class _Session:
    """Networks, optimisers, cached codes and the order of the data."""

    def __init__(self, crops: Crops, parts: Parts, section: TrainEncoder, device: str) -> None:
        self.crops, self.section, self.device = crops, section, device
        torch.manual_seed(section.seed)
        self.encoder = parts.encoder.to(device).requires_grad_(True)
        self.generator = parts.generator.to(device).requires_grad_(False).eval()
        self.perceptual = parts.perceptual
        self.side = min(self.generator.config.size, self.encoder.config.input_px)
        self.judge = Discriminator(_judge_of(self.generator.config, self.side)).to(device)
        rate, betas = section.rate, (0.9, 0.999)
        self.optimiser = torch.optim.Adam(self.encoder.parameters(), lr=rate, betas=betas)
        self.judge_optimiser = torch.optim.Adam(self.judge.parameters(), lr=rate, betas=betas)
        size = self.encoder.config.n_styles * self.encoder.config.style_dim
        self.memory = torch.zeros(len(EMOTIONS), _CACHED, size, device=device)
        self.seen = torch.zeros(len(EMOTIONS), dtype=torch.long)
        self.order = Order(len(crops), section.batch, section.seed)
        self._stateful: dict[str, Any] = {
            "encoder": self.encoder,
            "judge": self.judge,
            "optimiser": self.optimiser,
            "judge_optimiser": self.judge_optimiser,
        }

    def step(self, step: int) -> dict[str, float]:
        """One step of encoder and discriminator; returns the unweighted losses by name."""
        chosen, draw = self.order.at(step), chance(self.section.seed, step)
        images, labels = self._images(chosen), torch.from_numpy(self.crops.labels[chosen])
        self._learning_mode()
        codes, made, meant = self._redraw(images)
        parts = self._losses(codes, made, meant, labels, draw)
        total = torch.stack([weight * loss for weight, loss in parts.values()]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        row = {name: float(loss.detach()) for name, (_, loss) in parts.items()}
        row["total"] = float(total.detach())
        if self.section.adversarial:
            row["judge"] = self._judge_step(step, meant, made.detach())
        self._remember(codes.detach(), labels)
        return row

    def _learning_mode(self) -> None:
        """Freeze batch-norm statistics unless configured otherwise; a batch of two is too small."""
        self.encoder.train()
        if self.section.freeze_norms:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _images(self, chosen: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        images = torch.from_numpy(self.crops.images(chosen)).to(self.device)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    def _redraw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes minus their mean (n, d), reconstructions (eq. 7) and targets at the same size."""
        with self._autocast():
            raw = self.encoder.raw(images)
            made = self.generator(raw + self.encoder.get_buffer("latent_avg"))
        made, meant = (functional.adaptive_avg_pool2d(p.float(), self.side) for p in (made, images))
        return raw.float().flatten(1), made, meant

    def _losses(
        self, codes: Tensor, made: Tensor, meant: Tensor, labels: Tensor, draw: torch.Generator
    ) -> dict[str, tuple[float, Tensor]]:
        """Weights and terms of eq. 10; terms of weight 0 are not computed."""
        section = self.section
        parts = {"pixel": (1.0, (made - meant).square().mean())}
        if self.perceptual is not None and section.perceptual_weight:
            parts["perceptual"] = section.perceptual_weight, self._unlike(made, meant)
        if section.adversarial:
            self.judge.requires_grad_(False)
            with self._autocast():
                logits = self.judge(made)
            parts["adversarial"] = section.adversarial, losses.generator_loss(logits.float())
        if section.contrast:
            near, far = self._remembered(labels, draw)
            found = losses.cached_contrast(codes, near, far, section.tau)
            parts["contrast"] = section.contrast, found
        return parts

    def _unlike(self, made: Tensor, meant: Tensor) -> Tensor:
        assert self.perceptual is not None
        with self._autocast():
            maps = zip(self.perceptual(made), self.perceptual(meant), strict=True)
            gaps = [(one.float() - two.float()).square().mean() for one, two in maps]
        return torch.stack(gaps).mean()

    def _judge_step(self, step: int, real: Tensor, fake: Tensor) -> float:
        """Eq. 9 for the discriminator, with a lazy R1 penalty; without it, training diverges."""
        self.judge.requires_grad_(True)
        regular = self.section.r1 > 0 and step % _R1_EVERY == 0
        shown = real.detach().clone().requires_grad_(regular)
        with self._autocast(enabled=not regular):
            real_logits, fake_logits = self.judge(shown), self.judge(fake)
        loss = losses.discriminator_loss(real_logits.float(), fake_logits.float())
        total = loss
        if regular:
            penalty = losses.r1_penalty(shown, real_logits)
            total = loss + self.section.r1 / 2 * _R1_EVERY * penalty
        self.judge_optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.judge_optimiser.step()
        return float(loss.detach())

    def _remembered(self, labels: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each image, a cached code of its emotion (n, d) and one of each other (n, 6, d).

        Zeros where no code is cached yet.
        """
        n, kinds = len(labels), len(EMOTIONS)
        place = (torch.rand(n, kinds, generator=draw) * self.seen.clamp(1, _CACHED)).long()
        codes = self.memory[torch.arange(kinds)[None].expand(n, -1), place]
        own = torch.arange(kinds)[None] == labels[:, None]
        return codes[own], codes[~own].view(n, kinds - 1, -1)

    def _remember(self, codes: Tensor, labels: Tensor) -> None:
        for code, label in zip(codes, labels.tolist(), strict=True):
            self.memory[label, int(self.seen[label]) % _CACHED] = code
            self.seen[label] += 1

    def _autocast(self, *, enabled: bool = True) -> torch.autocast:
        wanted = enabled and self.section.precision == "bf16"
        return torch.autocast(self.device, torch.bfloat16, enabled=wanted)

    def state(self, step: int) -> dict[str, Any]:
        """The state for resuming; random numbers and data follow from the step."""
        found = {name: part.state_dict() for name, part in self._stateful.items()}
        return {"step": step, "memory": self.memory, "seen": self.seen, **found}

    def restore(self, saved: dict[str, Any]) -> int:
        """Load a saved state and return the number of steps done."""
        for name, part in self._stateful.items():
            part.load_state_dict(saved[name])
        self.memory.copy_(saved["memory"])
        self.seen.copy_(saved["seen"])
        return int(saved["step"])

    @torch.no_grad()
    def sheet(self) -> list[Tensor]:
        """Evenly spaced images of the data above their reconstructions."""
        self.encoder.eval()
        chosen = np.linspace(0, len(self.crops) - 1, min(_SHEET, len(self.crops))).astype(np.int64)
        _, made, meant = self._redraw(self._images(chosen))
        return [meant, made]


def _judge_of(config: GeneratorConfig, side: int) -> GeneratorConfig:
    """A discriminator for images of this size, with the generator's channel counts."""
    return GeneratorConfig(side, config.channels[: side.bit_length() - 2], style_dim=1, n_mlp=1)
