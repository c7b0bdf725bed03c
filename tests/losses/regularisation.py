"""The regularisation of a generator, implemented from CDRL (IJCV 2025), eq. 4 to 6.

Not part of the package. The content and emotion networks are frozen. Eq. 5 has the cosine of dot
products, which are scalars; they are read as products channel by channel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from tests.losses.ccrl import Content


class Features(nn.Module):
    """Replaces CLIP's image encoder: (n, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 4, 2), nn.Tanh(),
            nn.AdaptiveAvgPool2d((4, 1)), nn.Flatten(), nn.Linear(128, 32),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Features of images (n, 3, h, w)."""
        return self.layers(images)


class Generator(nn.Module):
    """A source and a target emotion to an image."""

    def __init__(self) -> None:
        super().__init__()
        self.emotions = nn.Embedding(7, 12 * 48)
        self.layers = nn.Sequential(
            nn.Conv2d(4, 24, 5, 1, 2), nn.ReLU(), nn.Conv2d(24, 24, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(24, 3, 3, 1, 1),
        )  # fmt: skip

    def forward(self, source: Tensor, emotion: Tensor) -> Tensor:
        """I_g (n, 3, h, w)."""
        wanted = self.emotions(emotion).unflatten(1, (1, 12, 48))
        wanted = nn.functional.interpolate(wanted, source.shape[-2:])
        return source + self.layers(torch.cat([source, wanted], 1))


def content_loss(content: Content, batch: dict[str, Tensor], image: Tensor) -> Tensor:
    """L_c (eq. 4): content of the source and of a generated image, both with its audio."""
    own, ours = content(batch["source"], batch["audio"]), content(image, batch["audio"])
    return (1 - cosine_similarity(own, ours)).mean()


def emotion_loss(
    features: Features, priors: Tensor, batch: dict[str, Tensor], image: Tensor
) -> Tensor:
    """L_e (eq. 5) with the priors T (7, 32)."""
    prior = priors[batch["emotion"]]
    return (
        1 - cosine_similarity(features(batch["reference"]) * prior, features(image) * prior)
    ).mean()
