"""CERL's loss over 200 steps on the clear frames of a dataset's shards, right and shuffled labels.

    python -m benchmarks.cerl_loss data/demo/shards [--split train] [--steps 200] [--r 8]

The loss is CDRL's eq. 3 (tests/losses/cerl.py), on the embeddings in the config `emotions`; SGD on
the seven priors alone, learning rate 0.1. Per image, so that log(7) = 1.946 is knowing nothing.
Below each: what the priors learnt say of another split's frames, and how often, of a tuple's
images, a prior's own is the nearest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from pipeline.errors import TableError
from spfem_data import Emotions
from tests.losses.cerl import cerl_loss, learn, tuples_of

COLUMNS = ("emotion", "embedding")


def frames(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (m, d) and labels (m,) of a split's clear frames."""
    clear = Emotions(folder, split, columns=COLUMNS)
    batch = clear.__getitems__(range(len(clear)))
    return batch["embedding"], batch["label"]


def curve(losses: list[float]) -> str:
    """Means of ten parts of a curve."""
    part = max(len(losses) // 10, 1)
    return " ".join(f"{sum(losses[k : k + part]) / part:.3f}" for k in range(0, len(losses), part))


def main() -> None:
    """Print both curves, and what was learnt for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--r", type=int, default=8)
    options = parser.parse_args()
    features, labels = frames(options.folder, options.split)
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    print(f"{len(labels)} clear frames of {options.split}, {torch.bincount(labels).tolist()}")
    for name, given in (("right", labels), ("shuffled", shuffled)):
        learnt = learn(features, given, steps=options.steps, batch=options.r)
        print(f"{name:>9}: {learnt.losses[0]:.3f} -> {curve(learnt.losses)}")
        for split in ("validation", "test"):
            try:
                others, theirs = frames(options.folder, split)
            except TableError:
                continue
            if len(torch.unique(theirs)) < len(learnt.priors):
                print(f"{split:>9}: not all emotions have a clear frame there")
                continue
            generator = torch.Generator().manual_seed(1)
            seen = tuples_of(others, theirs, 200, generator)
            loss = float(cerl_loss(learnt.priors, seen)) / (200 * len(learnt.priors))
            found = torch.einsum("id,jkd->jik", learnt.priors, seen).argmax(dim=2)
            right = (found == torch.arange(len(learnt.priors))).float().mean()
            print(f"{split:>9}: loss {loss:.3f}, own image is the nearest {float(right):.3f}")


if __name__ == "__main__":
    main()
