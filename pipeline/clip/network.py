"""Build an open_clip network and load its weights from a file; nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.clip.architecture import Architecture
from pipeline.clip.library import open_clip
from pipeline.clip.precision import run_products_in_bf16
from pipeline.clip.state_names import open_clip_names
from pipeline.errors import ParameterError, PipelineError
from pipeline.models.containers import open_weights
from pipeline.models.pickle_scan import UnsafeFileError
from pipeline.models.registry import MAX_WEIGHTS_BYTES, weights_file
from pipeline.models.stored_tensors import StoredTensor


@dataclass(frozen=True)
class ImageSettings:
    """A network's preprocessing: side, interpolation, and (x / 255 - mean) / std."""

    size_px: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ClipNetwork:
    """A loaded model, its tokenizer, its preprocessing and its device."""

    model: Any
    tokenizer: Any
    images: ImageSettings
    device: torch.device

    @property
    def scale(self) -> Tensor:
        """The network's logit scale, exp(logit_scale): a scalar."""
        scale: Tensor = self.model.logit_scale.detach().float().exp()
        return scale.reshape(())

    def encode_images(self, images: Tensor) -> Tensor:
        """Unit embeddings (n, d), float32, of normalised images (n, 3, s, s)."""
        embeddings: Tensor = self.model.encode_image(images)
        return nn.functional.normalize(embeddings.float(), dim=-1)

    def to(self, device: str, precision: str) -> ClipNetwork:
        """Move to cpu or cuda, image tower in fp32 or bf16; modifies the model in place."""
        place = torch.device(device)
        moved = replace(self, model=self.model.to(place), device=place)
        if precision == "bf16":
            run_products_in_bf16(moved.model.visual)
        return moved

    def encode_texts(self, texts: list[str]) -> Tensor:
        """Unit embeddings (n, d), float32, of texts."""
        embeddings: Tensor = self.model.encode_text(self.tokenizer(texts).to(self.device))
        return nn.functional.normalize(embeddings.float(), dim=-1)


def build_network(architecture: Architecture, weights: Path | None) -> ClipNetwork:
    """Build a network and load its weights, in fp32 on the CPU; see `ClipNetwork.to`.

    Parameters
    ----------
    weights
        See `read_state`. None: random weights, for benchmarks and training.

    Raises
    ------
    PipelineError
        When open_clip cannot build the architecture, or the file is not a state dict that fits it.
    """
    library = open_clip()
    with tempfile.TemporaryDirectory() as folder, _quiet():
        name = _registered(library, architecture, Path(folder))
        try:
            _check_size(library, architecture, name)
            model = _created(library, architecture, name, "cpu")
            tokenizer = library.get_tokenizer(name)
        except _CANNOT_BE as error:
            line = " ".join(str(error).split())[:300]
            raise ParameterError(
                f"score.network: open_clip cannot build {architecture.name}: {line}"
            ) from error
    _check_vocabulary(architecture, tokenizer)
    if weights is not None:
        _load(library, model, weights)
    model.eval().requires_grad_(False)
    return ClipNetwork(model, tokenizer, _settings(model), torch.device("cpu"))


def _created(library: Any, architecture: Architecture, name: str, device: str) -> Any:
    return library.create_model(
        name, load_weights=False, pretrained_text=False, device=device,
        force_preprocess_cfg=dict(architecture.preprocess) or None,
    )  # fmt: skip


def _check_size(library: Any, architecture: Architecture, name: str) -> None:
    """Refuse a network larger than `MAX_WEIGHTS_BYTES`, measured on the meta device."""
    for part in ("vision_cfg", "text_cfg"):
        stated = architecture.config[part].get("layers")  # a ResNet has one number per stage
        layers = stated if isinstance(stated, list) else [stated]
        if sum(abs(n) for n in layers if isinstance(n, int)) > _MAX_LAYERS:
            raise ValueError(f"{stated} layers in {part}; at most {_MAX_LAYERS}")
    with torch.device("meta"):
        outline = _created(library, architecture, name, "meta")
    tensors = (*outline.parameters(), *outline.buffers())
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if n_bytes > MAX_WEIGHTS_BYTES:
        raise ValueError(f"its weights take {n_bytes} bytes; at most {MAX_WEIGHTS_BYTES}")


