"""The architecture of a CLIP network: an open_clip name, or a config file."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.clip.library import CONFIG_KEYS, known_config, published
from pipeline.digests import sha256_of
from pipeline.errors import ParameterError, meant

HUB_CONFIG = "open_clip_config.json"
_HUB_KEYS = ("hf_model_name", "hf_tokenizer_name")
_TAG = "::"
_DEFAULT_PREPROCESS = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
}
"""open_clip's defaults, which are OpenAI's."""
_MERGES_BYTES = 16 << 20
"""Limit of a tokenizer's decompressed merges; open_clip's own have 3 MB."""
_LARGEST = 1e6  # of a mean or std


@dataclass(frozen=True)
class Architecture:
    """A network to build.

    Attributes
    ----------
    name
        As open_clip registers it.
    config
        In the layout of open_clip's own configs.
    preprocess
        Mean, standard deviation and interpolation, as far as the hub's config or open_clip's table
        of published weights states them; open_clip's defaults apply to the rest.
    """

    name: str
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]

    def identity(self) -> dict[str, Any]:
        """What scores depend on, for a unit's key; free of paths."""
        config = dict(self.config)
        tokens = config["text_cfg"].get("tokenizer_kwargs", {})
        if "bpe_path" in tokens:
            content = {**tokens, "bpe_path": sha256_of(Path(tokens["bpe_path"]))}
            config["text_cfg"] = {**config["text_cfg"], "tokenizer_kwargs": content}
        return {"config": config, "preprocess": dict(self.preprocess)}

    @property
    def activation(self) -> str:
        """The activation of both towers."""
        return "QuickGELU" if self.config.get("quick_gelu") else "GELU"

    def describe(self) -> str:
        """Normalisation, interpolation and activation in one line, e.g. for a log."""
        used = {**_DEFAULT_PREPROCESS, **self.preprocess}
        mean, std = (" ".join(f"{v:.3f}" for v in used[name]) for name in ("mean", "std"))
        return (
            f"{self.name}: mean {mean}, std {std}, {used['interpolation']}, {self.activation}"
            + self._activation_warning()
        )

    def _activation_warning(self) -> str:
        """Which published weights of this name need QuickGELU, if the network has GELU."""
        if self.activation == "QuickGELU" or known_config(self.name) != self.config:
            return ""
        known = published().get(self.name, {})
        tags = [tag for tag, own in known.items() if own.get("quick_gelu")]
        if not tags:
            return ""
        return (
            f"; the weights {', '.join(tags)} need QuickGELU: for them, set score.network to "
            f"{self.name}{_TAG}{tags[0]}"
        )


def read_architecture(named: str) -> Architecture:
    """The architecture that `score.network` names.

    Parameters
    ----------
    named
        An open_clip name (``ViT-B-32``), a name with the tag of published weights
        (``ViT-B-32::openai``, which also sets their normalisation and activation), the path of a
        config JSON in open_clip's own or the hub's layout, or a folder that holds an
        ``open_clip_config.json``. A relative `bpe_path` counts from the config's folder.

    Raises
    ------
    ParameterError
        An unknown name or tag, a file that is not a config, an architecture whose tokenizer or text
        tower is only on the hub, or a name whose published weights differ in normalisation.
    """
    if named.endswith(".json"):
        architecture = _from_file(_existing(named))
    elif Path(named, HUB_CONFIG).is_file():
        architecture = _from_file(Path(named, HUB_CONFIG))
    else:
        architecture = _from_name(named)
    _check_offline(architecture, named)
    return architecture


def _from_name(named: str) -> Architecture:
    name, _, tag = named.partition(_TAG)
    config = known_config(name)
    if config is None:
        raise ParameterError(
            f"score.network: open_clip knows no {name!r}; give a name of open_clip.list_models(), "
            "the path of a config ending in .json, or a folder that holds an " + HUB_CONFIG
        )
    tags = published().get(name, {})
    if not tag:
        return Architecture(name, config, _common_preprocess(name))
    if tag not in tags:
        known = ", ".join(tags) or "none"
        raise ParameterError(
            f"score.network: open_clip knows no weights {tag!r} of {name}; it knows: {known}"
            + meant(tag, tags)
        )
    if tags[tag].get("quick_gelu"):
        config["quick_gelu"] = True
    return Architecture(name, config, _preprocess_of(tags[tag]))


