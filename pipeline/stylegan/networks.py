"""Networks to files and back: one safetensors file, whose metadata say what to build.

The metadata are a flat map of names to JSON: `kind`, `config` (the arguments of the network's
config), and notes on where the weights come from. A file never says which code to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.models.registry import write_weights
from pipeline.stylegan.arcface import ArcFace, ArcFaceConfig, arcface
from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.perceptual import Vgg, VggConfig

_COUNTERS = "num_batches_tracked"
"""Of batch norms: counts that no result depends on; not stored."""


@dataclass(frozen=True)
class Kind:
    """A kind of network: the class of its config, the network of a config, the class it has."""

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
            return {"kind": kind, "config": network.config.as_dict()}  # type: ignore[operator, union-attr]
    raise TypeError(f"{type(network).__name__} is of no kind of network known here")


def empty_network(metadata: Mapping[str, Any]) -> nn.Module:
    """The network that metadata describe, on torch's meta device: shapes without memory.

    Raises
    ------
    PipelineError
        An unknown kind, or a config that cannot be.
    """
    kind, config = metadata.get("kind"), metadata.get("config")
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(config, Mapping):
        raise PipelineError(
            f"a weights file of kind {kind!r}; expected is {', '.join(KINDS)}: "
            "run `spfem-data models convert` on the published file"
        )
    try:
        settings = KINDS[kind].config(**config)
    except (TypeError, ValueError) as error:
        raise PipelineError(f"the config of a {kind} in a weights file: {error}") from None
    with torch.device("meta"):
        return KINDS[kind].network(settings)


def expected_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a file of this network holds."""
    state = network.state_dict()
    return {n: tuple(t.shape) for n, t in state.items() if not n.endswith(_COUNTERS)}


def compare_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Stop with one line where a tensor is missing, unknown or of another shape."""
    for name in sorted(expected):
        if name not in found:
            raise PipelineError(f"{what}: the tensor {name} is missing")
        if tuple(found[name]) != tuple(expected[name]):
            raise PipelineError(
                f"{what}: the tensor {name} is {tuple(found[name])}, "
                f"expected is {tuple(expected[name])}"
            )
    strange = sorted(set(found) - set(expected))
    if strange:
        raise PipelineError(f"{what}: no place for the tensor {strange[0]} ({len(strange)} such)")


def network_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> nn.Module:
    """The network of a file's tensors and metadata, in float32, for inference.

    Tensors are taken over and not copied where they are float32 already, so that a mapped file
    stays mapped.
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


def save_network(
    network: nn.Module, path: Path, notes: Mapping[str, Any] | None = None, *, half: bool = False
) -> None:
    """Write a network of `KINDS` as safetensors, whole or absent, the same bytes each time.

    Parameters
    ----------
    notes
        More metadata: where it comes from, what pictures it knows, its licence.
    half
        Store float16: half the size, read back as float32.
    """
    dtype = torch.float16 if half else torch.float32
    state = {
        name: t.detach().to("cpu", dtype).contiguous().clone()
        for name, t in network.state_dict().items()
        if not name.endswith(_COUNTERS)
    }
    write_weights(path, state, {**(notes or {}), **metadata_of(network)})
