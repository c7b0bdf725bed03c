"""Convert a published weights file to our safetensors layout, tensor by tensor.

The pipeline reads only converted files. A converted file states the sha256 of its source, and the
same source gives the same bytes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.digests import sha256_of
from pipeline.errors import PipelineError
from pipeline.models.containers import Opened, open_weights
from pipeline.models.registry import encode_metadata
from pipeline.models.stored_tensors import StoredTensor
from pipeline.runtime.store import atomic_path
from pipeline.stylegan.formats import OWN, Found, sniff
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.layouts import Network
from pipeline.stylegan.networks import compare_shapes, empty_network, expected_shapes

MEAN_DRAWS = 100_000
"""Codes for computing a missing mean, as rosinality's and pSp's tools do."""
_ALIGNMENT = 8


@dataclass(frozen=True)
class Examined:
    """A fully inspected file: every tensor is present, valid and finite."""

    opened: Opened
    found: Found
    sha256: str


def examine(path: Path, *, encoder: str = "", clamp: float | None = None) -> Examined:
    """Inspect a weights file: identify it, and check every tensor.

    Raises
    ------
    PipelineError
        When it is refused.
    """
    opened = open_weights(path)
    found = sniff(opened, encoder=encoder, clamp=clamp)
    for network in found.networks.values():
        _entries(network, path.name)
        for name, tensor in _stored(network):
            tensor.read(name)
    return Examined(opened, found, sha256_of(path))


def _stored(network: Network) -> Iterable[tuple[str, StoredTensor]]:
    yield from network.tensors.items()
    if network.mean is not None:
        yield "latent_avg", network.mean


def _entries(network: Network, what: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the converted file; fails if the source does not fit."""
    expected = expected_shapes(empty_network({"kind": network.kind, "config": network.config}))
    made = {n for n in expected if n.startswith("noises.") or n == "latent_avg"}
    found = {name: network.shape(name) for name in network.tensors}
    given = {name: expected[name] for name in made - set(found)}
    compare_shapes({**given, **found}, expected, what)
    for name, tensor in _stored(network):
        tensor.check(name)
    if network.mean is not None:
        _check_mean(network.mean.shape, expected["latent_avg"], what)
    return dict(sorted(expected.items()))


def _check_mean(found: tuple[int, ...], expected: tuple[int, ...], what: str) -> None:
    """A mean may have one row for all, or one per row of the code."""
    rows = found[0] if len(found) == 2 else 1
    of_rows = len(expected) == 2
    audio = found[-1:] == expected[-1:] and len(found) in (1, 2) and rows > 0
    if not audio or (of_rows and rows not in (1, expected[0])):
        raise PipelineError(f"{what}: latent_avg is {found}, expected {expected}")


def part_of(found: Found, part: str, what: str) -> Network:
    """The requested network; by default the first, which in an encoder's file is the encoder."""
    if found.family.startswith(OWN):
        raise PipelineError(f"{what} is {found.family}: there is nothing to convert")
    if not found.networks:
        raise PipelineError(f"{what} is {found.family}: not a network that is converted")
    if part and part not in found.networks:
        raise PipelineError(f"{what} holds no {part}; it holds: {', '.join(found.networks)}")
    return found.networks[part or next(iter(found.networks))]


def convert(
    examined: Examined, out: Path, *, part: str = "", notes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write one network of a file as safetensors.

    Parameters
    ----------
    part
        `encoder` or `generator`, if the file has both.
    notes
        More metadata: framing, licence.

    Returns
    -------
    The metadata written.
    """
    what = examined.opened.path.name
    network = part_of(examined.found, part, what)
    entries = _entries(network, what)
    made, origins = _made(network, entries)
    metadata = {
        **(notes or {}),
        "kind": network.kind,
        "config": network.config,
        "family": examined.found.family,
        "source_sha256": examined.sha256,
        **origins,
    }

    def tensor_of(name: str) -> Tensor:
        if name in made:
            return made[name]
        return network.tensors[name].read(name).float().reshape(entries[name])

    with atomic_path(out) as temporary:
        _write(temporary, entries, tensor_of, encode_metadata(metadata))
    return metadata


def _made(
    network: Network, entries: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that the file lacks or has in another shape, and the origin of each."""
    made, origins = {}, {}
    if "latent_avg" in entries:
        made["latent_avg"], origins["latent_avg"] = _mean(network, entries["latent_avg"])
    noises = {name for name in entries if name.startswith("noises.")}
    if noises:
        origins["noises"] = "from the file"
    if noises - set(network.tensors):
        made |= _noises(network)
        origins["noises"] = "drawn from seed 0"
    if network.clamp_from:
        origins["conv_clamp"] = network.clamp_from
    return made, origins


def _mean(network: Network, shape: tuple[int, ...]) -> tuple[Tensor, str]:
    """`latent_avg` of the converted file: (dim,) of a generator, (rows, dim) of an encoder."""
    of_rows = network.kind == "w-plus-encoder"
    if network.mean is None and of_rows:
        return torch.zeros(shape), "none"
    found = None if network.mean is None else network.mean.read("latent_avg").float()
    if not of_rows:
        rows = None if found is None else found.reshape(-1, shape[-1])
        if rows is None or not bool((rows == rows[0]).all()):
            return _computed_mean(network), f"mean of {MEAN_DRAWS} codes"
        return rows[0].clone(), "from the file"
    assert found is not None
    return found.expand(shape).contiguous(), "from the file"


def _computed_mean(network: Network) -> Tensor:
    """The mean code, through the mapping network alone."""
    small = GeneratorConfig(**{**network.config, "size": 8, "channels": (1, 1)})
    mapping = Generator(small)
    style = {
        name: network.tensors[name].read(name).float()
        for name in network.tensors
        if name.startswith("style.")
    }
    mapping.load_state_dict(style, strict=False)
    return mapping.mean_latent(MEAN_DRAWS)


def _noises(network: Network) -> dict[str, Tensor]:
    """Noise maps for a file without them: those of a new network."""
    config = GeneratorConfig(**network.config)
    small = Generator(GeneratorConfig(config.size, (1,) * len(config.channels), 1, 1))
    return {n: t for n, t in small.state_dict().items() if n.startswith("noises.")}


def _write(
    path: Path,
    entries: Mapping[str, tuple[int, ...]],
    tensor_of: Callable[[str], Tensor],
    metadata: Mapping[str, str],
) -> None:
    """Write safetensors with one tensor in memory at a time.

    The library's writer takes 4.1 GB for a file of 1 GB, this one 0.1.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in entries.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name, shape in entries.items():
            tensor = tensor_of(name).float().contiguous()
            assert tuple(tensor.shape) == shape
            stream.write(tensor.numpy().data)
