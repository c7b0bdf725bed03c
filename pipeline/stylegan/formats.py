"""Identify a weights file by the names and shapes of its tensors, not by its suffix.

Sizes, widths and depths are derived from the tensors. A file's own options (`opts`) only decide
which of two encoders with equal tensor names it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import PipelineError
from pipeline.models.containers import Opened
from pipeline.models.pickle_scan import Limits, UnsafeFileError
from pipeline.models.pickle_stubs import Bag, PersistentObject, TfNetwork
from pipeline.models.registry import decode_metadata
from pipeline.models.stored_tensors import StoredTensor, without_prefixes
from pipeline.stylegan import layouts
from pipeline.stylegan.layouts import Network, Tensors
from pipeline.stylegan.networks import KINDS

_ENCODER_TYPES = {"Encoder4Editing": "e4e", "GradualStyleEncoder": "psp"}
_DEEPEST_MODULE = 24
OWN = "converted by this project"
"""Prefix of the family of our own files."""
CLIP = "CLIP"
_CLIP = {
    "visual.conv1.weight", "visual.trunk.patch_embed.proj.weight", "visual.proj",
    "vision_model.embeddings.class_embedding",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The contents of a file: its family in words, and its networks by purpose."""

    family: str
    networks: dict[str, Network] = field(default_factory=dict)


def sniff(opened: Opened, *, encoder: str = "", clamp: float | None = None) -> Found:
    """Identify the contents of a file.

    Parameters
    ----------
    encoder
        `e4e` or `psp`, for an encoder file that does not state it.
    clamp
        The generator's conv_clamp, for files that lack it (state dicts).

    Raises
    ------
    PipelineError
        What it is, and why it is not supported.
    """
    tree, name = opened.tree, opened.path.name
    parts = tree.values() if isinstance(tree, dict) else tree
    if not isinstance(tree, dict | tuple | list):
        parts = [tree]
    if any(isinstance(part, TfNetwork) for part in parts):
        raise PipelineError(
            f"{name} is a StyleGAN2 pickle of the TensorFlow version, which is not read; use the "
            "PyTorch pickle of the same network, or convert it with its publisher's legacy.py"
        )
    if not isinstance(tree, dict):
        raise PipelineError(f"{name} has no named tensors: {_KNOWN}")
    if isinstance(tree.get("G_ema"), PersistentObject):
        return _pickled(tree["G_ema"], name)
    if "kind" in opened.metadata and "config" in opened.metadata:
        return _own(opened)
    return _by_names(tree, name, encoder, clamp)


_TERMS = (
    ("NVIDIA", "NVIDIA's source code licence: non-commercial"),
    ("rosinality", "code MIT; the weights under the terms of who trained them (FFHQ: NVIDIA's)"),
    ("encoder", "code MIT; made with NVIDIA's FFHQ generator, whose terms are non-commercial"),
    ("ArcFace", "InsightFace's models: non-commercial research"),
    ("VGG", "torchvision: BSD; the weights were trained on ImageNet (research)"),
    ("CLIP", "as its publisher says"),
)


_OWN_FACES = "drawn faces"
"""How the demo's weights say what they were trained on."""


def terms_of(opened: Opened, found: Found) -> str:
    """The usual terms of such a file: a hint, not legal advice."""
    metadata = decode_metadata(opened.metadata)
    if isinstance(metadata.get("terms"), str):
        return str(metadata["terms"])
    if str(metadata.get("trained_on", "")).startswith(_OWN_FACES):
        return "MIT: trained by this project on rendered faces"
    return next((terms for part, terms in _TERMS if part in found.family), "not known")


_KNOWN = (
    "supported are StyleGAN2 generators (rosinality's and NVIDIA's PyTorch versions), "
    "e4e and pSp encoders, ArcFace (IR-SE-50, iresnet), and torchvision's VGG"
)


def _own(opened: Opened) -> Found:
    metadata = decode_metadata(opened.metadata)
    kind, config = metadata["kind"], metadata["config"]
    if not isinstance(kind, str):
        raise UnsafeFileError(f"{opened.path.name}: its kind is no word: refused")
    if kind not in KINDS:
        return Found(f"{OWN}: {kind[:60]}", {})
    if not isinstance(config, dict):
        raise UnsafeFileError(f"{opened.path.name}: the config of a {kind} is no object: refused")
    return Found(f"{OWN}: {kind}", {"network": Network(kind, config, dict(opened.tree))})


