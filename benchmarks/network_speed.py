"""score, invert and synth compared with the bare forward pass and with one image at a time.

    python -m benchmarks.network_speed [score] [invert] [synth] [--data data/demo] [--parts 8]

The stages run unchanged with one worker on one of `--parts` parts of the dataset, without reuse,
with the networks of params.yaml; they write to a temporary folder. Bare: the same networks on
prepared tensors, the same number of images, in the stage's batch size. Naive: a script that opens,
aligns and processes one image at a time; for score, open_clip's own pipeline.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.clip_scores import (
    BATCH,
    Theirs,
    _made,
    bare,
    our_sources,
    some_frames,
    their_image,
)
from benchmarks.dataset_view import dataset_view
from benchmarks.racing import Case, race, spread, table, timed
from pipeline import params
from pipeline.clip.scorer import Scorer
from pipeline.errors import PartDone, PipelineError
from pipeline.latents.loading import chosen_weights, load_networks
from pipeline.latents.networks import Networks
from pipeline.records import CODES_SCHEMA
from pipeline.runtime.run import Options, Run
from pipeline.runtime.tables import read_table
from pipeline.stages.invert import stage as invert
from pipeline.stages.synth import stage as synth

STAGES: dict[str, ModuleType] = {"invert": invert, "synth": synth}


def score(data: Path, _: int, rounds: int) -> None:
    """The judge on stored crops."""
    loaded = params.load(None)
    section = loaded.score
    network = partial(_made, section.network, Path(loaded.models[section.weights].path))
    frames = some_frames(data, 8 * BATCH)
    px, n = network().images.size_px, len(frames)
    theirs, matrices = Theirs(network(), section.prompts), {}
    how = {"device": "cpu", "precision": "fp32", "batch": BATCH, "threads": 1}
    judge = Scorer(network(), section.prompts, **how)
    ready = torch.randn(BATCH, 3, px, px).contiguous(memory_format=torch.channels_last)
    ours = our_sources(frames, section.framing, px)

    def naive() -> None:
        for frame in frames:
            theirs(their_image(frame, section.framing, px, matrices))

    cases: dict[str, Case] = {
        "ours": lambda: timed(n, lambda: judge.score(ours)),
        "bare forward pass": lambda: timed(n, lambda: bare(judge.network, ready, n)),
        "naive: open_clip, one by one": lambda: timed(n, naive),
    }
    _report(f"score: {n} images of {px} px", race(cases, rounds))


def synthetic(name: str, data: Path, parts: int, rounds: int) -> None:
    """invert or synth on a part of a dataset."""
    with dataset_view(data, [name]) as folder:
        loaded = params.load(None)
        options = Options(engine="serial", workers=1, force=True, shard=(1, parts))
        run = Run(data.name, loaded, folder, options)
        _stage(STAGES[name], run)
        nets = _networks(run)
        n = _n_images(run, name)
        if not n:
            raise SystemExit(f"{name}: part 1 of {parts} has no images; lower --parts")
        forward = _inverted if name == "invert" else _generated
        cases: dict[str, Case] = {
            "ours, the stage": lambda: timed(n, lambda: _stage(STAGES[name], run)),
            "bare forward pass": lambda: timed(n, lambda: forward(nets, n)),
            "naive: one by one": lambda: timed(n, lambda: forward(replace(nets, batch=1), n)),
        }
        _report(f"{name}: {n} images of {nets.size_px} px", race(cases, rounds))


def _stage(stage: ModuleType, run: Run) -> None:
    try:
        stage.run(run)
    except PartDone:
        return


def _networks(run: Run) -> Networks:
    section = run.params.invert
    names = {"encoder": section.encoder, "generator": section.generator}
    return load_networks(chosen_weights(run, names, {}).weights, section)


def _n_images(run: Run, name: str) -> int:
    """The number of images that a stage generated or inverted."""
    suffix = {"invert": ".codes.parquet", "synth": ".images.parquet"}[name]
    files = sorted(run.items(name).folder.rglob(f"*{suffix}"))
    column = CODES_SCHEMA.names[0] if name == "invert" else None
    return sum(len(read_table(f, columns=[column] if column else None)) for f in files)


def _inverted(nets: Networks, n: int) -> None:
    """Images to codes and back."""
    assert nets.encoder is not None
    _batched(nets, n, (3, nets.input_px, nets.input_px), lambda x: nets.generator(nets.encoder(x)))


def _generated(nets: Networks, n: int) -> None:
    """Codes to images."""
    _batched(nets, n, (nets.n_latent, nets.dim), nets.generator)


def _batched(nets: Networks, n: int, shape: tuple[int, ...], forward: Callable[..., Any]) -> None:
    ready = torch.from_numpy(np.zeros((nets.batch, *shape), np.float32))
    with torch.inference_mode():
        for start in range(0, n, nets.batch):
            forward(ready[: min(nets.batch, n - start)])


def _report(title: str, took: dict[str, list[Any]]) -> None:
    table(title, "images", took, "bare forward pass")
    ours, _, naive = took
    print(f"ours over bare {spread(took, ours, 'bare forward pass')}")
    print(f"ours over naive {spread(took, ours, naive)}")


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each stage asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stages", nargs="*", choices=["score", *STAGES], default=["score"])
    parser.add_argument("--data", type=Path, default=Path("data/demo"))
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        for name in options.stages:
            if name == "score":
                score(options.data, options.parts, options.rounds)
            else:
                synthetic(name, options.data, options.parts, options.rounds)
    except PipelineError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
