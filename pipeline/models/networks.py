"""The networks that a dataset uses, and why others are not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.models.registry import unusable
from pipeline.models.slots import SLOTS, Slot
from pipeline.params import Params


@dataclass(frozen=True)
class Network:
    """A setting's network: the entry of `models` that it names, or why none is used."""

    slot: Slot
    name: str
    architecture: str
    sha256: str
    why_not: str


def networks(params: Params, dataset: str, data: Path) -> list[Network]:
    """What each setting names for a dataset; reads no weights and checks no sha256."""
    corpus = params.dataset(dataset).corpus
    return [_network(slot, params, corpus, data) for slot in SLOTS]


def _network(slot: Slot, params: Params, corpus: str, data: Path) -> Network:
    section, key = slot.setting.split(".")
    name = str(getattr(getattr(params, section), key))
    architecture = params.score.network if section == "score" else ""
    if not name:
        return Network(slot, "", "", "", f"{slot.setting} is empty")
    why_not = unusable(params.models, name, data, corpus)
    sha256 = params.models[name].sha256 if name in params.models else ""
    return Network(slot, name, architecture, sha256, why_not)


def describe(used: Sequence[Network]) -> str:
    """One line that names the networks in use; "none" without one."""
    found = [
        f"{one.slot.setting} {one.name} (sha256 {one.sha256[:12]})"
        for one in used
        if not one.why_not
    ]
    return ", ".join(found) or "none"
