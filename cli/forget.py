"""`spfem-data forget`: delete a speaker's data from all outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console, dvc_commit
from cli.options import (
    DataOption,
    LockOption,
    ParamsOption,
    WorkersOption,
    load_params,
    make_options,
    make_run,
)
from cli.stages import run_stage
from pipeline.errors import ParameterError, PipelineError, meant
from pipeline.stages import STAGES

if TYPE_CHECKING:
    from pipeline.runtime.run import Run
    from pipeline.tools.forget.search import Person

_NOT_SEARCHED = (
    "not searched: source files (never touched), copies, exports and sheets written elsewhere, "
    "what was pushed or published, git history (metrics.json, dvc.lock), networks trained on the "
    "shards"
)


def forget(
    speaker: Annotated[str, typer.Option("--speaker", help="The speaker's id, as in the tables.")],
    dataset: Annotated[
        str,
        typer.Option("--dataset", "-d", help="One dataset; by default all that have the speaker."),
    ] = "",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    workers: WorkersOption = 0,
    rerun: Annotated[
        bool,
        typer.Option("--rerun/--no-rerun", help="Rebuild other speakers' data in affected files."),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be deleted; change nothing.")
    ] = False,
    lock: LockOption = True,
) -> None:
    """Delete a speaker's data from all outputs and DVC's cache, and exclude the speaker."""
    path = params or Path("params.yaml")
    if not path.is_file():
        raise ParameterError(
            f"{path} does not exist; forget excludes {speaker} there: name the file with --params"
        )
    options = make_options("processes", workers, "1/1", False, False)
    every = [dataset] if dataset else sorted(load_params(path).datasets)
    runs = [make_run(name, path, data, options) for name in every]
    speakers = {run.dataset: _speakers(run) for run in runs}
    people = [(run, _person(speakers[run.dataset], speaker)) for run in runs]
    affected = [(run, person) for run, person in people if person is not None]
    if not affected:
        raise ParameterError(
            f"no output or corpus of {', '.join(speakers)} has a speaker {speaker!r}"
            f"{meant(speaker, sorted(set().union(*speakers.values())))}"
        )
    for run, person in affected:
        if dry_run:
            _list(run, person)
        else:
            _forget(run, person, path, rerun=rerun, commit=lock)


def _speakers(run: Run) -> set[str]:
    """The speakers in the outputs, and in the corpus if it is available."""
    from pipeline import corpora
    from pipeline.tools.forget.purge import speakers_of

    speakers = speakers_of(run, STAGES[1:]) | set(run.forgotten)
    root = Path(run.entry.root)
    if root.exists():
        takes = corpora.list_takes(run.dataset, run.entry, root).takes
        speakers |= {take.speaker for take in takes}
    return speakers


def _person(speakers: set[str], speaker: str) -> Person | None:
    """The speaker of that name in any case; None if these speakers do not include it."""
    from pipeline.tools.forget.search import Person

    spellings = {name.casefold(): name for name in speakers}
    spelled = spellings.get(speaker.casefold())
    return None if spelled is None else Person.among(spelled, speakers)


def _list(run: Run, person: Person) -> None:
    from pipeline.tools.forget.purge import theirs

    affected = theirs(run, person, STAGES[1:])
    rows = [[stage, str(len(paths))] for stage, paths in affected.items() if paths]
    console.show_table(
        f"{run.dataset}: files with data of {person.speaker}", ["stage", "files"], rows
    )


def _forget(run: Run, person: Person, params: Path, *, rerun: bool, commit: bool) -> None:
    from pipeline.runtime.locks import Claim, hold
    from pipeline.runtime.summaries import summaries
    from pipeline.tools.forget import purge
    from pipeline.tools.forget.exclusion import write_exclusion

    folder = run.data / run.dataset
    with hold(folder, Claim(STAGES), say=console.note):
        ran = [name for name, summary in summaries(run, STAGES[1:]).items() if summary is not None]
        write_exclusion(params, run.dataset, person.speaker)
        with console.waiting(f"forget {person.speaker}: deleting"):
            removed = purge.purge(run, person, STAGES[1:])
        counts = ", ".join(f"{stage} {n}" for stage, n in removed.files.items() if n) or "nothing"
        console.say(
            f"{run.dataset}: deleted of {person.speaker}: {counts}; {removed.n_bytes / 1e6:.1f} MB"
        )
        console.say(f"{params}: forgotten.{run.dataset} excludes {person.speaker} from later runs")
        if rerun:
            again = make_run(run.dataset, params, run.data, run.options)
            _rerun(again, ran, commit and dvc_commit.is_project_run(run.data, params))
        own = dvc_commit.is_project_run(run.data, params)  # else the cache here is of other data
        n_objects = _clean_cache(person, removed.media, folder) if own else 0
        # neither the corpus nor the demo's list of the files that it generated
        sources = [Path(run.entry.root)]
        sources += [run.folder(STAGES[0])] if run.entry.corpus == "demo" else []
        with console.waiting(f"forget {person.speaker}: searching"):
            remaining = purge.left(run, person, removed.media, sources)
        if remaining:
            shown = ", ".join(str(path) for path in remaining[:3])
            raise PipelineError(f"{len(remaining)} files still show {person.speaker}: {shown}")
        console.say(
            f"searched {folder}: no file names {person.speaker} or contains one of their "
            f"{len(removed.media)} images and audio files; deleted {n_objects} objects from DVC's "
            "cache"
        )
        console.say(_NOT_SEARCHED)
        for remote in purge.remotes(Path()):
            console.say(
                f"DVC remote {remote} may contain pushed data; run: dvc gc --cloud --workspace"
            )


def _rerun(run: Run, stages: list[str], commit: bool) -> None:
    for stage in stages:
        try:
            summary, seconds = run_stage(run, stage)
        except PipelineError as error:
            console.note(f"{stage} and the stages after it were not rerun: {error}")
            return
        console.show_summary(summary, seconds)
        if commit:
            console.note(dvc_commit.commit_stages([stage], run.dataset))


def _clean_cache(person: Person, media: set[bytes], outputs: Path) -> int:
    from pipeline.tools.forget import purge

    folder = purge.cache_folder(Path())
    if folder is None:
        return 0
    objects = purge.condemned(folder, person, media)
    purge.drop_links(outputs, objects)
    for path in objects:
        path.unlink()
    return len(objects)
