"""Loss functions. Images are (n, 3, h, w) in [-1, 1], losses are scalars."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

N_EMOTIONS = 7


def weighted_l1(made: Tensor, meant: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute difference, weighted per pixel by `weights` (n, 1, h, w)."""
    return ((made - meant).abs() * weights).mean()


def laplacian_l1(made: Tensor, meant: Tensor, weights: Tensor, levels: int = 3) -> Tensor:
    """Mean absolute difference of the bands of two Laplacian pyramids, summed over the bands.

    A blurred edge is penalised as in `weighted_l1`, and again in each band where it is missing.
    """
    difference, total = made - meant, made.new_zeros(())
    for _ in range(levels):
        smaller = functional.avg_pool2d(difference, 2)
        band = difference - functional.interpolate(smaller, scale_factor=2.0, mode="nearest")
        total = total + (band.abs() * weights).mean()
        difference, weights = smaller, functional.avg_pool2d(weights, 2)
    return total


def row_spread(codes: Tensor) -> Tensor:
    """e4e's delta loss: mean squared difference of W+ rows (n, rows, dim) from the first."""
    return (codes[:, 1:] - codes[:, :1]).square().mean()


def contrast(features: Tensor, labels: Tensor, tau: float = 0.1) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, outer sum).

    Parameters
    ----------
    features
        (n, d) of unit length.
    labels
        (n,) integers. Samples without a partner are ignored; without any pair, the loss is 0.
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
    """Classify the emotion of a code by cosines with one learned prototype per emotion.

    The contrastive loss alone stalls at the start if a batch has two faces of each emotion;
    prototypes give a target in every step.
    """

    def __init__(self, code_size: int, width: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(code_size, width)
        self.prototypes = nn.Parameter(torch.randn(N_EMOTIONS, width))

    def forward(self, codes: Tensor) -> Tensor:
        """W+ codes (n, rows, dim) to features (n, width) of unit length."""
        return functional.normalize(self.linear(codes.flatten(1)), dim=1)

    def loss(self, codes: Tensor, labels: Tensor, strength: Tensor, tau: float = 0.1) -> Tensor:
        """Cross-entropy with the prototypes plus 0.3 times the contrastive loss.

        Parameters
        ----------
        labels, strength
            (n,) index of the emotion, and weight of each sample, 0..1.
        """
        features = self(codes)
        logits = features @ functional.normalize(self.prototypes, dim=1).T / tau
        each = functional.cross_entropy(logits, labels, reduction="none")
        to_prototypes = (each * strength).sum() / strength.sum().clamp(min=1e-6)
        return to_prototypes + 0.3 * contrast(features, labels, tau)


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating generator loss."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The logistic discriminator loss."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def r1_penalty(real: Tensor, real_logits: Tensor) -> Tensor:
    """Mean squared gradient of the logits at real images (Mescheder et al. 2018).

    `real` must require gradients.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def psnr_db(made: Tensor, meant: Tensor) -> Tensor:
    """PSNR of each image (n,) in dB, for the range [-1, 1]."""
    error = (made.clamp(-1, 1) - meant).square().mean(dim=(1, 2, 3)).clamp(min=1e-10)
    return 10 * torch.log10(4 / error)


def cached_contrast(codes: Tensor, same: Tensor, others: Tensor, tau: float) -> Tensor:
    """SSERD eq. 5: pull a code towards one of its emotion and away from one of each other emotion.

    Eq. 5 uses unnormalised codes; here they have unit length, so that a temperature of 0.1 means
    the same for every encoder. Eq. 6 sums over the images; this is the mean, so that the batch size
    does not change the balance of the losses.

    Parameters
    ----------
    codes, same
        (n, d) codes, and a cached code of the same emotion for each.
    others
        (n, k, d) cached codes of other emotions; zeros where none is cached yet.
    """
    near, far = functional.normalize(same, dim=1), functional.normalize(others, dim=2)
    codes = functional.normalize(codes, dim=1)
    logits = torch.cat([(codes * near).sum(1)[:, None], torch.einsum("nd,nkd->nk", codes, far)], 1)
    known = torch.cat([same.any(dim=1)[:, None], others.any(dim=2)], dim=1)
    logits = (logits / tau).masked_fill(~known, -1e9)
    each = -functional.log_softmax(logits, dim=1)[:, 0]
    return torch.where(known[:, 0], each, 0.0).mean()
