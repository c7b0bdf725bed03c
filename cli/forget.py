"""The command that removes a person from what was made of their takes."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DataOption, LockOption, ParamsOption, WorkersOption, make_options, make_run
from pipeline.errors import ParameterError, PipelineError, meant
from pipeline.stages import STAGES, module_of

if TYPE_CHECKING:
    from pipeline.runtime.run import Run
    from pipeline.tools.forget.speaker_names import Person

_ELSEWHERE = (
    "not looked at: source files (never touched), copies, exports and sheets that were written "
    "elsewhere, what was pushed or published, git's history (metrics.json, dvc.lock), networks "
    "that were trained on the shards"
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(forget)


def forget(
    speaker: Annotated[str, typer.Option("--speaker", help="The speaker's id, as in the tables.")],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="One dataset; else all that know the speaker.")
    ] = "",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    workers: WorkersOption = 0,
    rerun: Annotated[
        bool, typer.Option("--rerun/--no-rerun", help="Make again what others had in those files.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    lock: LockOption = True,
) -> None:
    """Remove a person from every table, item, shard, report and cache, for good."""
    from cli.settings import load_params

    path = params or Path("params.yaml")
    if not path.is_file():
        raise ParameterError(
            f"{path} is not there: it is where {speaker} is kept out for good; name it by --params"
        )
    options = make_options("processes", workers, "1/1", False, False)
    every = [dataset] if dataset else sorted(load_params(path).datasets)
    runs = [make_run(name, path, data, options) for name in every]
    known = {run.dataset: _person(run, speaker) for run in runs}
    found = [(run, person) for run in runs if (person := known[run.dataset]) is not None]
    if not found:
        raise ParameterError(_unknown(runs, speaker))
    for run, person in found:
        if dry_run:
            _tell(run, person)
        else:
            _forget(run, person, path, rerun=rerun, sealed=lock)


def _speakers(run: Run) -> set[str]:
    """Whom the outputs name, and the corpus where it is at hand."""
    from pipeline import corpora
    from pipeline.tools.forget.purge import speakers_of

    found = speakers_of(run, STAGES[1:]) | set(run.forgotten)
    root = Path(run.entry.root)
    if root.exists():
        found |= {take.speaker for take in corpora.list_takes(run.dataset, run.entry, root).takes}
    return found


def _person(run: Run, speaker: str) -> Person | None:
    from pipeline.tools.forget.speaker_names import Person

    speakers = {name.casefold(): name for name in _speakers(run)}
    if speaker.casefold() not in speakers:
        return None
    return Person.among(speakers[speaker.casefold()], speakers.values())


def _unknown(runs: list[Run], speaker: str) -> str:
    names = sorted({name for run in runs for name in _speakers(run)})
    where = ", ".join(run.dataset for run in runs)
    return f"no output or corpus of {where} has a speaker {speaker!r}{meant(speaker, names)}"


def _tell(run: Run, person: Person) -> None:
    from cli import console
    from pipeline.tools.forget.purge import theirs

    found = theirs(run, person, STAGES[1:])
    rows = [[stage, str(len(paths))] for stage, paths in found.items() if paths]
    console.show_table(f"{run.dataset}: what names {person.speaker}", ["stage", "files"], rows)


def _forget(run: Run, person: Person, params: Path, *, rerun: bool, sealed: bool) -> None:
    from cli import console, dvc_commit
    from pipeline.runtime.locks import Claim, hold
    from pipeline.runtime.summaries import summaries
    from pipeline.tools.forget.exclusion import write_exclusion
    from pipeline.tools.forget.purge import left, purge

    folder = run.data / run.dataset
    with hold(folder, Claim(STAGES), say=console.note):
        ran = [name for name, told in summaries(run, STAGES[1:]).items() if told is not None]
        write_exclusion(params, run.dataset, person.speaker)
        with console.waiting(f"forget {person.speaker}: removing"):
            removed = purge(run, person, STAGES[1:])
        counts = ", ".join(f"{stage} {n}" for stage, n in removed.files.items() if n) or "nothing"
        console.say(
            f"{run.dataset}: removed of {person.speaker}: {counts}; {removed.n_bytes / 1e6:.1f} MB"
        )
        console.say(f"{params}: forgotten.{run.dataset} keeps {person.speaker} out of every rerun")
        if rerun:
            again = make_run(run.dataset, params, run.data, run.options)
            _again(again, ran, sealed and dvc_commit.may_seal(run.data, params))
        own = dvc_commit.may_seal(run.data, params)  # else the cache here is of other data
        n_objects = _clean_cache(person, removed.media, folder) if own else 0
        with console.waiting(f"forget {person.speaker}: searching"):
            found = left(run, person, removed.media, _sources(run))
        if found:
            shown = ", ".join(str(path) for path in found[:3])
            raise PipelineError(f"{len(found)} files still show {person.speaker}: {shown}")
        console.say(
            f"searched {folder}: no file names {person.speaker} or holds one of their "
            f"{len(removed.media)} pictures and sounds; {n_objects} objects of DVC's cache removed"
        )
        _elsewhere(run)


def _sources(run: Run) -> list[Path]:
    """What is no output: the corpus, and the demo's list of the files that it drew."""
    root = Path(run.entry.root)
    return [root, run.folder(STAGES[0])] if run.entry.corpus == "demo" else [root]


def _again(run: Run, stages: list[str], sealed: bool) -> None:
    from cli import console, dvc_commit

    for stage in stages:
        try:
            with console.waiting(f"{stage} {run.dataset}"):
                began_s = time.perf_counter()
                summary = importlib.import_module(module_of(stage)).run(
                    replace(run, began_s=began_s)
                )
        except PipelineError as error:
            console.note(f"{stage} was not made again, nor what follows: {error}")
            return
        console.show_summary(summary, time.perf_counter() - began_s)
        if sealed:
            console.note(dvc_commit.seal(stage, run.dataset))


def _clean_cache(person: Person, media: set[bytes], outputs: Path) -> int:
    from pipeline.tools.forget import dvc_cache
    from pipeline.tools.forget.purge import drop_links

    folder = dvc_cache.cache_folder(Path())
    if folder is None:
        return 0
    objects = dvc_cache.condemned(folder, person, media)
    drop_links(outputs, objects)
    for path in objects:
        path.unlink()
    return len(objects)


def _elsewhere(run: Run) -> None:
    from cli import console
    from pipeline.tools.forget import dvc_cache

    console.say(_ELSEWHERE)
    for remote in dvc_cache.remotes(Path()):
        console.say(f"DVC remote {remote} may hold what was pushed: dvc gc --cloud --workspace")
