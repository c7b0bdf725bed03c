"""From the section `score` to a loaded network: weights, architecture, device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from pipeline.clip.architecture import Architecture, read_architecture
from pipeline.clip.network import build_network
from pipeline.clip.scorer import Scorer
from pipeline.faces.framing import Framing
from pipeline.models.device import device_of
from pipeline.models.registry import Weights, check_size, find_weights
from pipeline.params import ModelFile, Score

_THREADS_FOR_GPU = 4  # at least


@dataclass(frozen=True)
class Judge:
    """The settings of a scoring network; picklable, for a worker's `Scorer`."""

    architecture: Architecture
    weights: Weights
    prompts: tuple[tuple[str, ...], ...]
    framing: Framing
    device: str
    precision: str
    batch: int

    def identity(self) -> dict[str, Any]:
        """What scores depend on besides the image, for a unit's key."""
        return {
            "architecture": self.architecture.identity(),
            "weights": self.weights.sha256,
            "prompts": self.prompts,
            "framing": self.framing,
            "device": self.device,
            "precision": self.precision,
            "batch": self.batch,
        }


def find_judge(section: Score, models: Mapping[str, ModelFile], data: Path, corpus: str) -> Judge:
    """The network that a section names; its weights are checked but not yet read.

    Raises
    ------
    MissingWeightsError
        When the file does not exist, or is not for this corpus.
    ParameterError
        When the network, its weights or the device cannot be used.
    """
    weights = find_weights(models, section.weights, data, corpus)
    check_size(weights)
    return Judge(
        read_architecture(section.network),
        weights,
        section.prompts,
        section.framing,
        device_of(section.device),
        section.precision,
        section.batch,
    )


def load_scorer(judge: Judge) -> Scorer:
    """Build the network and load its weights, once per worker.

    A worker uses one thread, so that the bytes do not depend on the number of workers.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    network = build_network(judge.architecture, judge.weights.path)
    # one preprocessing thread on a CPU, whose cores the network uses
    threads = 1 if judge.device == "cpu" else max(_THREADS_FOR_GPU, os.cpu_count() or 1)
    return Scorer(
        network, judge.prompts, device=judge.device, precision=judge.precision, batch=judge.batch,
        threads=threads,
    )  # fmt: skip
