"""report: metrics.json, plots for DVC, and one HTML page for inspecting the pairs.

The unit of work is an image sheet: the card of one pair, the face of a rejected take, a contact
sheet or a grid. The page is assembled from all sheets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.digests import digest, short_digest
from pipeline.models.networks import networks
from pipeline.records import Clip, Rejected
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_bytes, write_json
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.units import Batch, Unit, run_units
from pipeline.stages import READS
from pipeline.stages.report import truth_measures
from pipeline.stages.report.accuracy import PairError
from pipeline.stages.report.choice import Choice, choose, overlaid
from pipeline.stages.report.clear import Clear, clear_metrics, gather_clear
from pipeline.stages.report.clear_page import SHEETS, ClearPage, clear_page, sheet_jobs
from pipeline.stages.report.clear_truth import Judged, clear_figures, judge
from pipeline.stages.report.coverage import coverage, takes_of
from pipeline.stages.report.families import (
    GRIDS,
    INVERSIONS,
    FamiliesPage,
    Made,
    families_page,
    family_figures,
    gather_made,
    grid_jobs,
    inversion_jobs,
)
from pipeline.stages.report.inputs import Inputs, gather
from pipeline.stages.report.measure import Accuracy, measure, true_ms
from pipeline.stages.report.metrics import (
    Distribution,
    dataset_metrics,
    distributions,
    pose_residuals,
)
from pipeline.stages.report.page import Content, render_within
from pipeline.stages.report.pair_view import CardJob, PoseFiles
from pipeline.stages.report.plots import plot_tables, write_plots
from pipeline.stages.report.recording_findings import finding_counts
from pipeline.stages.report.sync import sync_figures, sync_metrics, sync_page
from pipeline.stages.report.timings import TIMINGS, timings_page
from pipeline.stages.report.truth import read_truth
from pipeline.stages.report.worker import SUFFIX, FaceJob, draw

VERSION = 7
_GRAIN = "image sheet"
REPORTED = READS["report"]
"""The stages that the report covers, in pipeline order."""
_CARDS, _FACES = "cards/", "faces/"


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, and everything else that the page is assembled from."""

    units: list[Unit]
    inputs: Inputs
    choice: Choice
    clear: Clear
    made: Made
    accuracy: Accuracy | None
    judged: Judged | None


