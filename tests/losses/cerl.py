"""CERL's loss, implemented from CDRL (IJCV 2025), eq. 3, to test the sampler.

Not part of the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TAU = 0.07
"""The papers give none for CERL; this is the value of ASCCL and STCCL."""


def cerl_loss(priors: torch.Tensor, features: torch.Tensor, tau: float = TAU) -> torch.Tensor:
    """The emotion-augmented contrastive loss (eq. 3).

    L = - sum_i sum_j log( exp(T_i v_ij / tau)
                           / (exp(T_i v_ij / tau) + sum_{k != i} exp(T_i v_kj / tau)) )

    Parameters
    ----------
    priors
        (n, d) the emotions' priors T_i.
    features
        (r, n, d) CLIP's image features: v_ij, the j-th image of emotion i, is [j, i].

    Returns
    -------
    torch.Tensor
        The sum over i and j.
    """
    logits = torch.einsum("id,jkd->jik", priors, features) / tau
    own = torch.diagonal(torch.log_softmax(logits, dim=2), dim1=1, dim2=2)
    return -own.sum()


@dataclass(frozen=True)
class Learnt:
    """The loss per image at each step, and the final priors (n, d)."""

    losses: list[float]
    priors: torch.Tensor


def tuples_of(
    features: torch.Tensor, emotions: torch.Tensor, r: int, generator: torch.Generator
) -> torch.Tensor:
    """Sample r images of each emotion: (r, n, d), emotions in label order."""
    groups = [torch.nonzero(emotions == n).flatten() for n in torch.unique(emotions)]
    sampled = [group[torch.randint(len(group), (r,), generator=generator)] for group in groups]
    return torch.stack([features[index] for index in sampled], dim=1)


def learn(
    features: torch.Tensor,
    emotions: torch.Tensor,
    *,
    steps: int = 200,
    batch: int = 8,
    lr: float = 0.1,
    seed: int = 0,
) -> Learnt:
    """SGD on the priors (CDRL 4.1: learning rate 0.1); CLIP's features are fixed.

    Parameters
    ----------
    features
        (m, d) unit embeddings of all D_n.
    emotions
        (m,) labels; each step has the same number of each.
    batch
        r of eq. 3: tuples per step.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.unique(emotions)
    # from zero, where the loss is log(n)
    priors = torch.zeros(len(numbers), features.shape[1], requires_grad=True)
    optimizer = torch.optim.SGD([priors], lr=lr)
    losses = []
    for _ in range(steps):
        tuples = tuples_of(features, emotions, batch, generator)
        loss = cerl_loss(priors, tuples) / (batch * len(numbers))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return Learnt(losses, priors.detach())
