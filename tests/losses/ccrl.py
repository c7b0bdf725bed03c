"""CCRL's loss, implemented from CDRL (IJCV 2025), eq. 1 and 2, to test the sampler.

Not part of the package. A few convolutions replace ArcFace with its mapping, and the loudness of
eight parts of the window replaces XLSR.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

WIDTH = 24


class Content(nn.Module):
    """E_c: cross-attention with the audio as query, the image as key and value (eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(3, 16, 5, 3, 2), nn.ReLU(), nn.Conv2d(16, WIDTH, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, 1, 1),
        )  # fmt: skip
        self.positions = nn.Parameter(torch.randn(64, WIDTH) * 0.1)
        self.audio = nn.Sequential(nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 4 * WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        # centred, because otherwise all cosines start at 1 and stay there
        self.out = nn.Sequential(nn.Linear(4 * WIDTH, 16), nn.BatchNorm1d(16, affine=False))

    def forward(self, images: Tensor, audio: Tensor) -> Tensor:
        """f_xa (n, 16) of images (n, 3, h, w) and audio (n, samples)."""
        tokens = self.image(images).flatten(2).transpose(1, 2)
        tokens = tokens + self.positions[: tokens.shape[1]]
        loud = audio.unflatten(1, (8, -1)).square().mean(2).sqrt()
        query = self.audio(loud * 4).unflatten(1, (4, WIDTH))
        attended, _ = self.attention(query, tokens, tokens)
        return self.out(attended.flatten(1))


def ccrl_loss(content: Content, batch: dict[str, Tensor]) -> Tensor:
    """Eq. 2: the mean over the triplets."""
    x, y, z = (content(batch[name], batch[f"audio_{name}"]) for name in "xyz")
    return ((1 - cosine_similarity(x, y)) + cosine_similarity(y, z)).mean()
