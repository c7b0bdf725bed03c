"""Text anchors: one direction in CLIP's space per emotion, the mean over its prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.clip.network import ClipNetwork


def text_anchors(network: ClipNetwork, prompts: Sequence[Sequence[str]]) -> Tensor:
    """Unit anchors (k, d), float32, of k classes with one or more prompts each.

    Each prompt's embedding is normalised before averaging, and the mean is normalised again:
    the ensembling of Radford et al. 2021, 3.1.4.
    """
    counts = [len(own) for own in prompts]
    if not counts or min(counts) < 1:
        raise ValueError("every class needs at least one prompt")
    with torch.inference_mode():
        texts = network.encode_texts([text for own in prompts for text in own])
        means = torch.stack([own.mean(dim=0) for own in torch.split(texts, counts)])
        return nn.functional.normalize(means, dim=-1)


def probabilities(embeddings: Tensor, anchors: Tensor, scale: Tensor) -> Tensor:
    """Softmax (n, k) over cosines times the network's own logit scale (CDRL 3.2).

    A logit bias, as in sigmoid-trained networks, is the same for all classes and has no effect.
    """
    return (scale * embeddings @ anchors.T).softmax(dim=-1)