def run(run: Run) -> Summary:
    """Write the report of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract, align or pose has not run, or any stage before it was stopped midway. Other
        stages may be missing; the page lists them.
    """
    ready = plan(run)
    units, accuracy = ready.units, ready.accuracy
    batch = run_units(run, "report", _GRAIN, units, draw, PoseFiles)
    rejects = batch.rejects()
    run.write_tables("report", {"rejected": (Rejected, rejects)})
    drawn, look = _write(run, ready, batch)
    notes = [drawn]
    if ready.inputs.missing:
        notes.append(f"not run: {', '.join(ready.inputs.missing)}")
    notes += truth_measures.notes(accuracy.figures) if accuracy else []
    return summarise(
        "report", run, _GRAIN, len(units), len(units) - len(rejects), rejects, batch,
        notes=notes, look=look,
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The sheets to draw, each with its key, and the content of the page.

    Raises
    ------
    OutOfOrderError
        When extract, align or pose has not run, or any stage before it was stopped midway.
    """
    inputs = gather(run, REPORTED)
    section = run.params.report
    clear, made = gather_clear(run), gather_made(run)
    accuracy, judged = _accuracy(run, inputs, clear)
    choice = choose(inputs.pairs, inputs.posed, section.pairs, section.seed)
    units = _units(run, inputs, choice, clear, made, accuracy.pairs if accuracy else {})
    return Planned(units, inputs, choice, clear, made, accuracy, judged)


def _units(
    run: Run,
    inputs: Inputs,
    choice: Choice,
    clear: Clear,
    made: Made,
    errors: Mapping[str, PairError],
) -> list[Unit]:
    """The sheets to draw, each with its key; `errors` of pairs by id, as far as truth is known."""
    code, parameters = short_digest(VERSION), short_digest(run.params.report.key())
    units = [
        *_cards(run, inputs, choice, errors),
        *_faces(run, inputs),
        *_sheets(run, inputs, clear),
        *_grids(run, inputs, made),
    ]
    return [replace(unit, code=code, parameters=parameters) for unit in units]


def _accuracy(run: Run, inputs: Inputs, clear: Clear) -> tuple[Accuracy | None, Judged | None]:
    """Errors against the ground truth and the truth of the scored frames; None without truth."""
    if run.entry.corpus != "demo" or not inputs.clips:
        return None, None
    truth = read_truth(Path(run.entry.root), inputs.clips.values())
    accuracy = measure(inputs, truth, run.params.align.pairs)
    judged = judge(inputs, clear, truth, run.items("score"))
    emotions = clear_figures(clear, judged, truth)
    added = {"emotions": emotions, "sync": sync_figures(run, truth)}
    return replace(accuracy, figures={**accuracy.figures, **added}), judged


def _cards(
    run: Run, inputs: Inputs, choice: Choice, errors: Mapping[str, PairError]
) -> Iterator[Unit]:
    """The cards of the chosen pairs by speaker, so that a worker reads each pose file once."""
    section = run.params.report
    overlays = overlaid(choice.all, inputs.posed, section.overlays, section.seed)
    for pair in sorted(choice.all, key=lambda p: (p.speaker, p.pair_id)):
        a, b = inputs.clips[pair.take_a], inputs.clips[pair.take_b]
        posed = inputs.posed.get(pair.pair_id)
        poses = inputs.poses.path(pair.speaker, ".poses.parquet") if posed else None
        job = CardJob(
            pair, a, b, inputs.extracted.folder, poses, section, run.params.align.audio_fps,
            true_ms(errors.get(pair.pair_id)), pair.pair_id in overlays,
        )  # fmt: skip
        key = digest([
            "card", VERSION, section.thumb_px, section.frames_per_strip, pair.to_row(),
            _identity(a), _identity(b), posed.poses_sha256 if posed else None, job.audio_fps,
            job.true_ms, job.overlay,
        ])  # fmt: skip
        yield Unit(f"{_CARDS}{pair.pair_id}", key, job)


def _faces(run: Run, inputs: Inputs) -> Iterator[Unit]:
    """The faces of the rejected takes that the page shows as examples."""
    section = run.params.report
    shown: dict[tuple[str, str], int] = {}
    takes: set[str] = set()
    for row in inputs.rejects:
        group = row.stage, row.reason
        shown[group] = shown.get(group, 0) + 1
        if shown[group] <= section.examples:
            takes.update(takes_of(row.item))
    for take in sorted(takes & set(inputs.clips)):
        clip = inputs.clips[take]
        if clip.has_video:
            key = digest(["face", VERSION, section.thumb_px, _identity(clip)])
            yield Unit(f"{_FACES}{take}", key, FaceJob(clip, inputs.extracted.folder, section))


def _sheets(run: Run, inputs: Inputs, clear: Clear) -> Iterator[Unit]:
    """The contact sheets of clear frames and of takes that look mislabelled."""
    jobs = sheet_jobs(clear, inputs.clips, inputs.extracted.folder, run.params.report)
    for name, job in jobs:
        frames = [(_identity(clip), frame) for clip, frame in job.frames]
        yield Unit(name, digest(["sheet", VERSION, job.size_px, frames]), job)


def _grids(run: Run, inputs: Inputs, made: Made) -> Iterator[Unit]:
    """One grid of families per speaker, and inversion pairs."""
    for name, shown, job in grid_jobs(made, inputs.clips, run, run.params.report):
        key = digest(["grid", VERSION, job.size_px, shown, _identity(job.clip)])
        yield Unit(name, key, job)
    for kind, rows, pairs in inversion_jobs(made, inputs.clips, run, run.params.report):
        named = [(one.families, one.size_px, _identity(one.clip)) for one in pairs.frames]
        yield Unit(kind, digest(["inversions", VERSION, list(rows), named]), pairs)


def _identity(clip: Clip) -> list[object]:
    crop = [clip.crop_x_px, clip.crop_y_px, clip.crop_side_px, clip.crop_px]
    return [clip.take_id, clip.frames_sha256, clip.audio_sha256, clip.audio_start_s, *crop]


def _write(run: Run, ready: Planned, batch: Batch) -> tuple[str, list[str]]:
    """Write metrics, plots and the page; return a note on its content and the paths."""
    inputs, choice, clear, made = ready.inputs, ready.choice, ready.clear, ready.made
    accuracy = ready.accuracy
    folder = run.folder("report")
    residuals = pose_residuals(inputs)
    metrics = dataset_metrics(inputs, residuals)
    if "sync" in metrics:
        metrics["sync"] |= sync_metrics(run)
    if "filter" in metrics:
        metrics["filter"] |= clear_metrics(clear)
    if made.inverted:
        metrics.setdefault("synth", {}).update(family_figures(made))
    if accuracy is not None:
        metrics["truth"] = dict(accuracy.figures)
    curves = distributions(inputs, residuals)
    plots = plot_tables(inputs, choice.best, clear, curves)
    write_plots(folder / "plots", plots)
    write_json(folder / "metrics.json", metrics)
    sheets = _drawn(run, batch)
    emotions = accuracy.figures["emotions"] if accuracy else {}
    shown = clear_page(clear, _below(SHEETS, sheets), ready.judged, emotions, run.params.report)
    families = families_page(
        made, _below(GRIDS, sheets), _below(INVERSIONS, sheets), run.params.report.sheet
    )
    page, n_shown = _page(run, ready, shown, families, sheets, metrics, curves)
    write_bytes(folder / "report.html", page)
    write_bytes(run.local(TIMINGS), timings_page(run, REPORTED).encode())
    note = f"{n_shown} of {len(inputs.pairs)} pairs drawn, {len(plots)} plots"
    if n_shown < len(choice.all):
        limit = f"report.page_mb is {run.params.report.page_mb:g}"
        note += f"; {len(choice.all) - n_shown} left out of the page: {limit}"
    return note, [str(folder / "report.html"), str(folder / "metrics.json")]


def _drawn(run: Run, batch: Batch) -> dict[str, Any]:
    """The content of all drawn sheets, by unit name."""
    return {
        name: json.loads(run.items("report").path(name, SUFFIX).read_bytes())
        for name, receipt in batch.receipts.items()
        if SUFFIX in receipt.outputs
    }


def _page(
    run: Run,
    ready: Planned,
    clear: ClearPage,
    families: FamiliesPage | None,
    sheets: dict[str, Any],
    metrics: dict[str, object],
    curves: list[Distribution],
) -> tuple[bytes, int]:
    faces = {name: sheet["image"] for name, sheet in _below(_FACES, sheets).items()}
    section, inputs = run.params.report, ready.inputs
    content = Content(
        inputs, metrics, curves, coverage(inputs), ready.choice, _below(_CARDS, sheets), faces,
        ready.accuracy, section.examples, clear, families,
        finding_counts(
            inputs, run.params.extract.policies.model_dump(), run.params.pose.other_face
        ),
        sync_page(run),
        networks(run.params, run.dataset, run.data),
    )  # fmt: skip
    return render_within(content, section.page_mb * 1e6)


def _below(folder: str, sheets: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(folder): v for k, v in sheets.items() if k.startswith(folder)}