def _by_names(tree: dict[Any, Any], name: str, encoder: str, clamp: float | None) -> Found:
    inner = tree.get("state_dict") if isinstance(tree.get("state_dict"), dict) else None
    flat = named_tensors(inner if inner is not None else tree, name)
    if any(key.startswith("encoder.") for key in flat):
        return _encoder(tree, flat, name, encoder, clamp)
    if isinstance(tree.get("g_ema"), dict):
        trained = "trained" if "args" in tree or "g_optim" in tree else "converted"
        flat = named_tensors(tree["g_ema"], name)
        mean = tree.get("latent_avg")
        made = layouts.rosinality(
            flat, mean if isinstance(mean, StoredTensor) else None, clamp, name
        )
        return Found(f"StyleGAN2 generator, rosinality's layout, {trained}", {"generator": made})
    return _flat(flat, name, clamp)


Reader = Callable[[Tensors, float | None, str], Network]
"""Reads a network from named tensors, given conv_clamp and the file's name."""
_FLAT: tuple[tuple[set[str], str, str, Reader], ...] = (
    (
        {"synthesis.b4.const"},
        "StyleGAN2 generator, NVIDIA's layout, state dict", "generator", layouts.nvidia,
    ),
    (
        {"conv1.conv.modulation.weight", "input.input"},
        "StyleGAN2 generator, rosinality's layout, state dict", "generator",
        lambda flat, clamp, name: layouts.rosinality(flat, None, clamp, name),
    ),
    (
        {"body.0.res_layer.0.weight", "output_layer.3.weight"},
        "ArcFace, IR-SE", "arcface", lambda flat, _, name: layouts.arcface_irse(flat, name),
    ),
    (
        {"layer1.0.prelu.weight", "features.weight"},
        "ArcFace, insightface's iresnet", "arcface",
        lambda flat, _, name: layouts.arcface_iresnet(flat, name),
    ),
    (
        {"features.0.weight", "features.2.weight", "classifier.0.weight"},
        "VGG, torchvision's", "vgg", lambda flat, _, name: layouts.vgg(flat, name),
    ),
)  # fmt: skip
"""Names that identify a state dict, its family, and the purpose and reader of its network."""


def _flat(flat: Tensors, name: str, clamp: float | None) -> Found:
    if any(key.startswith("synthesis.input.") for key in flat):
        raise PipelineError(_STYLEGAN3.format(name))
    for needed, family, purpose, read in _FLAT:
        if needed <= set(flat):
            return Found(family, {purpose: read(flat, clamp, name)})
    if _CLIP & set(flat):
        return Found(f"{CLIP}; score reads it as it is")
    raise PipelineError(f"{name} is not a supported network: {_KNOWN}")


_STYLEGAN3 = (
    "{} is a StyleGAN3 generator, whose codes and layers differ; only StyleGAN2's are supported"
)


def _pickled(network: PersistentObject, name: str) -> Found:
    flat = dict(module_tensors(network))
    if any(key.startswith("synthesis.input.") for key in flat):
        raise PipelineError(_STYLEGAN3.format(name))
    if "synthesis.b4.const" not in flat:
        raise PipelineError(f"{name} is a pickle of a {network.class_name}, no StyleGAN2 generator")
    conv = _submodule(network, ("synthesis", "b4", "conv1")).state
    clamp, rate = conv.get("conv_clamp"), _mapping_rate(network)
    if clamp is not None and not isinstance(clamp, int | float):
        raise UnsafeFileError(f"{name}: a conv_clamp that is no number is refused")
    made = layouts.nvidia(flat, None if clamp is None else float(clamp), name)
    made = replace(made.with_config(mapping_lr=rate), clamp_from="from the file")
    return Found("StyleGAN2 generator, NVIDIA's pickle", {"generator": made})


def init_kwargs(network: PersistentObject) -> dict[str, Any]:
    """The arguments that a pickled network was made with."""
    found = network.state.get("_init_kwargs")
    return dict(found) if isinstance(found, dict) else {}