def _preprocess_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mean, standard deviation and interpolation of one entry of the table."""
    return {
        key: list(settings[key]) if isinstance(settings[key], tuple) else settings[key]
        for key in _DEFAULT_PREPROCESS
        if settings.get(key)
    }


def _common_preprocess(name: str) -> dict[str, Any]:
    """The setting that all published weights of a name share; {} if none are published."""
    settings = {tag: _preprocess_of(own) for tag, own in published().get(name, {}).items()}
    first = next(iter(settings.values()), {})
    if any(own != first for own in settings.values()):
        raise ParameterError(
            f"score.network: the published weights of {name} differ in mean and std; add the tag "
            f"of yours, as in {name}{_TAG}{next(iter(settings))}: {', '.join(settings)}"
        )
    return first


def _existing(named: str) -> Path:
    """A path relative to the working folder, else to the folder that holds the package."""
    packaged = Path(__file__).resolve().parent.parent.parent / named
    for path in (Path(named), packaged):
        if path.is_file():
            return path
    raise ParameterError(f"score.network: file not found: {named}")


def _from_file(path: Path) -> Architecture:
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise ParameterError(f"score.network: {path} is not JSON: {error}") from None
    config = values.get("model_cfg", values) if isinstance(values, dict) else {}
    missing = [key for key in CONFIG_KEYS if key not in config]
    if missing:
        raise ParameterError(f"score.network: {path} is not an open_clip config: no {missing[0]}")
    tokens = config["text_cfg"].get("tokenizer_kwargs", {}) if _has_towers(config) else None
    if not isinstance(tokens, dict) or not isinstance(tokens.get("bpe_path", ""), str):
        raise ParameterError(
            f"score.network: {path} is not an open_clip config: vision_cfg, text_cfg and its "
            "tokenizer_kwargs must be objects, bpe_path a string"
        )
    if "bpe_path" in tokens:
        merges = (path.parent / tokens["bpe_path"]).resolve()
        if not merges.is_file():
            raise ParameterError(f"score.network: bpe_path of {path} does not exist: {merges}")
        _check_merges(merges)
        tokens["bpe_path"] = str(merges)
    preprocess = values.get("preprocess_cfg", {})
    if not isinstance(preprocess, dict) or not _are_colours(preprocess):
        raise ParameterError(
            f"score.network: {path}: preprocess_cfg must be an object, its mean and std lists of "
            "three numbers"
        )
    return Architecture(path.stem, config, preprocess)


def _check_merges(path: Path) -> None:
    """Refuse a tokenizer's merges that are not gzipped UTF-8 text of at most `_MERGES_BYTES`.

    open_clip decompresses without a limit.

    Raises
    ------
    ParameterError
        When it is refused.
    """
    try:
        with gzip.open(path) as stream:
            text = stream.read(_MERGES_BYTES + 1)
        text.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ParameterError(
            f"score.network: {path} is not a gzipped text of merges: {error}"
        ) from error
    if len(text) > _MERGES_BYTES:
        raise ParameterError(
            f"score.network: {path} decompresses to more than {_MERGES_BYTES} bytes"
        )


def _are_colours(preprocess: Mapping[str, Any]) -> bool:
    given = [preprocess[key] for key in ("mean", "std") if key in preprocess]
    return all(
        isinstance(own, list)
        and len(own) == 3
        and all(isinstance(value, int | float) and abs(value) < _LARGEST for value in own)
        for own in given
    )


def _has_towers(config: dict[str, Any]) -> bool:
    return all(isinstance(config[key], dict) for key in ("vision_cfg", "text_cfg"))


def _check_offline(architecture: Architecture, named: str) -> None:
    from_hub = [key for key in _HUB_KEYS if architecture.config["text_cfg"].get(key)]
    if from_hub or "siglip" in architecture.name.lower():
        what = (
            architecture.config["text_cfg"].get(from_hub[0]) if from_hub else "SigLIP's tokenizer"
        )
        raise ParameterError(
            f"score.network: {named!r} needs {what} from the hub, and score downloads nothing; "
            "use an architecture with open_clip's own tokenizer, such as ViT-B-32"
        )
