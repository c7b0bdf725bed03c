"""Map the tensors of each supported layout to our networks: config from shapes, names renamed.

Each function returns the config and, for every tensor of the network, the stored tensor and its
shape here. Nothing is computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import torch

from pipeline.errors import PipelineError
from pipeline.models.stored_tensors import StoredTensor
from pipeline.stylegan.ops import TAPS

Tensors = dict[str, StoredTensor]

_COUNTERS = "num_batches_tracked"
_IGNORED = (".kernel", "resample_filter", _COUNTERS)
_FILTER_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Network:
    """One network in a file.

    Attributes
    ----------
    kind, config
        As in the metadata of a converted file.
    tensors
        The stored tensors, by our names.
    shapes
        Shapes of tensors that differ here.
    mean
        The source of `latent_avg`, if the file has one: (dim,) or (rows, dim).
    clamp_from
        The origin of the generator's conv_clamp.
    """

    kind: str
    config: dict[str, Any]
    tensors: Tensors
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    mean: StoredTensor | None = None
    clamp_from: str = ""

    def with_config(self, **changes: Any) -> Network:
        """The same with other values in its config."""
        return replace(self, config={**self.config, **changes})

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor here."""
        return self.shapes.get(name, self.tensors[name].shape)


def _shape(tensors: Mapping[str, StoredTensor], name: str, dims: int, what: str) -> tuple[int, ...]:
    if name not in tensors:
        raise PipelineError(f"{what}: the tensor {name} is missing")
    shape = tensors[name].shape
    if len(shape) != dims or 0 in shape:
        raise PipelineError(f"{what}: the tensor {name} is {shape}; expected {dims} dimensions")
    return shape


def _check_filters(tensors: Tensors, names: Iterator[str], what: str) -> None:
    """Refuse a network with another filter than [1, 3, 3, 1]."""
    taps = torch.tensor(TAPS) / sum(TAPS)
    for name in names:
        if tensors[name].shape != (4, 4):
            raise PipelineError(f"{what}: its filter {name} is not [1, 3, 3, 1]")
        kernel = tensors[name].read(name).float()
        if not torch.allclose(
            kernel / kernel.sum(), torch.outer(taps, taps), atol=_FILTER_TOLERANCE
        ):
            raise PipelineError(f"{what}: its filter {name} is not [1, 3, 3, 1]")


def _kept(tensors: Tensors) -> Tensors:
    return {n: t for n, t in tensors.items() if not n.endswith(_IGNORED)}


def rosinality(
    tensors: Tensors, mean: StoredTensor | None, clamp: float | None, what: str
) -> Network:
    """A generator in our own layout."""
    blocks = [int(m[1]) for n in tensors if (m := re.fullmatch(r"to_rgbs\.(\d+)\.bias", n))]
    channels = [_shape(tensors, "conv1.conv.weight", 5, what)[1]]
    for j in range(max(blocks, default=-1) + 1):
        channels.append(_shape(tensors, f"convs.{2 * j}.conv.weight", 5, what)[1])
    _check_filters(tensors, (n for n in tensors if n.endswith(".kernel")), what)
    kept = _kept(tensors)
    own = kept.pop("latent_avg", None)
    layers = sum(1 for n in kept if re.fullmatch(r"style\.\d+\.weight", n))
    dim, z_dim = _shape(kept, "style.1.weight", 2, what)
    return Network(
        "stylegan2-generator",
        _generator_config(channels, dim, z_dim, layers, clamp, what),
        kept,
        mean=mean or own,
        clamp_from="given" if clamp else "none: this layout has no place for it",
    )


def _generator_config(
    channels: list[int], dim: int, z_dim: int, n_mlp: int, clamp: float | None, what: str
) -> dict[str, Any]:
    if dim != z_dim:
        raise PipelineError(f"{what}: z has {z_dim} numbers and w {dim}; expected equal sizes")
    return {
        "size": 4 << (len(channels) - 1), "channels": channels, "style_dim": dim, "n_mlp": n_mlp,
        "conv_clamp": clamp, "mapping_lr": 0.01,
    }  # fmt: skip


