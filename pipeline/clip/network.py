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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.clip.library import CONFIG_KEYS, known_config, open_clip
from pipeline.clip.precision import run_products_in_bf16
from pipeline.errors import ParameterError, PipelineError
from pipeline.reuse import sha256_of
from pipeline.stylegan.containers import open_weights
from pipeline.stylegan.pickle_scan import UnsafeFileError
from pipeline.stylegan.stored import Capped, StoredTensor

_STATE_FILES = (".pt", ".pth", ".bin")
_HUB_KEYS = ("hf_model_name", "hf_tokenizer_name")


@dataclass(frozen=True)
class Architecture:
    """What to build: the name it goes by in open_clip, its config and its pictures' settings.

    `preprocess` holds what a config of the hub's layout says under `preprocess_cfg`.
    """

    name: str
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]

    def identity(self) -> dict[str, Any]:
        """All that a score depends on, for the key of a unit: the same wherever the files lie."""
        config = dict(self.config)
        tokens = config["text_cfg"].get("tokenizer_kwargs", {})
        if "bpe_path" in tokens:
            content = {**tokens, "bpe_path": sha256_of(Path(tokens["bpe_path"]))}
            config["text_cfg"] = {**config["text_cfg"], "tokenizer_kwargs": content}
        return {"config": config, "preprocess": dict(self.preprocess)}


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


def read_architecture(named: str) -> Architecture:
    """The architecture that a name of open_clip's, or the path of a config JSON, means.

    A file may have the layout of open_clip's own configs or of `open_clip_config.json` as the hub
    has it. A relative `bpe_path` in it counts from its own folder.

    Raises
    ------
    ParameterError
        An unknown name, a file that is no config, or an architecture whose text tower or tokenizer
        only the hub has.
    """
    if named.endswith(".json"):
        found = _of_file(_existing(named))
    else:
        config = known_config(named)
        if config is None:
            raise ParameterError(
                f"score.network: open_clip knows no {named!r}; name one of "
                "open_clip.list_models(), or the path of a config ending in .json"
            )
        found = Architecture(named, config, {})
    _check_offline(found, named)
    return found


def _existing(named: str) -> Path:
    """A path from the working folder, else from the folder that holds the package."""
    beside = Path(__file__).resolve().parent.parent.parent / named
    for path in (Path(named), beside):
        if path.is_file():
            return path
    raise ParameterError(f"score.network: there is no file {named}")


def _of_file(path: Path) -> Architecture:
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise ParameterError(f"score.network: {path} is not JSON: {error}") from None
    config = values.get("model_cfg", values) if isinstance(values, dict) else {}
    missing = [key for key in CONFIG_KEYS if key not in config]
    if missing:
        raise ParameterError(f"score.network: {path} is no open_clip config: no {missing[0]}")
    tokens = config["text_cfg"].get("tokenizer_kwargs", {}) if _is_sound(config) else None
    if not isinstance(tokens, dict) or not isinstance(tokens.get("bpe_path", ""), str):
        raise ParameterError(
            f"score.network: {path} is no open_clip config: vision_cfg, text_cfg and its "
            "tokenizer_kwargs are objects, bpe_path is a text"
        )
    if "bpe_path" in tokens:
        merges = (path.parent / tokens["bpe_path"]).resolve()
        if not merges.is_file():
            raise ParameterError(
                f"score.network: {path} names a bpe_path that is not there: {merges}"
            )
        tokens["bpe_path"] = str(merges)
    return Architecture(path.stem, config, values.get("preprocess_cfg", {}))


def _is_sound(config: dict[str, Any]) -> bool:
    return all(isinstance(config[key], dict) for key in ("vision_cfg", "text_cfg"))


def _check_offline(found: Architecture, named: str) -> None:
    strange = [key for key in _HUB_KEYS if found.config["text_cfg"].get(key)]
    if strange or "siglip" in found.name.lower():
        what = found.config["text_cfg"].get(strange[0]) if strange else "SigLIP's tokenizer"
        raise ParameterError(
            f"score.network: {named!r} needs {what} from the hub, and nothing is downloaded here; "
            "take an architecture with open_clip's own tokenizer, such as ViT-B-32"
        )


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
        One line, when the file is no state dict or does not fit the architecture.
    """
    library = open_clip()
    with tempfile.TemporaryDirectory() as folder, _quiet():
        name = _registered(library, architecture, Path(folder))
        model = library.create_model(
            name, load_weights=False, pretrained_text=False,
            force_preprocess_cfg=dict(architecture.preprocess) or None,
        )  # fmt: skip
        tokenizer = library.get_tokenizer(name)
    if weights is not None:
        _load(library, model, weights)
    model.eval().requires_grad_(False)
    return ClipNetwork(model, tokenizer, _settings(model), torch.device("cpu"))


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
