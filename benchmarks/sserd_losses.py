"""SSERD's hybrid loss and its terms over 200 steps on a dataset's shards (eq. 5, 13, 14).

    python -m benchmarks.sserd_losses data/demo/shards [--split train] [--steps 200] [--batch 12]

The framework of tests/losses/sserd.py at 48 px on batches of `SserdQuads`: images of families and
real frames, half of each; the adversarial term plays against a discriminator and need not fall.
Then CELCL (eq. 5, 6) alone, on the encoder's codes of the quads' real frames, as the encoder's own
training has it. Both once with the emotions as they are and once shuffled, between which the data
decides; log(7) = 1.946 is knowing nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.cerl_loss import curve
from spfem_data import ImageFormat, SserdQuads
from tests.builders.small_networks import batches
from tests.losses.sserd import learn, learn_contrast

PX, CONTRASTED = 48, 28


def shuffled(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The batches with other images' emotions."""
    lots = torch.Generator().manual_seed(0)
    for batch in found:
        order = torch.randperm(len(batch["emotion"]), generator=lots)
        yield {**batch, "emotion": batch["emotion"][order]}


def main() -> None:
    """Print the terms' curves."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=12)
    options = parser.parse_args()
    form = ImageFormat(size=PX, values="-1..1")
    quads = SserdQuads(options.folder, options.split, synthetic_share=0.5, image_format=form)
    print(f"{len(quads)} quads of {options.split}, {options.steps} steps of {options.batch}")
    for name, broken in (("as they are", False), ("emotions shuffled", True)):
        given = batches(quads, options.batch)
        steps = learn(islice(shuffled(given) if broken else given, options.steps))
        print(f"\n{name}; means of ten parts:")
        for term in steps[0]:
            print(f"{term:>6}: {curve([row[term] for row in steps])}")
        given = batches(quads, CONTRASTED)
        alone = learn_contrast(islice(shuffled(given) if broken else given, options.steps))
        print(f" alone: {curve(alone)}")


if __name__ == "__main__":
    main()