_NVIDIA_PARTS = (
    ("affine.weight", "conv.modulation.weight"),
    ("affine.bias", "conv.modulation.bias"),
)


def nvidia(tensors: Tensors, clamp: float | None, what: str) -> Network:
    """A generator in NVIDIA's PyTorch layout: other names, no flips, fewer dimensions."""
    if any(n.startswith("mapping.embed") for n in tensors):
        raise PipelineError(
            f"{what} is a class-conditional generator (c_dim > 0), which is not supported"
        )
    sides = sorted(
        int(m[1]) for n in tensors if (m := re.fullmatch(r"synthesis\.b(\d+)\.torgb\.bias", n))
    )
    if sides != [4 << i for i in range(len(sides))]:
        raise PipelineError(f"{what} is a generator of another architecture than `skip` ({sides})")
    _check_filters(tensors, (n for n in tensors if n.endswith("resample_filter")), what)
    names = dict(_nvidia_names(sides))
    kept = _kept(tensors)
    mean = kept.pop("mapping.w_avg", None)
    layers = sum(1 for n in kept if re.fullmatch(r"mapping\.fc\d+\.weight", n))
    names |= {
        f"mapping.fc{i}.{p}": f"style.{i + 1}.{p}"
        for i in range(layers)
        for p in ("weight", "bias")
    }
    strange = sorted(set(kept) - set(names))
    if strange:
        raise PipelineError(f"{what}: unexpected tensor {strange[0]} ({len(strange)} in all)")
    channels = [_shape(kept, f"synthesis.b{px}.conv1.weight", 4, what)[0] for px in sides]
    dim, z_dim = _shape(kept, "mapping.fc0.weight", 2, what)
    renamed = {names[n]: tensor for n, tensor in kept.items()}
    return Network(
        "stylegan2-generator",
        _generator_config(channels, dim, z_dim, layers, clamp, what),
        renamed,
        dict(_nvidia_shapes(renamed)),
        mean,
        clamp_from="given" if clamp else "none: a state dict does not say",
    )


def _nvidia_names(sides: list[int]) -> Iterator[tuple[str, str]]:
    """NVIDIA's names and ours of the synthesis network's tensors."""
    yield "synthesis.b4.const", "input.input"
    for i, px in enumerate(sides):
        block, j = f"synthesis.b{px}", i - 1
        convs = [("conv1", "conv1", 0)] if i == 0 else [
            ("conv0", f"convs.{2 * j}", 2 * j + 1), ("conv1", f"convs.{2 * j + 1}", 2 * j + 2)
        ]  # fmt: skip
        for theirs, ours, n in convs:
            conv = f"{block}.{theirs}"
            yield f"{conv}.weight", f"{ours}.conv.weight"
            yield f"{conv}.bias", f"{ours}.activate.bias"
            yield f"{conv}.noise_strength", f"{ours}.noise.weight"
            yield f"{conv}.noise_const", f"noises.noise_{n}"
            yield from ((f"{conv}.{a}", f"{ours}.{b}") for a, b in _NVIDIA_PARTS)
        ours = "to_rgb1" if i == 0 else f"to_rgbs.{j}"
        yield f"{block}.torgb.weight", f"{ours}.conv.weight"
        yield f"{block}.torgb.bias", f"{ours}.bias"
        yield from ((f"{block}.torgb.{a}", f"{ours}.{b}") for a, b in _NVIDIA_PARTS)


def _nvidia_shapes(renamed: Tensors) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, tensor in renamed.items():
        if name.endswith(".conv.weight") or name == "input.input":
            yield name, (1, *tensor.shape)
        elif name.endswith(".noise.weight"):
            yield name, (1,)
        elif name.startswith("noises."):
            yield name, (1, 1, *tensor.shape)
        elif name.startswith("to_rgb") and name.endswith(".bias") and "modulation" not in name:
            yield name, (1, *tensor.shape, 1, 1)


