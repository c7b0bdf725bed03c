"""Load the network of a weights file."""

from __future__ import annotations

from torch import nn

from pipeline.models.registry import Weights, read_weights
from pipeline.stylegan.networks import network_of


def load_network(weights: Weights) -> nn.Module:
    """The network of one of our files, for inference, on the CPU, in float32.

    Raises
    ------
    PipelineError
        The kind of network is unknown, or the tensors do not fit the config.
    """
    tensors, metadata = read_weights(weights)
    return network_of(tensors, metadata)
