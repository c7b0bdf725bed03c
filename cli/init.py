"""`spfem-data init`: a params.yaml that knows where one's corpora are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import require_build
from pipeline.errors import ParameterError, PipelineError

if TYPE_CHECKING:
    from pipeline.tools.init import Entry, Recognised

FILE = Path("params.yaml")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(init)


def init(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders, archives or manifests of corpora; else they are asked for."),
    ] = None,
    name: Annotated[str, typer.Option(help="The dataset's name, of a single corpus.")] = "",
    split: Annotated[str, typer.Option(help="A rule under splits of params.yaml.")] = "by_speaker",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an entry of the same name, unasked.")
    ] = False,
) -> None:
    """Recognise corpora by looking at them, and write their entries into params.yaml."""
    require_build()
    from cli import console
    from pipeline import params
    from pipeline.models.registry import GUIDE
    from pipeline.runtime.store import write_bytes
    from pipeline.tools.init import add_entry
    from pipeline.yaml_files import read_text

    if name and len(places or ()) != 1:
        raise ParameterError("--name names one dataset: give one folder with it")
    old = read_text(FILE) if FILE.is_file() else None
    text, added = old or params.default_text(), list[str]()
    for found in _recognised(places, yes):
        entry = _entry(found, name, split, text)
        if entry is None:
            console.note(f"{found.root} is listed already")
        elif yes or replace or _agreed(f"write {entry.name} ({entry.root}) into {FILE}?"):
            text = add_entry(text, _settled(entry, text, yes=yes, replace=replace))
            added.append(entry.name)
    if old is not None and text == old:
        console.note(f"{FILE} stays as it is")
        return
    loaded = params.parse(text, str(FILE))
    for each in added:
        loaded.split_rule(each)
    write_bytes(FILE, text.encode())
    console.say(f"{FILE}: {'written' if old is None else 'changed'}, with {_listed(added)}")
    for each in added:
        console.say(f"  next: spfem-data inventory --dataset {each}")
    if added:
        console.say(
            "  score, filter, invert, directions and synth need networks for recorded faces (the "
            f"demo's serve the demo only): {GUIDE}"
        )


def _listed(added: list[str]) -> str:
    return ", ".join(added) if added else "the demo alone: spfem-data demo makes it"


def _recognised(places: list[Path] | None, yes: bool) -> list[Recognised]:
    from cli import console
    from pipeline.tools.init import recognise

    if places:
        found = []
        for place in places:
            with console.waiting(f"looking at {place}"):
                found.append(recognise(place))
            console.say(_described(found[-1]))
        return found
    if yes or not sys.stdin.isatty():
        raise ParameterError("init has nobody to ask: spfem-data init FOLDER ... --yes")
    return _asked()


def _asked() -> list[Recognised]:
    """What is found at the places that somebody types, until they type none."""
    from cli import console
    from pipeline.tools.init import recognise

    console.say("Where are your corpora? A folder, an archive or a manifest; nothing: no more.")
    found: list[Recognised] = []
    while place := typer.prompt("corpus", default="", show_default=False).strip():
        try:
            with console.waiting(f"looking at {place}"):
                found.append(recognise(Path(place)))
        except PipelineError as error:
            console.fail(str(error))
        else:
            console.say(_described(found[-1]))
    return found


def _described(found: Recognised) -> str:
    views = f"; of its views: {', '.join(found.views)}" if found.views else ""
    return f"{found.root}: {found.corpus}, {found.takes} takes of {found.speakers} speakers{views}"


def _entry(found: Recognised, name: str, split: str, text: str) -> Entry | None:
    """The entry of what was found; None where params.yaml has its root already."""
    from pipeline.tools.init import Entry, entries, free_name

    known = entries(text)
    if str(found.root) in {str(Path(root).absolute()) for root in known.values()}:
        return None
    wanted = found.root.parent.name if found.corpus == "custom" else found.corpus
    chosen = name or free_name(wanted, list(known))
    return Entry(chosen, found.corpus, str(found.root), found.views, split)


def _settled(entry: Entry, text: str, *, yes: bool, replace: bool) -> Entry:
    """The entry, once it is clear that it replaces none that should stay."""
    from pipeline.tools.init import entries

    known = entries(text)
    if entry.name not in known or replace:
        return entry
    said = f"{FILE} has {entry.name} already ({known[entry.name]})"
    if yes or not _agreed(f"{said}; replace it?"):
        raise ParameterError(f"{said}: give another --name, or --replace")
    return entry


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ParameterError(f"{question} nobody is there to answer: add --yes")
    return typer.confirm(question)
