"""`spfem-data init`: recognise corpora and write them into params.yaml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console, project
from cli.options import ParamsOption, require_build
from pipeline.errors import ParameterError, PipelineError

if TYPE_CHECKING:
    from pipeline.tools.init import Entry, Recognised

_DEMO = ("demo", "demo", "data/demo/corpus", (), "by_speaker")
"""The only dataset of a new project besides those recognised."""


def init(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders, archives or manifests of corpora; without any, init asks."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the dataset; only with a single corpus.")] = "",
    split: Annotated[
        str, typer.Option(help="A rule under `splits` in params.yaml.")
    ] = "by_speaker",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not prompt.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an entry of the same name without asking.")
    ] = False,
    params: ParamsOption = None,
) -> None:
    """Recognise corpora by their file names, and write their entries into params.yaml."""
    require_build()
    from pipeline import params as parameters
    from pipeline.models.slots import GUIDE
    from pipeline.runtime.store import write_bytes
    from pipeline.tools.init import Entry, add_entry, without_datasets
    from pipeline.yaml_files import read_text

    if name and len(places or ()) != 1:
        raise ParameterError("--name names one dataset: give one folder with it")
    file = params or project.shown(project.FILE)
    old = read_text(file) if file.is_file() else None
    text = old or without_datasets(parameters.default_text(), Entry(*_DEMO))
    added = list[str]()
    for corpus in _recognised(places, yes):
        entry = _entry(corpus, name, split, text)
        if entry is None:
            console.note(f"{corpus.root} is already listed")
        elif yes or replace or _agreed(f"write {entry.name} ({entry.root}) into {file}?"):
            text = add_entry(text, _settled(entry, text, file, yes=yes, replace=replace))
            added.append(entry.name)
    if old is not None and text == old:
        console.note(f"{file} is unchanged")
        return
    loaded = parameters.parse(text, str(file))
    for each in added:
        loaded.split_rule(each)
    write_bytes(file, text.encode())
    listed = ", ".join(added) or "only the demo; build it with: spfem-data run"
    console.say(f"{file}: {'written' if old is None else 'changed'}, with {listed}")
    for each in added:
        console.say(f"  next: spfem-data inventory --dataset {each}")
    if added:
        console.say(
            "  score, filter, invert, directions and synth need networks for recorded faces (the "
            f"demo's serve the demo only): {GUIDE}"
        )


def _recognised(places: list[Path] | None, yes: bool) -> list[Recognised]:
    from pipeline.tools.init import recognise

    if places:
        corpora = []
        for place in places:
            with console.waiting(f"scanning {place}"):
                corpora.append(recognise(place))
            console.say(_described(corpora[-1]))
        return corpora
    if yes or not sys.stdin.isatty():
        raise ParameterError("no terminal to prompt on; run: spfem-data init FOLDER ... --yes")
    return _asked()


def _asked() -> list[Recognised]:
    """The corpora at the paths that the user types, until an empty line."""
    from pipeline.tools.init import recognise

    console.say(
        "Where are your corpora? Give a folder, an archive or a manifest; an empty line ends."
    )
    corpora: list[Recognised] = []
    while place := typer.prompt("corpus", default="", show_default=False).strip():
        try:
            with console.waiting(f"scanning {place}"):
                corpora.append(recognise(project.typed(Path(place))))
        except PipelineError as error:
            console.fail(str(error))
        else:
            console.say(_described(corpora[-1]))
    return corpora


def _described(corpus: Recognised) -> str:
    views = f"; selected views: {', '.join(corpus.views)}" if corpus.views else ""
    return (
        f"{corpus.root}: {corpus.corpus}, {corpus.takes} takes of {corpus.speakers} speakers{views}"
    )


def _entry(corpus: Recognised, name: str, split: str, text: str) -> Entry | None:
    """The entry of a corpus; None if params.yaml already has its root."""
    from pipeline.tools.init import Entry, entries, free_name

    known = entries(text)
    if str(corpus.root) in {str(Path(root).absolute()) for root in known.values()}:
        return None
    wanted = corpus.root.parent.name if corpus.corpus == "custom" else corpus.corpus
    chosen = name or free_name(wanted, list(known))
    return Entry(chosen, corpus.corpus, str(corpus.root), corpus.views, split)


def _settled(entry: Entry, text: str, file: Path, *, yes: bool, replace: bool) -> Entry:
    """The entry, once the user agrees to replace one of the same name."""
    from pipeline.tools.init import entries

    known = entries(text)
    if entry.name not in known or replace:
        return entry
    conflict = f"{file} already has {entry.name} ({known[entry.name]})"
    if yes or not _agreed(f"{conflict}; replace it?"):
        raise ParameterError(f"{conflict}: give another --name, or --replace")
    return entry


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ParameterError(f"{question} There is no terminal to answer on: add --yes")
    return typer.confirm(question)