def _body(tensors: Tensors, what: str) -> tuple[list[int], list[int]]:
    """Units and widths of an IR-SE body: its stages differ in width."""
    widths: list[int] = []
    while f"body.{len(widths)}.res_layer.1.weight" in tensors:
        widths.append(_shape(tensors, f"body.{len(widths)}.res_layer.1.weight", 4, what)[0])
    stages = [(width, len(list(run))) for width, run in groupby(widths)]
    if len(stages) != 4:
        raise PipelineError(f"{what}: a body of {len(stages)} stages; expected 4")
    return [count for _, count in stages], [width for width, _ in stages]


def encoder(tensors: Tensors, mean: StoredTensor | None, kind: str, what: str) -> Network:
    """A pSp or e4e encoder: body, pyramid and heads are derived from the shapes."""
    units, widths = _body(tensors, what)
    depths: list[int] = []
    while f"styles.{len(depths)}.linear.weight" in tensors:
        convs = rf"styles\.{len(depths)}\.convs\.\d+\.weight"
        depths.append(sum(1 for n in tensors if re.fullmatch(convs, n)))
    head = _shape(tensors, "styles.0.convs.0.weight", 4, what)[0]
    dim = _shape(tensors, "styles.0.linear.weight", 2, what)[0]
    config = {
        "kind": kind, "n_styles": len(depths), "style_dim": dim, "input_px": 16 << depths[0],
        "units": units, "widths": widths, "head_width": head if head != dim else 0,
        "coarse": depths.count(depths[0]), "middle": sum(d <= depths[0] + 1 for d in depths),
    }  # fmt: skip
    return Network("w-plus-encoder", config, _kept(tensors), mean=mean)


def _face_px(n_flat: int, width: int, what: str) -> int:
    side = math.isqrt(n_flat // width)
    if side * side * width != n_flat:
        raise PipelineError(f"{what}: {n_flat} features before the last layer fit no square map")
    return side * 16


def arcface_irse(tensors: Tensors, what: str) -> Network:
    """ArcFace's IR-SE."""
    units, widths = _body(tensors, what)
    dim, n_flat = _shape(tensors, "output_layer.3.weight", 2, what)
    config = {
        "body": "irse", "units": units, "widths": widths, "dim": dim,
        "input_px": _face_px(n_flat, widths[3], what),
    }  # fmt: skip
    return Network("arcface", config, _kept(tensors))


def arcface_iresnet(tensors: Tensors, what: str) -> Network:
    """insightface's iresnet of any depth."""
    counts = [
        sum(1 for n in tensors if re.fullmatch(rf"layer{i}\.\d+\.conv1\.weight", n))
        for i in range(1, 5)
    ]
    widths = [_shape(tensors, f"layer{i}.0.conv1.weight", 4, what)[0] for i in range(1, 5)]
    dim, n_flat = _shape(tensors, "fc.weight", 2, what)
    config = {
        "body": "iresnet", "units": counts, "widths": widths, "dim": dim,
        "input_px": _face_px(n_flat, widths[3], what),
    }  # fmt: skip
    return Network("arcface", config, _kept(tensors))


def vgg(tensors: Tensors, what: str) -> Network:
    """torchvision's VGG without batch norm: convolutions; a gap in the numbers begins a stage."""
    weights = (re.fullmatch(r"features\.(\d+)\.weight", name) for name in tensors)
    places = sorted(int(match[1]) for match in weights if match)
    stages: list[list[int]] = []
    for before, place in zip([-9, *places], places, strict=False):
        if place - before != 2:
            stages.append([])
        stages[-1].append(_shape(tensors, f"features.{place}.weight", 4, what)[0])
    kept = {name: t for name, t in tensors.items() if name.startswith("features.")}
    return Network("vgg", {"stages": stages}, kept)