def _check_vocabulary(architecture: Architecture, tokenizer: Any) -> None:
    """Refuse a tokenizer with more tokens than the text tower has embeddings."""
    n = architecture.config["text_cfg"].get("vocab_size", tokenizer.vocab_size)
    if tokenizer.vocab_size > n:
        raise ParameterError(
            f"score.network: the tokenizer of {architecture.name} has {tokenizer.vocab_size} "
            f"tokens, text_cfg.vocab_size is {n}"
        )


_MAX_LAYERS = 1000
_CANNOT_BE = (
    RuntimeError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    ArithmeticError, NotImplementedError,
)  # fmt: skip
"""What open_clip and torch raise on an invalid config."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress open_clip's warning about missing weights, which are loaded later."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _registered(library: Any, architecture: Architecture, folder: Path) -> str:
    """Register a config with open_clip under a name that contains its digest, so it is unique."""
    text = json.dumps(architecture.config, sort_keys=True)
    name = f"{architecture.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    path = folder / f"{name}.json"
    path.write_text(text, encoding="utf-8")
    library.add_model_config(path)
    return name


def _settings(model: Any) -> ImageSettings:
    preprocess = model.visual.preprocess_cfg
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else size
    if width != height:
        raise ParameterError(f"score.network: its input is {width}x{height}, not square")
    return ImageSettings(
        int(width), str(preprocess["interpolation"]),
        tuple(preprocess["mean"]), tuple(preprocess["std"]),
    )  # fmt: skip


def _load(library: Any, model: Any, path: Path) -> None:
    try:
        state = open_clip_names(read_state(path))
        _load_state(library, model, state)
    except _DOES_NOT_FIT as error:
        line = " ".join(str(error).split())
        raise PipelineError(
            f"{path} does not fit the architecture of score.network (score.network and "
            f"score.weights belong together): {line[:300]}"
        ) from None


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name, read without running code.

    Parameters
    ----------
    path
        safetensors or a torch file of any suffix, or a folder of the hub. Tensors may be below
        `state_dict`, as in training checkpoints.

    Raises
    ------
    PipelineError
        When the file holds code, damaged or non-finite tensors, or anything but tensors.
    """
    path = weights_file(path)
    try:
        tree = open_weights(path).tree
    except UnsafeFileError as error:
        hint = _OPENAI if "TorchScript" in str(error) else _AS_TENSORS
        raise PipelineError(f"{error} ({hint})") from None
    inner = tree.get("state_dict", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        raise PipelineError(f"{path}: it holds more than tensors; {_AS_TENSORS}")
    stored = {str(name): value for name, value in inner.items() if isinstance(value, StoredTensor)}
    for name, value in stored.items():  # before any of them takes memory
        value.check(name[:200])
    try:
        return {name: value.read(name[:200]) for name, value in stored.items()}
    except UnsafeFileError as error:
        raise PipelineError(f"{path}: {error}") from None


def _load_state(library: Any, model: Any, state: dict[str, Tensor]) -> None:
    """open_clip's `load_checkpoint`, from tensors instead of a file."""
    state = import_module("open_clip.convert").convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = library.convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        own = getattr(model, name, None)
        if name in state and own is not None:
            state[name] = state[name].reshape(own.shape)
    if "logit_bias" not in state and model.logit_bias is not None:
        state["logit_bias"] = torch.zeros_like(state["logit_scale"])
    resize = import_module("open_clip.model")
    resize.resize_pos_embed(state, model)
    resize.resize_text_pos_embed(state, model)
    model.load_state_dict(state, strict=True)


_DOES_NOT_FIT = (
    RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError, AssertionError,
)  # fmt: skip
"""What open_clip and torch raise on tensors of another network."""
_AS_TENSORS = "load it where you trust it and save its state_dict() as safetensors"
_OPENAI = (
    "OpenAI publishes such archives: save torch.jit.load(FILE).state_dict() as safetensors where "
    "you trust it, and set score.network to a name with the tag openai, such as ViT-B-32::openai"
)
