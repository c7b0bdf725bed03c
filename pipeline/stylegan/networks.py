"""Save and load networks: a safetensors file whose metadata describe the architecture.

The metadata map names to JSON: `kind`, `config` (the arguments of the network's config), and notes
on the origin of the weights. A file never names code to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.models.registry import Weights, read_weights, write_weights
from pipeline.stylegan.arcface import ArcFace, ArcFaceConfig, arcface
from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.perceptual import Vgg, VggConfig

_COUNTERS = "num_batches_tracked"
"""Batch norms' counters, which no result depends on; not stored."""


Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Kind:
    """A kind of network: its config class, its constructor, its class."""

    config: Callable[..., Any]
    network: Callable[[Any], nn.Module]
    module: type[nn.Module]


KINDS = {
    "stylegan2-generator": Kind(GeneratorConfig, Generator, Generator),
    "stylegan2-discriminator": Kind(GeneratorConfig, Discriminator, Discriminator),
    "w-plus-encoder": Kind(EncoderConfig, WPlusEncoder, WPlusEncoder),
    "arcface": Kind(ArcFaceConfig, arcface, ArcFace),
    "vgg": Kind(VggConfig, Vgg, Vgg),
}


def metadata_of(network: nn.Module) -> dict[str, Any]:
    """Kind and config of a network of `KINDS`."""
    for kind, known in KINDS.items():
        if isinstance(network, known.module):
            return {"kind": kind, "config": asdict(network.config)}  # type: ignore[call-overload]
    raise TypeError(f"{type(network).__name__} is not a known kind of network")


def empty_network(metadata: Mapping[str, Any]) -> nn.Module:
    """The network that metadata describe, on torch's meta device, which takes no memory.

    Raises
    ------
    PipelineError
        An unknown kind, or an invalid config.
    """
    kind, config = metadata.get("kind"), metadata.get("config")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(config, Mapping):
        raise PipelineError(
            f"a weights file of kind {kind!r}; expected {', '.join(KINDS)}: "
            "run `spfem-data models convert` on the published file"
        )
    try:
        settings = KINDS[kind].config(**config)
    except (TypeError, ValueError) as error:
        raise PipelineError(f"the config of a {kind} in a weights file: {error}") from None
    with torch.device("meta"):
        return KINDS[kind].network(settings)


def expected_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a file of this network."""
    state = network.state_dict()
    return {n: tuple(t.shape) for n, t in state.items() if not n.endswith(_COUNTERS)}


def compare_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise PipelineError if a tensor is missing, unexpected or of another shape."""
    for name in sorted(expected):
        if name not in found:
            raise PipelineError(f"{what}: the tensor {name} is missing")
        if tuple(found[name]) != tuple(expected[name]):
            raise PipelineError(
                f"{what}: the tensor {name} is {tuple(found[name])}, "
                f"expected {tuple(expected[name])}"
            )
    strange = sorted(set(found) - set(expected))
    if strange:
        raise PipelineError(f"{what}: unexpected tensor {strange[0]} ({len(strange)} in all)")


def network_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> nn.Module:
    """Build the network of a file's tensors and metadata, in float32, for inference.

    float32 tensors are used without a copy, so that a memory-mapped file stays mapped.
    """
    network = empty_network(metadata)
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    compare_shapes(shapes, expected_shapes(network), str(metadata["kind"]))
    state = {name: t.float() for name, t in tensors.items()}
    for name in network.state_dict():
        if name.endswith(_COUNTERS):
            state[name] = torch.zeros((), dtype=torch.long)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def load_network(weights: Weights) -> nn.Module:
    """The network of one of our files, for inference, on the CPU, in float32.

    Raises
    ------
    PipelineError
        The kind of network is unknown, or the tensors do not fit the config.
    """
    return network_of(*read_weights(weights))


def load_as(weights: Weights, kind: type[Module], setting: str) -> Module:
    """`load_network`, of the kind that a setting of params.yaml needs.

    Raises
    ------
    PipelineError
        The file holds another kind of network.
    """
    network = load_network(weights)
    if not isinstance(network, kind):
        raise PipelineError(
            f"{setting} names the weights {weights.name!r}, which hold a "
            f"{type(network).__name__}; a {kind.__name__} is expected"
        )
    return network


def save_network(
    network: nn.Module, path: Path, notes: Mapping[str, Any] | None = None, *, half: bool = False
) -> None:
    """Write a network of `KINDS` as safetensors, atomically and reproducibly.

    Parameters
    ----------
    notes
        More metadata: origin, training data, licence.
    half
        Store float16, which is read back as float32.
    """
    dtype = torch.float16 if half else torch.float32
    state = {
        name: t.detach().to("cpu", dtype).contiguous().clone()
        for name, t in network.state_dict().items()
        if not name.endswith(_COUNTERS)
    }
    write_weights(path, state, {**(notes or {}), **metadata_of(network)})
