"""Weights by name: find the file of an entry of `models`, check it, and read it.

The entry's sha256 is checked before anything is read, so that a name means the same numbers on
every machine. Nothing is downloaded here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from safetensors import SafetensorError, safe_open

from pipeline.errors import MissingWeightsError, ParameterError, PipelineError, meant
from pipeline.params import ModelFile
from pipeline.runtime.store import FileHashes, write_bytes

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "models"
"""Folder of fetched files, below the folder of all outputs."""
PLAIN = ".safetensors"
MAX_WEIGHTS_BYTES = 8 << 30
"""Limit on the size of a file: the largest open_clip model has 20 GB, the largest useful one 4."""
_SUFFIX = re.compile(r"\.\w{1,12}", re.ASCII)
MAX_TENSORS = 50_000
"""Limit on the number of tensors: the largest useful files have about 3000."""


TRAINED_ON = "trained_on"
"""The metadata key that says which images a network was trained on."""
DRAWN = "drawn faces of invented people"
"""Its value, up to the command, for networks that serve the demo corpus only."""
DEMO = "demo"
_HUB_FILES = (
    "open_clip_model.safetensors", "model.safetensors", "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)  # fmt: skip
"""Names of weights in a folder downloaded from the Hugging Face hub, in order of preference."""


@dataclass(frozen=True)
class Weights:
    """A file of weights whose sha256 is the one in params.yaml."""

    name: str
    path: Path
    sha256: str


def find_weights(models: Mapping[str, ModelFile], name: str, data: Path, corpus: str) -> Weights:
    """The file of an entry of `models`, checked against its sha256.

    Parameters
    ----------
    corpus
        Of the dataset that the weights judge. Networks trained on drawn faces are only for `demo`.

    Raises
    ------
    ParameterError
        When params.yaml lists no such entry, or the file's sha256 differs.
    MissingWeightsError
        When the file does not exist, or is not for this corpus.
    """
    entry = model_entry(models, name)
    path = _existing(entry, name, data)
    if path is None:
        raise MissingWeightsError(_missing(entry, name, data))
    hashes = FileHashes(data / FOLDER / ".local" / "hashes.json")
    sha256 = hashes.sha256(path.resolve())
    hashes.save()
    if sha256 != entry.sha256:
        raise ParameterError(
            f"{path}: its sha256 is {sha256}, models.{name}.sha256 of params.yaml says "
            f"{entry.sha256}; correct the path or the sha256"
        )
    weights = Weights(name, path, sha256)
    if corpus != DEMO and is_drawn(weights):
        raise MissingWeightsError(
            f"the weights {name!r} were trained on drawn faces and serve corpus demo only"
        )
    return weights


def unusable(models: Mapping[str, ModelFile], name: str, data: Path, corpus: str) -> str:
    """Why an entry of `models` serves no dataset of a corpus; "" if it does. Checks no sha256."""
    if name not in models:
        return f"params.yaml lists no model {name!r} under models"
    path = _existing(models[name], name, data)
    if path is None:
        return f"the file of models.{name} is missing"
    if corpus != DEMO and is_drawn(Weights(name, path, models[name].sha256)):
        return f"{name} was trained on drawn faces and serves corpus demo only"
    return ""


def _existing(entry: ModelFile, name: str, data: Path) -> Path | None:
    places = [weights_file(path) for path in candidates(entry, name, data)]
    return next((path for path in places if path.is_file()), None)


def is_drawn(weights: Weights) -> bool:
    """Whether a network was trained on the demo's drawn faces, by its own metadata."""
    return str(read_metadata(weights).get(TRAINED_ON, "")).startswith(DRAWN)


def weights_file(path: Path) -> Path:
    """The path itself, or the file of weights in a folder downloaded from the hub."""
    if not path.is_dir():
        return path
    files = [path / name for name in _HUB_FILES if (path / name).is_file()]
    return files[0] if files else path


