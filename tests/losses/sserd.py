"""SSERD's losses, implemented from the paper (ACM MM 2024), to test the sampler.

Not part of the package. Eq. 1 to 4 (encoder, cross-attention, two transformer layers, generator) at
a size that trains in a test; eq. 5 and 6 (CELCL) with its cache of codes; eq. 13 and 14 (pixels,
perception, the adversarial term, the indicator of synthetic sources).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TAU, ALPHA, LAMBDA_1, LAMBDA_2 = 0.1, 0.8, 0.1, 0.1
N_EMOTIONS, ROWS, DIM = 7, 4, 32
_CACHED = 32


class Encoder(nn.Module):
    """E of eq. 1: images (n, 3, 48, 48) to codes (n, ROWS, DIM)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 36, ROWS * DIM))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).reshape(-1, ROWS, DIM)


class Residual(nn.Module):
    """Eq. 2 to 4: the change of the source's code by the reference's emotion."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(DIM, 4, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.ReLU(), nn.Linear(2 * DIM, DIM))
        layer = nn.TransformerEncoderLayer(DIM, 4, 2 * DIM, dropout=0.0, batch_first=True)
        self.refine = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        attended, _ = self.attend(source, reference, reference, need_weights=False)
        return self.out(self.refine(self.feed(attended)))


class Decoder(nn.Module):
    """Replaces StyleGAN: codes to images (n, 3, 48, 48)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(ROWS * DIM, 48 * 36)
        layers: list[nn.Module] = []
        for before, after in ((48, 32), (32, 16), (16, 3)):
            layers += [nn.LeakyReLU(0.2), nn.ConvTranspose2d(before, after, 4, 2, 1)]
        self.body = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        return self.body(self.first(codes.flatten(1)).reshape(-1, 48, 6, 6))


class Framework(nn.Module):
    """Encoder, emotion residual, generator; frozen features instead of VGG; the cache."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encode, self.residual, self.decode = Encoder(), Residual(), Decoder()
        self.phi = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1)
        ).requires_grad_(False)
        self.cache: list[deque[Tensor]] = [deque(maxlen=_CACHED) for _ in range(N_EMOTIONS)]
        self.generator = torch.Generator().manual_seed(seed)

    def edit(self, source: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """The source with the reference's emotion, and the emotion's code."""
        own, other = self.encode(source), self.encode(reference)
        emotion = self.residual(own, other)
        return self.decode(own + emotion), emotion

    def celcl(self, codes: Tensor, emotions: Tensor) -> Tensor:
        """Eq. 5 and 6, the mean over images, with one random cached code of each emotion.

        Codes are normalised, because the paper's dot products would overflow at tau 0.1. Emotions
        with an empty cache have no term, and their images are skipped. The new codes are cached
        afterwards, without gradient.
        """
        flat = functional.normalize(codes.flatten(1), dim=1)
        sampled = [self._sampled(k) for k in range(N_EMOTIONS)]
        known = [k for k, code in enumerate(sampled) if code is not None]
        losses = []
        for code, emotion in zip(flat, emotions.tolist(), strict=True):
            if emotion in known:
                others = torch.stack([sampled[k] for k in known])  # type: ignore[misc]
                logits = others @ code / TAU
                losses.append(torch.logsumexp(logits, 0) - logits[known.index(emotion)])
        for code, emotion in zip(flat.detach(), emotions.tolist(), strict=True):
            self.cache[emotion].append(code)
        return torch.stack(losses).mean() if losses else flat.sum() * 0

    def _sampled(self, emotion: int) -> Tensor | None:
        own = self.cache[emotion]
        if not own:
            return None
        return own[int(torch.randint(len(own), (1,), generator=self.generator))]


class Discriminator(nn.Module):
    """D of the adversarial term."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1),
            nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(32 * 144, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)[:, 0]


def parts(
    framework: Framework, discriminator: Discriminator, batch: dict[str, Any]
) -> dict[str, Tensor]:
    """The terms of eq. 14 as means; those of eq. 13 over the synthetic sources."""
    both = [framework.edit(batch["source"], batch[f"reference_{w}"]) for w in ("same", "other")]
    synthetic = batch["synthetic"]
    target, target_features = batch["target"], framework.phi(batch["target"])
    pixels = sum(_gap(image, target) for image, _ in both)
    lips = sum(_gap(framework.phi(image), target_features) for image, _ in both)
    n = synthetic.sum().clamp(min=1)
    fooled = torch.cat([functional.softplus(-discriminator(image)) for image, _ in both])
    emotions = torch.cat([batch["emotion"]] * 2)
    return {
        "pix": (synthetic * pixels).sum() / n,
        "lips": (synthetic * lips).sum() / n,
        "adv": fooled.mean(),
        "cl": framework.celcl(torch.cat([code for _, code in both]), emotions),
    }


def hybrid_loss(terms: dict[str, Tensor]) -> Tensor:
    """Eq. 14."""
    supervised = terms["pix"] + ALPHA * terms["lips"]
    return supervised + LAMBDA_1 * terms["adv"] + LAMBDA_2 * terms["cl"]


def discriminator_loss(
    framework: Framework, discriminator: Discriminator, batch: dict[str, Any]
) -> Tensor:
    """The loss of D: real images against generated ones."""
    with torch.no_grad():
        generated, _ = framework.edit(batch["source"], batch["reference_same"])
    real = functional.softplus(-discriminator(batch["reference_same"]))
    return real.mean() + functional.softplus(discriminator(generated)).mean()


def _gap(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference (n,)."""
    return (a - b).square().flatten(1).mean(dim=1)


def learn(batches: Iterable[dict[str, Any]]) -> list[dict[str, float]]:
    """One step of eq. 14 and one of D per batch; the loss ("all") and its terms at each step."""
    framework, discriminator = Framework(), Discriminator()
    player = torch.optim.Adam([p for p in framework.parameters() if p.requires_grad], lr=2e-3)
    opponent = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
    steps = []
    for batch in batches:
        terms = parts(framework, discriminator, batch)
        loss = hybrid_loss(terms)
        player.zero_grad()
        loss.backward()
        player.step()
        opponent.zero_grad()
        discriminator_loss(framework, discriminator, batch).backward()
        opponent.step()
        steps.append({"all": loss.item(), **{k: v.item() for k, v in terms.items()}})
    return steps


def learn_contrast(batches: Iterable[dict[str, Any]], rate: float = 1e-3) -> list[float]:
    """One step of eq. 6 on the encoder's codes of each batch's real frames; the losses."""
    framework = Framework()
    player = torch.optim.Adam(framework.encode.parameters(), lr=rate)
    steps = []
    for batch in batches:
        codes = torch.cat([framework.encode(batch[f"reference_{w}"]) for w in ("same", "other")])
        loss = framework.celcl(codes, torch.cat([batch["emotion"]] * 2))
        player.zero_grad()
        loss.backward()
        player.step()
        steps.append(loss.item())
    return steps
