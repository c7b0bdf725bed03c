"""`spfem-data models`: list, check, convert and fetch weights."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import console, project
from cli.commands import Commands, JsonOption
from cli.options import (
    DataOption,
    DatasetOption,
    EngineOption,
    ParamsOption,
    WorkersOption,
    load_params,
    make_options,
    make_run,
)
from pipeline.errors import ParameterError

if TYPE_CHECKING:
    from pipeline.params import ModelFile


app = Commands(group="models", no_args_is_help=True, help="Weights: list, check, convert, fetch.")

FileArgument = Annotated[
    Path, typer.Argument(help="A file of weights as published, or a hub folder.")
]
EncoderOption = Annotated[
    Literal["", "e4e", "psp"],
    typer.Option("--encoder", help="The kind of encoder, if the file does not say."),
]
ClampOption = Annotated[
    float | None,
    typer.Option(help="conv_clamp of a generator whose file does not store it (ada: 256)."),
]


@app.command("list")
def list_models(
    params: ParamsOption = None, data: DataOption = Path("data"), as_json: JsonOption = False
) -> None:
    """List the weights named in params.yaml: state, kind, terms and path."""
    models = sorted(load_params(params).models.items())
    rows = []
    with console.bar("models", len(models)) as step:
        for name, entry in models:
            rows.append([name, *_state(name, entry, data)])
            step()
    columns = ["name", "state", "MB", "what", "sha256", "terms", "place"]
    if as_json:
        console.show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.show_table("models", columns, rows)


def _state(name: str, entry: ModelFile, data: Path) -> list[str]:
    """State, size, kind, digest, terms and place of one entry."""
    from pipeline.digests import sha256_of
    from pipeline.errors import PipelineError
    from pipeline.models.containers import open_weights
    from pipeline.models.registry import candidates
    from pipeline.stylegan.formats import sniff, terms_of

    places = candidates(entry, name, data)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        how = f"run: spfem-data models fetch {name}" if entry.url else "copy the file there"
        return ["missing", "", how, entry.sha256[:12], "", str(places[0])]
    state = "ok" if sha256_of(path) == entry.sha256 else "SHA-256 differs"
    try:
        opened = open_weights(path)
        kind = sniff(opened)
        family, terms = kind.family, terms_of(opened, kind)
    except PipelineError as error:
        family, terms = str(error), ""
    size = f"{path.stat().st_size / 1e6:.1f}"
    return [state, size, family, entry.sha256[:12], terms, str(path)]


@app.command()
def check(file: FileArgument, encoder: EncoderOption = "", clamp: ClampOption = None) -> None:
    """Identify a file without running code in it, and print its lines for params.yaml."""
    from pipeline.models.registry import weights_file
    from pipeline.stylegan.convert import examine
    from pipeline.stylegan.formats import terms_of
    from pipeline.tools.weights_entry import params_lines

    file = weights_file(file)
    with console.waiting(file.name):
        examined = examine(file, encoder=encoder, clamp=clamp)
    say = console.out.print
    say(f"{file.name}: {examined.found.family} ({examined.opened.container})", markup=False)
    for part, network in examined.found.networks.items():
        config = ", ".join(f"{name} {_brief(value)}" for name, value in network.config.items())
        say(f"  {part}: {network.kind}, {len(network.tensors)} tensors: {config}", markup=False)
    say(f"  {file.stat().st_size / 1e6:.1f} MB, sha256 {examined.sha256}", markup=False)
    say(f"  terms: {terms_of(examined.opened, examined.found)}", markup=False)
    lines = params_lines(file, examined.sha256, examined.opened, examined.found)
    if lines:
        say("in params.yaml:", markup=False)
        for line in lines:
            say(line, markup=False, soft_wrap=True)
    else:
        out = file.with_suffix(".safetensors").name
        say(f"next: spfem-data models convert {file} --out {out}", markup=False, soft_wrap=True)


def _brief(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return "none" if value is None else str(value)


@app.command()
def convert(
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", help="The .safetensors file to write.")],
    part: Annotated[
        Literal["", "encoder", "generator"],
        typer.Option(help="For a file with both; by default the encoder."),
    ] = "",
    encoder: EncoderOption = "",
    clamp: ClampOption = None,
    framing: Annotated[
        Literal["ffhq", "ned256"], typer.Option(help="The framing of faces it was trained on.")
    ] = "ffhq",
) -> None:
    """Convert a published file to what the pipeline reads: safetensors with metadata."""
    from pipeline.stylegan.convert import convert as write
    from pipeline.stylegan.convert import examine
    from pipeline.stylegan.formats import terms_of
    from pipeline.tools.weights_entry import params_lines

    if out.suffix != ".safetensors":
        raise ParameterError(f"--out {out}: expected a name that ends in .safetensors")
    with console.waiting(file.name):
        examined = examine(file, encoder=encoder, clamp=clamp)
        notes = {
            "framing": framing, "range": [-1, 1], "colours": "RGB",
            "terms": terms_of(examined.opened, examined.found),
        }  # fmt: skip
        metadata = write(examined, out, part=part, notes=notes)
    networks = list(examined.found.networks)
    others = [name for name in networks if name != (part or networks[0])]
    say = console.out.print
    say(f"{out}: {metadata['kind']}, {out.stat().st_size / 1e6:.1f} MB", markup=False)
    for name in ("latent_avg", "noises", "conv_clamp"):
        if name in metadata:
            say(f"  {name}: {metadata[name]}", markup=False)
    say("in params.yaml:", markup=False)
    written = examine(out)
    for line in params_lines(out, written.sha256, written.opened, written.found):
        say(line, markup=False, soft_wrap=True)
    for name in others:
        say(f"  the file also has its {name}: --part {name}", markup=False)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name under `models` in params.yaml.")] = "",
    url: Annotated[str, typer.Option(help="The URL, if not the one in params.yaml.")] = "",
    sha256: Annotated[str, typer.Option(help="Expected SHA-256.")] = "",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Download weights and check their SHA-256. Resumes an interrupted download."""
    from pipeline.models.download import Source
    from pipeline.models.download import fetch as download

    target, source_url, digest = _wanted(name, url, sha256, params, data)
    with console.transfer(target.name) as progress:
        downloaded = download(Source(source_url, digest), target, progress)
    state = "downloaded" if downloaded else "already present"
    console.out.print(f"{target}: {state}, sha256 {digest.lower()}", markup=False)
    if target.suffix != ".safetensors":
        out = target.with_suffix(".safetensors")
        console.out.print(f"  next: spfem-data models convert {target} --out {out}", markup=False)