def model_entry(models: Mapping[str, ModelFile], name: str) -> ModelFile:
    """The entry of that name; the error lists the known ones."""
    if name not in models:
        known = ", ".join(sorted(models)) or "none"
        raise ParameterError(
            f"params.yaml lists no model {name!r} under models; it lists: {known}"
            + meant(name, models)
        )
    return models[name]


def stored_path(entry: ModelFile, name: str, data: Path) -> Path:
    """Where `models fetch` stores the file of an entry that has a url."""
    suffix = PurePosixPath(urlsplit(entry.url).path).suffix
    return data / FOLDER / f"{name}{suffix if _SUFFIX.fullmatch(suffix) else PLAIN}"


def candidates(entry: ModelFile, name: str, data: Path) -> list[Path]:
    """Possible paths of the file, in search order.

    A path is relative to the working folder, else to the folder that holds the package, which has
    the demo's networks. Without a path it is the file that `models fetch` stored.
    """
    if not entry.path:
        return [stored_path(entry, name, data)]
    return [Path(entry.path), Path(__file__).resolve().parents[2] / entry.path]


def _missing(entry: ModelFile, name: str, data: Path) -> str:
    if not entry.path and not entry.url:
        return f"models.{name} of params.yaml has neither path nor url: set its path"
    place = candidates(entry, name, data)[0]
    setting = f"models.{name}.path" if entry.path else f"models.{name}.url"
    todo = f"run: spfem-data models fetch {name}" if entry.url else "copy it there"
    return f"the weights {name!r} ({setting} of params.yaml) are not at {place}; {todo}"


def read_weights(weights: Weights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file by name, and its metadata decoded from JSON.

    A metadata value that is not JSON stays a string.

    Raises
    ------
    PipelineError
        When the file is not safetensors, exceeds the limits, or has non-finite values.
    """
    check_size(weights)
    try:
        with safe_open(weights.path, framework="pt") as file:
            names = sorted(file.keys())
            if len(names) > MAX_TENSORS:
                raise PipelineError(
                    f"{weights.path} (models.{weights.name}) has {len(names)} tensors, at most "
                    f"{MAX_TENSORS} are read"
                )
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = decode_metadata(file.metadata() or {})
    except SafetensorError as error:
        raise PipelineError(
            f"{weights.path} (models.{weights.name}) is not a safetensors file: {error}"
        ) from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise PipelineError(
                f"{weights.path} (models.{weights.name}): the tensor {name} holds numbers that are "
                "not finite; the file is damaged"
            )
    return tensors, metadata


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file atomically, with metadata as JSON; the same bytes each time.

    The library writes metadata in random order, so the header is rewritten in sorted order.
    """
    from safetensors.torch import save

    notes = encode_metadata(metadata)
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, notes)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = notes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > size:
        raise AssertionError(f"{path}: a header of {len(text)} bytes in the place of {size}")
    write_bytes(path, content[:8] + text.ljust(size) + content[8 + size :])


def check_size(weights: Weights) -> None:
    """Refuse a file larger than `MAX_WEIGHTS_BYTES` before reading it."""
    size = weights.path.stat().st_size
    if size > MAX_WEIGHTS_BYTES:
        raise PipelineError(
            f"{weights.path} (models.{weights.name}) has {size} bytes, at most "
            f"{MAX_WEIGHTS_BYTES} are read"
        )


def encode_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as safetensors stores it: each value as JSON."""
    return {name: json.dumps(value, sort_keys=True) for name, value in sorted(metadata.items())}


def read_metadata(weights: Weights) -> dict[str, Any]:
    """The metadata of a safetensors file; {} if it has none or is another kind of file."""
    try:
        with safe_open(weights.path, framework="np") as file:
            return decode_metadata(file.metadata() or {})
    except SafetensorError:
        return {}


def decode_metadata(stored: Mapping[str, str]) -> dict[str, Any]:
    """The metadata that `write_weights` stored; values that are not JSON stay strings."""
    found: dict[str, Any] = {}
    for name, text in stored.items():
        try:
            found[name] = json.loads(text)
        except (
            ValueError,
            RecursionError,
        ):  # not JSON, too deeply nested, or a number of thousands of digits
            found[name] = text
    return found