def _mapping_rate(network: PersistentObject) -> float:
    kwargs = init_kwargs(_submodule(network, ("mapping", "fc0")))
    rate = kwargs.get("lr_multiplier", 0.01)
    return float(rate) if isinstance(rate, int | float) else 0.01


def _submodule(network: PersistentObject, way: tuple[str, ...]) -> PersistentObject:
    for step in way:
        inner = network.state.get("_modules")
        found = inner.get(step) if isinstance(inner, dict) else None
        if not isinstance(found, PersistentObject):
            raise PipelineError(f"a pickled generator without its part {step} is not read")
        network = found
    return network


def module_tensors(
    network: PersistentObject, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, StoredTensor]]:
    """Dotted names and tensors of a pickled module and all below it."""
    if depth > _DEEPEST_MODULE:
        raise UnsafeFileError("modules nested without end are refused")
    for part in ("_parameters", "_buffers"):
        for name, value in _named(network.state.get(part)):
            if isinstance(value, StoredTensor):
                yield f"{prefix}{name}", value
    for name, value in _named(network.state.get("_modules")):
        if isinstance(value, PersistentObject):
            yield from module_tensors(value, f"{prefix}{name}.", depth + 1)


def _named(part: object) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        yield from ((name, value) for name, value in part.items() if isinstance(name, str))


def named_tensors(tree: Mapping[Any, Any], what: str) -> Tensors:
    """The tensors of a flat dictionary, without the prefixes of DataParallel and torch.compile."""
    tensors = {without_prefixes(n): v for n, v in _named(dict(tree)) if isinstance(v, StoredTensor)}
    limits = Limits()
    claimed = sum(tensor.n_bytes for tensor in tensors.values())
    if len(tensors) > limits.tensors or claimed > limits.file_bytes:
        raise UnsafeFileError(f"{what} is refused: {len(tensors)} tensors claim {claimed} bytes")
    return tensors


def _encoder(
    tree: dict[Any, Any], flat: Tensors, name: str, told: str, clamp: float | None
) -> Found:
    opts = tree.get("opts") if isinstance(tree.get("opts"), Bag | dict) else {}
    assert isinstance(opts, dict)
    _refuse_other_encoders(flat, name)
    said = opts.get("encoder_type")
    said = said if isinstance(said, str) else "it does not say which"
    kind = told or _ENCODER_TYPES.get(said, "")
    if not kind:
        raise PipelineError(
            f"{name} holds an encoder ({said[:40]}); e4e's Encoder4Editing and "
            "pSp's GradualStyleEncoder are read: say --encoder e4e or --encoder psp if it is one"
        )
    mean = tree.get("latent_avg") if opts.get("start_from_latent_avg", True) else None
    if mean is None and opts.get("start_from_latent_avg"):
        raise PipelineError(
            f"{name} adds a mean code (start_from_latent_avg) and does not hold it (latent_avg)"
        )
    mean = mean if isinstance(mean, StoredTensor) else None
    networks = {"encoder": layouts.encoder(_below(flat, "encoder."), mean, kind, name)}
    decoder = _below(flat, "decoder.")
    if decoder:
        networks["generator"] = layouts.rosinality(decoder, mean, clamp, name)
    return Found(f"{kind} encoder" + (" and its generator" if decoder else ""), networks)


def _refuse_other_encoders(flat: Tensors, name: str) -> None:
    first = flat.get("encoder.input_layer.0.weight")
    if first is None or "encoder.styles.0.linear.weight" not in flat:
        raise PipelineError(f"{name} holds an encoder that is neither e4e's nor pSp's")
    channels = first.shape[1] if len(first.shape) == 4 else 0
    if channels == 6:
        raise PipelineError(
            f"{name} is a ReStyle encoder (6 input channels, run several times), which is not "
            "read; take e4e or pSp"
        )
    if channels != 3:
        raise PipelineError(f"{name} reads images of {channels} channels; RGB is expected")


def _below(flat: Tensors, prefix: str) -> Tensors:
    return {n.removeprefix(prefix): t for n, t in flat.items() if n.startswith(prefix)}