def _wanted(
    name: str, url: str, sha256: str, params: Path | None, data: Path
) -> tuple[Path, str, str]:
    """Target, URL and sha256, from the options or from params.yaml."""
    from pipeline.models.download import file_name
    from pipeline.models.registry import FOLDER, model_entry, stored_path

    if not name and not url:
        raise ParameterError("expected a name under `models` in params.yaml, or --url")
    if url and not sha256:
        raise ParameterError(
            "--url needs --sha256 as stated by the publisher; otherwise download a file you trust "
            "yourself: `spfem-data models check FILE` prints its SHA-256"
        )
    if url:
        base = file_name(url)
        return data / FOLDER / (name + PurePosixPath(base).suffix if name else base), url, sha256
    entry = model_entry(load_params(params).models, name)
    if not entry.url:
        raise ParameterError(f"models.{name} in params.yaml has no url; give --url and --sha256")
    return stored_path(entry, name, data), entry.url, sha256 or entry.sha256


def train_encoder(
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and results.")],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
) -> None:
    """Train a W+ encoder for a frozen generator on a dataset's faces. Resumes if stopped."""
    project.require(params)
    options = make_options(engine, workers, "1/1", force=False, retry_failed=False)
    run = make_run(dataset, params, data, options)
    from pipeline.tools.train_encoder.on_dataset import train_on_dataset

    trained = train_on_dataset(run, out)
    console.out.print(
        f"{trained.n_images} images, {run.params.train_encoder.steps} steps: {trained.path}\n"
        f"losses: {out / 'losses.csv'}, images: {out / 'sheet.png'}\n"
        f"to use it, add it under models: path {trained.path}, sha256 {trained.sha256}",
        markup=False,
    )
