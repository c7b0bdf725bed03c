"""Retrain the demo's networks on rendered faces of people who are not in the demo corpus.

python -m benchmarks.demo_networks --network clip --out FOLDER
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import ParamsOption, load_params
from cli.progress import counted

if TYPE_CHECKING:
    from benchmarks.demo_networks.drawn_faces import FaceSet
    from pipeline.params import Params

app = typer.Typer(add_completion=False)


class Network(StrEnum):
    """The values of --network."""

    CLIP = "clip"
    STYLEGAN = "stylegan"


@app.command()
def train(
    network: Annotated[Network, typer.Option(help="clip, or stylegan (generator and encoder).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights.")],
    faces: Annotated[
        Path, typer.Option("--faces", help="Folder of the rendered faces; rendered once and kept.")
    ] = Path("data/demo-faces"),
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Number of rendering processes.")
    ] = 2,
    params: ParamsOption = None,
) -> None:
    """Train a network of the demo on rendered faces of people who are not in the demo."""
    loaded = load_params(params)
    from benchmarks.demo_networks.drawn_faces import SHIPPED_FACES, draw_faces
    from pipeline.digests import sha256_of

    with counted("rendering faces") as done:
        drawn = draw_faces(SHIPPED_FACES, faces, workers=workers, done=done)
    began = time.monotonic()
    trainer = _clip if network is Network.CLIP else _stylegan
    files, quality = trainer(drawn, out, loaded)
    console.out.print(f"{quality}, in {time.monotonic() - began:.0f} s", markup=False)
    for path in files:
        console.out.print(f"{path}: sha256 {sha256_of(path)}", markup=False)


def _clip(drawn: FaceSet, out: Path, params: Params) -> tuple[list[Path], str]:
    from benchmarks.demo_networks import clip
    from benchmarks.demo_networks.augmented_views import views

    with counted("cropping faces") as done:
        images = views(drawn, clip.VIEW_PX, done)
    with counted("steps") as done:
        made = clip.train(
            drawn, images, out, clip.SHIPPED, params.score.prompts,
            done=lambda step, steps, _: done(step, steps),
        )  # fmt: skip
    quality = f"held-out people: accuracy {made.accuracy:.3f}, recall of neutral "
    return [made.weights], f"{quality}{made.neutral_recall:.3f}"


def _stylegan(drawn: FaceSet, out: Path, params: Params) -> tuple[list[Path], str]:
    from benchmarks.demo_networks import stylegan
    from benchmarks.demo_networks.framed import framed_faces

    with counted("cropping faces") as done:
        framed = framed_faces(drawn, stylegan.GENERATOR.size, done)
    with counted("steps") as done:
        made = stylegan.train(
            drawn, framed, out, stylegan.SHIPPED, done=lambda step, steps, _: done(step, steps)
        )
    return [made.generator, made.encoder], f"held-out people: PSNR {made.psnr_db:.1f} dB"


if __name__ == "__main__":
    app()
