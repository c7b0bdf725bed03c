"""What the trainings minimise. Pictures are (n, 3, h, w) in [-1, 1], losses are scalars."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

N_EMOTIONS = 7


def weighted_l1(made: Tensor, meant: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute difference, each place counting as `weights` (n, 1, h, w) says."""
    return ((made - meant).abs() * weights).mean()


def laplacian_l1(made: Tensor, meant: Tensor, weights: Tensor, levels: int = 3) -> Tensor:
    """Mean absolute difference of the bands of two Laplacian pyramids, summed over the bands.

    A blurred edge costs as much as it does by `weighted_l1` and again in each band that lacks it.
    """
    difference, total = made - meant, made.new_zeros(())
    for _ in range(levels):
        smaller = functional.avg_pool2d(difference, 2)
        band = difference - functional.interpolate(smaller, scale_factor=2.0, mode="nearest")
        total = total + (band.abs() * weights).mean()
        difference, weights = smaller, functional.avg_pool2d(weights, 2)
    return total


def row_spread(codes: Tensor) -> Tensor:
    """Mean square of the rows of W+ codes (n, rows, dim) off the first: e4e's delta loss."""
    return (codes[:, 1:] - codes[:, :1]).square().mean()


def contrast(features: Tensor, labels: Tensor, tau: float = 0.1) -> Tensor:
    """Features of one label together, of others apart (Khosla et al. 2020, the outer sum).

    Parameters
    ----------
    features
        (n, d) of unit length.
    labels
        (n,) integers. Who has no fellow counts nothing; without any, the loss is 0.
    """
    logits = features @ features.T / tau
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    logits = logits.masked_fill(itself, -1e9)
    fellows = (labels[:, None] == labels[None]) & ~itself
    shares = functional.log_softmax(logits, dim=1)
    count = fellows.sum(dim=1)
    each = -(shares * fellows).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


class EmotionHead(nn.Module):
    """Reads the emotion off a code: cosines to one learnt prototype an emotion.

    Contrast alone is stuck at the start where a batch holds two faces of each emotion; prototypes
    are always there to go to.
    """

    def __init__(self, code_size: int, width: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(code_size, width)
        self.prototypes = nn.Parameter(torch.randn(N_EMOTIONS, width))

    def forward(self, codes: Tensor) -> Tensor:
        """W+ codes (n, rows, dim) to features (n, width) of unit length."""
        return functional.normalize(self.linear(codes.flatten(1)), dim=1)

    def loss(self, codes: Tensor, labels: Tensor, strength: Tensor, tau: float = 0.1) -> Tensor:
        """Cross-entropy to the prototypes and 0.3 of the contrast; a faint face counts less.

        Parameters
        ----------
        labels, strength
            (n,) the emotion's number, and how much each counts, 0..1.
        """
        features = self(codes)
        logits = features @ functional.normalize(self.prototypes, dim=1).T / tau
        each = functional.cross_entropy(logits, labels, reduction="none")
        to_prototypes = (each * strength).sum() / strength.sum().clamp(min=1e-6)
        return to_prototypes + 0.3 * contrast(features, labels, tau)


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating loss of whoever makes pictures."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The logistic loss of whoever judges them."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def r1_penalty(real: Tensor, real_logits: Tensor) -> Tensor:
    """Mean squared gradient of the judgement at real pictures (Mescheder et al. 2018).

    `real` must require gradients.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def psnr_db(made: Tensor, meant: Tensor) -> Tensor:
    """Peak signal over noise of each picture (n,), of the range [-1, 1]."""
    error = (made.clamp(-1, 1) - meant).square().mean(dim=(1, 2, 3)).clamp(min=1e-10)
    return 10 * torch.log10(4 / error)


def cached_contrast(codes: Tensor, same: Tensor, others: Tensor, tau: float) -> Tensor:
    """SSERD eq. 5: a code nearer to one of its emotion than to one of each other emotion.

    Eq. 5 multiplies codes as they are; here they have unit length, without which a temperature of
    0.1 means another thing for every encoder. Eq. 6 sums over the images; this is their mean, so
    that a larger batch does not change the balance of the losses.

    Parameters
    ----------
    codes, same
        (n, d) codes and, for each, one of the same emotion seen before.
    others
        (n, k, d) codes of other emotions; all zeros where none was seen yet.
    """
    near, far = functional.normalize(same, dim=1), functional.normalize(others, dim=2)
    codes = functional.normalize(codes, dim=1)
    logits = torch.cat([(codes * near).sum(1)[:, None], torch.einsum("nd,nkd->nk", codes, far)], 1)
    known = torch.cat([same.any(dim=1)[:, None], others.any(dim=2)], dim=1)
    logits = (logits / tau).masked_fill(~known, -1e9)
    each = -functional.log_softmax(logits, dim=1)[:, 0]
    return torch.where(known[:, 0], each, 0.0).mean()
