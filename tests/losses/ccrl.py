"""CCRL's loss, written out from CDRL (IJCV 2025), eq. 1 and 2, to see that the triplets feed it.

Not part of the package. A few convolutions stand for ArcFace with its mapping, the loudness of
eight pieces of the window for XLSR.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

WIDTH = 24


class Content(nn.Module):
    """E_c: cross-attention with the sound as query, the picture as key and value (eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Sequential(
            nn.Conv2d(3, 16, 5, 3, 2), nn.ReLU(), nn.Conv2d(16, WIDTH, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, 1, 1),
        )  # fmt: skip
        self.places = nn.Parameter(torch.randn(64, WIDTH) * 0.1)
        self.sound = nn.Sequential(nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 4 * WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        # centred: else all cosines are 1 at first, and eq. 2 stays there
        self.out = nn.Sequential(nn.Linear(4 * WIDTH, 16), nn.BatchNorm1d(16, affine=False))

    def forward(self, pictures: Tensor, sounds: Tensor) -> Tensor:
        """f_xa (n, 16) of pictures (n, 3, h, w) and sounds (n, samples)."""
        tokens = self.picture(pictures).flatten(2).transpose(1, 2)
        tokens = tokens + self.places[: tokens.shape[1]]
        loud = sounds.unflatten(1, (8, -1)).square().mean(2).sqrt()
        query = self.sound(loud * 4).unflatten(1, (4, WIDTH))
        found, _ = self.attention(query, tokens, tokens)
        return self.out(found.flatten(1))


def ccrl_loss(content: Content, batch: dict[str, Tensor]) -> Tensor:
    """Eq. 2, as a mean over the triplets."""
    x, y, z = (content(batch[name], batch[f"audio_{name}"]) for name in "xyz")
    return ((1 - cosine_similarity(x, y)) + cosine_similarity(y, z)).mean()
