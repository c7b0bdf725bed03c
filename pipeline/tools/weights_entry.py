"""The lines of params.yaml that make a file of weights usable."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.clip.naming import fitting_names
from pipeline.models.containers import Opened
from pipeline.stylegan.formats import CLIP, OWN, Found, named_tensors

_SETTINGS = {
    "w-plus-encoder": "encoder",
    "stylegan2-generator": "generator",
    "arcface": "identity",
    "vgg": "perceptual",
}
"""The setting of `invert` that names a network of each kind."""


def params_lines(path: Path, sha256: str, opened: Opened, found: Found) -> list[str]:
    """YAML that names a file under `models` and in the section that uses it.

    Empty for a file that has to be converted first. Parts that only the user knows are comments.
    """
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "mine"
    entry = f'  {name}: {{path: {json.dumps(str(path))}, url: "", sha256: "{sha256}"}}'
    if found.family.startswith(CLIP):
        return ["models:", entry, "score:", *_network_lines(opened), f"  weights: {name}"]
    kinds = [network.kind for network in found.networks.values()]
    if found.family.startswith(OWN) and kinds and kinds[0] in _SETTINGS:
        return ["models:", entry, "invert:", f"  {_SETTINGS[kinds[0]]}: {name}"]
    return []


def _network_lines(opened: Opened) -> list[str]:
    tree = opened.tree.get("state_dict", opened.tree)
    tensors = named_tensors(tree, opened.path.name)
    names = fitting_names({name: tensor.shape for name, tensor in tensors.items()})
    if not names:
        return ["  network: NAME            # of open_clip, or the path of a config JSON"]
    others = f"; or {', '.join(names[1:])}" if len(names) > 1 else ""
    tag = "" if "::" in names[0] else f"   # {names[0]}::TAG for published weights"
    return [f"  network: {names[0]}{tag}{others if tag else ''}"]
