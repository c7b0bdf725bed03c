"""The architecture of a CLIP network: a name that open_clip knows, or a config file, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.clip.library import CONFIG_KEYS, known_config
from pipeline.clip.merges import check_merges
from pipeline.digests import sha256_of
from pipeline.errors import ParameterError

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
        check_merges(merges)
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
