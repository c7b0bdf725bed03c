"""An open_clip network of a name or a config file, with weights of a file; nothing is downloaded.

A name that open_clip knows and a JSON file of one's own go the same way: open_clip builds the
network, its own code maps the weights onto it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.clip.architecture import Architecture
from pipeline.clip.library import open_clip
from pipeline.clip.precision import run_products_in_bf16
from pipeline.errors import ParameterError, PipelineError
from pipeline.models.containers import open_weights
from pipeline.models.pickle_scan import UnsafeFileError
from pipeline.models.registry import MAX_WEIGHTS_BYTES
from pipeline.models.stored_tensors import Capped, StoredTensor

_STATE_FILES = (".pt", ".pth", ".bin")


@dataclass(frozen=True)
class PictureSettings:
    """What the network wants of a picture: side, resampling, and (x / 255 - mean) / std."""

    size_px: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ClipNetwork:
    """A network ready to judge: the model on its device, and its tokenizer."""

    model: Any
    tokenizer: Any
    pictures: PictureSettings
    device: torch.device

    @property
    def scale(self) -> Tensor:
        """The factor on cosines that the network was trained with: its own logit scale."""
        scale: Tensor = self.model.logit_scale.detach().float().exp()
        return scale.reshape(())

    def encode_pictures(self, pictures: Tensor) -> Tensor:
        """Unit embeddings (n, d), float32, of normalised pictures (n, 3, s, s)."""
        found: Tensor = self.model.encode_image(pictures)
        return nn.functional.normalize(found.float(), dim=-1)

    def to(self, device: str, precision: str) -> ClipNetwork:
        """The network on cpu or cuda, its picture tower in fp32 or bf16; this one is used up."""
        place = torch.device(device)
        moved = replace(self, model=self.model.to(place), device=place)
        if precision == "bf16":
            run_products_in_bf16(moved.model.visual)
        return moved

    def encode_texts(self, texts: list[str]) -> Tensor:
        """Unit embeddings (n, d), float32, of texts."""
        found: Tensor = self.model.encode_text(self.tokenizer(texts).to(self.device))
        return nn.functional.normalize(found.float(), dim=-1)


def build_network(architecture: Architecture, weights: Path | None) -> ClipNetwork:
    """Build a network and load its weights, in fp32 on the CPU; see `ClipNetwork.to`.

    Parameters
    ----------
    weights
        safetensors, or a state dict in .pt, .pth or .bin, read without running code. None: random,
        for benchmarks and training.

    Raises
    ------
    PipelineError
        One line, when the architecture is none that can be built, or the file is no state dict or
        does not fit it.
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
    """Refuse a network that would not fit the memory, by an outline that takes none of it."""
    for part in ("vision_cfg", "text_cfg"):
        told = architecture.config[part].get("layers")  # of a ResNet one number a step
        layers = [n for n in (told if isinstance(told, list) else [told]) if isinstance(n, int)]
        if sum(map(abs, layers)) > _MAX_LAYERS:
            raise ValueError(f"{told} layers in {part}; at most {_MAX_LAYERS}")
    with torch.device("meta"):
        outline = _created(library, architecture, name, "meta")
    tensors = (*outline.parameters(), *outline.buffers())
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if n_bytes > MAX_WEIGHTS_BYTES:
        raise ValueError(f"it would have {n_bytes} bytes of weights; at most {MAX_WEIGHTS_BYTES}")


def _check_vocabulary(architecture: Architecture, tokenizer: Any) -> None:
    """Refuse a tokenizer with words that the text tower has no place for."""
    n = architecture.config["text_cfg"].get("vocab_size", tokenizer.vocab_size)
    if tokenizer.vocab_size > n:
        raise ParameterError(
            f"score.network: the tokenizer of {architecture.name} has {tokenizer.vocab_size} "
            f"words, text_cfg.vocab_size is {n}"
        )


_MAX_LAYERS = 1000
_CANNOT_BE = (
    RuntimeError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    ArithmeticError, NotImplementedError,
)  # fmt: skip
"""What open_clip and torch raise on a config that describes no network."""


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip warns, on the root logger, of a network without weights: they come afterwards."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _registered(library: Any, architecture: Architecture, folder: Path) -> str:
    """Tell open_clip of a config, under a name that holds its digest and meets no other."""
    text = json.dumps(architecture.config, sort_keys=True)
    name = f"{architecture.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    path = folder / f"{name}.json"
    path.write_text(text, encoding="utf-8")
    library.add_model_config(path)
    return name


def _settings(model: Any) -> PictureSettings:
    found = model.visual.preprocess_cfg
    size = found["size"]
    height, width = (size, size) if isinstance(size, int) else size
    if width != height:
        raise ParameterError(f"score.network: it sees pictures of {width}x{height}, not square")
    return PictureSettings(
        int(width), str(found["interpolation"]), tuple(found["mean"]), tuple(found["std"])
    )


def _load(library: Any, model: Any, path: Path) -> None:
    _check_kind(path)
    _check_claims(path)
    try:
        library.load_checkpoint(model, str(path), strict=True, weights_only=True)
    except pickle.UnpicklingError:
        raise PipelineError(f"{path}: {_NOT_PLAIN}") from None
    except _DOES_NOT_FIT as error:
        line = " ".join(str(error).split())
        raise PipelineError(
            f"{path} does not fit the architecture of score.network: {line[:300]}"
        ) from None
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise PipelineError(f"{path}: the tensor {name} holds numbers that are not finite")


def _check_claims(path: Path) -> None:
    """Refuse a file of which something would run, or that claims more than it holds.

    torch's own reader runs nothing either, but takes whatever memory a pickle asks for.
    """
    try:
        tree = open_weights(path).tree
    except UnsafeFileError as error:
        raise PipelineError(f"{error} ({_AS_TENSORS})") from None
    inner = tree.get("state_dict", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        raise PipelineError(f"{path}: {_NOT_PLAIN}")
    for name, value in inner.items():
        if isinstance(value, StoredTensor):
            value.check(str(name)[:200])


_DOES_NOT_FIT = (
    RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError, EOFError,
    StopIteration, SafetensorError,
)  # fmt: skip
"""What open_clip's and torch's loading raise on tensors that are not the network's."""
_AS_TENSORS = "load it where you trust it and save its state_dict() as safetensors"
_NOT_PLAIN = f"it holds more than tensors, and code of a file is never run; {_AS_TENSORS}"


def _check_kind(path: Path) -> None:
    if path.suffix == ".safetensors":
        return
    if path.suffix not in _STATE_FILES:
        raise PipelineError(f"{path}: weights are read from .safetensors, .pt, .pth or .bin")
    if _is_script(path):
        raise PipelineError(
            f"{path} is a TorchScript archive (as OpenAI's own files are), which is a program; "
            "save torch.jit.load(...).state_dict() as safetensors where you trust it, and name an "
            "architecture ending in -quickgelu, as OpenAI's networks are"
        )


def _is_script(path: Path) -> bool:
    try:
        if not zipfile.is_zipfile(path):
            return False
        with Capped(path) as stream, zipfile.ZipFile(stream) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
        raise PipelineError(f"{path}: damaged or cut short ({error})") from None
