"""Trains a W+ encoder for a frozen generator on a dataset's own faces (SSERD 3.2, eq. 7 to 10)."""

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
"""Maps of pictures (n, 3, s, s) in [-1, 1]: phi of eq. 8."""

_CACHED = 32  # codes of each emotion that are remembered
_R1_EVERY = 16
_SHEET = 8


@dataclass(frozen=True)
class Parts:
    """What a training is made of.

    Attributes
    ----------
    encoder
        Where it begins; trained in place.
    generator
        Frozen.
    perceptual
        phi of eq. 8, None without one: then only pixels are compared.
    sources
        Digests of the weights, so that a training never goes on with others.
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
    """Train, or go on with a training that stopped; the encoder's file.

    On a CPU, and on a GPU but for its few kernels that add in any order, a training that was killed
    and taken up again has the losses of one that was not.

    Parameters
    ----------
    folder
        Where checkpoint.pt, losses.csv, sheet.png and encoder.safetensors go.
    done
        Told the steps made and the losses of the step.
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
    """What must be the same for a training to go on; its length may change."""
    free = {"steps", "checkpoint_every", "device"}
    settings = section.model_dump(mode="json", exclude=free)
    return {**settings, "device": device, "data": crops.identity, "weights": parts.sources}


class _Session:
    """Networks, optimisers, remembered codes and the order of the data."""

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

    def step(self, step: int) -> dict[str, float]:
        """One step of the encoder and one of its judge; the losses by name, unweighted."""
        chosen, draw = self.order.at(step), chance(self.section.seed, step)
        pictures, labels = self._pictures(chosen), torch.from_numpy(self.crops.labels[chosen])
        self._learning_mode()
        codes, made, meant = self._redraw(pictures)
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
        """Running means of batch norms move only where asked: a batch of two has no statistics."""
        self.encoder.train()
        if self.section.freeze_norms:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _pictures(self, chosen: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        pictures = torch.from_numpy(self.crops.pictures(chosen)).to(self.device)
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1

    def _redraw(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes off their mean (n, d), and pictures made (eq. 7) and meant, at one side."""
        with self._autocast():
            raw = self.encoder.raw(pictures)
            made = self.generator(raw + self.encoder.get_buffer("latent_avg"))
        made, meant = (
            functional.adaptive_avg_pool2d(p.float(), self.side) for p in (made, pictures)
        )
        return raw.float().flatten(1), made, meant

    def _losses(
        self, codes: Tensor, made: Tensor, meant: Tensor, labels: Tensor, draw: torch.Generator
    ) -> dict[str, tuple[float, Tensor]]:
        """Weights and parts of eq. 10; a part whose weight is 0 is not computed."""
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
        """Eq. 9 for the discriminator, with R1 now and then, without which it runs away."""
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
        """For each image a code seen before of its emotion (n, d), and one of each other (n, 6, d).

        Zeros where none was seen yet.
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

    def _stateful(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder,
            "judge": self.judge,
            "optimiser": self.optimiser,
            "judge_optimiser": self.judge_optimiser,
        }

    def state(self, step: int) -> dict[str, Any]:
        """All that a training needs to go on; random numbers and data follow from the step."""
        found = {name: part.state_dict() for name, part in self._stateful().items()}
        return {"step": step, "memory": self.memory, "seen": self.seen, **found}

    def restore(self, saved: dict[str, Any]) -> int:
        """Take over a saved state; the steps that are made."""
        for name, part in self._stateful().items():
            part.load_state_dict(saved[name])
        self.memory.copy_(saved["memory"])
        self.seen.copy_(saved["seen"])
        return int(saved["step"])

    @torch.no_grad()
    def sheet(self) -> list[Tensor]:
        """Pictures spread over the data above their reconstructions."""
        self.encoder.eval()
        chosen = np.linspace(0, len(self.crops) - 1, min(_SHEET, len(self.crops))).astype(np.int64)
        _, made, meant = self._redraw(self._pictures(chosen))
        return [meant, made]


def _judge_of(config: GeneratorConfig, side: int) -> GeneratorConfig:
    """A discriminator for pictures of a side, as wide as the generator is there."""
    return GeneratorConfig(side, config.channels[: side.bit_length() - 2], style_dim=1, n_mlp=1)
