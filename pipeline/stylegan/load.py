"""From weights that params.yaml names to the network that they are of."""

from __future__ import annotations

from torch import nn

from pipeline.models.registry import Weights, read_weights
from pipeline.stylegan.networks import network_of


def load_network(weights: Weights) -> nn.Module:
    """The network of a file that this project wrote, for inference, on the CPU, in float32.

    Raises
    ------
    PipelineError
        The file is of no kind known here, or its tensors do not fit its config.
    """
    tensors, metadata = read_weights(weights)
    return network_of(tensors, metadata)
