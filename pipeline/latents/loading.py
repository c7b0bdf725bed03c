"""The weights of a stage, and the loading of a worker's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pipeline.errors import MissingWeightsError
from pipeline.latents.networks import Networks
from pipeline.models.device import device_of
from pipeline.models.registry import Weights, find_weights
from pipeline.params import Invert
from pipeline.runtime.run import Run
from pipeline.runtime.store import make_folder
from pipeline.runtime.units import Batch, Unit, Worker, run_units
from pipeline.stylegan.arcface import ArcFace
from pipeline.stylegan.encoders import WPlusEncoder
from pipeline.stylegan.generator import Generator
from pipeline.stylegan.networks import load_as
from pipeline.stylegan.perceptual import Vgg


@dataclass(frozen=True)
class Chosen:
    """The weights of a stage by purpose, or why it cannot run."""

    weights: Mapping[str, Weights]
    missing: str | None

    def identity(self, section: Invert) -> list[object]:
        """What a unit's bytes depend on."""
        shas = sorted((name, found.sha256) for name, found in self.weights.items())
        return [shas, device_of(section.device), section.precision, section.batch]


def chosen_weights(run: Run, needed: Mapping[str, str], optional: Mapping[str, str]) -> Chosen:
    """The weights of the models that params.yaml names.

    Parameters
    ----------
    needed, optional
        From purpose to a name of `models`; "" for none.
    """
    for purpose, name in needed.items():
        if not name:
            return Chosen({}, f"invert.{purpose} is empty")
    names = {purpose: name for purpose, name in {**needed, **optional}.items() if name}
    try:
        found = {
            purpose: find_weights(run.params.models, name, run.data, run.entry.corpus)
            for purpose, name in names.items()
        }
    except MissingWeightsError as error:
        return Chosen({}, str(error))
    return Chosen(found, None)


def bring_up(
    run: Run, stage: str, grain: str, units: Sequence[Unit], work: Worker, setup: Callable[[], Any]
) -> Batch:
    """`run_units` with one worker per GPU; without units, items of earlier runs stay."""
    if not units:
        make_folder(run.items(stage).folder)
        return Batch({}, 0, 0, 0)
    device = device_of(run.params.invert.device)
    return run_units(run, stage, grain, units, work, setup, device)


def load_networks(weights: Mapping[str, Weights], section: Invert) -> Networks:
    torch.set_num_threads(1)
    device = device_of(section.device)
    loaded: dict[str, Any] = {
        purpose: load_as(found, _KINDS[purpose], f"invert.{purpose}").to(device)
        for purpose, found in weights.items()
    }
    return Networks(
        generator=loaded["generator"],
        encoder=loaded.get("encoder"),
        identity=loaded.get("identity"),
        features=loaded.get("perceptual"),
        clarity=None,
        device=device,
        precision=section.precision,
        batch=section.batch,
    )


_KINDS: dict[str, type[nn.Module]] = {
    "generator": Generator,
    "encoder": WPlusEncoder,
    "identity": ArcFace,
    "perceptual": Vgg,
}
