"""shards: pack frame pairs, windows and takes into Parquet files with a manifest and a card.

The unit of work is one file. A stable hash assigns clip pairs to files, so that a new take rewrites
only the files that contain it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from pipeline.digests import digest, short_digest
from pipeline.errors import PipelineError
from pipeline.models.networks import describe, networks
from pipeline.params import Shards
from pipeline.records import (
    Clip,
    FilteredTake,
    MadeFamily,
    Pair,
    PosedPair,
    Rejected,
    Sentence,
    SyncTake,
    rejected,
)
from pipeline.runtime.run import Run
from pipeline.runtime.summaries import Summary, summaries, summarise
from pipeline.runtime.units import Batch, Unit, run_units
from pipeline.stages import OPTIONAL, READS
from pipeline.stages.shards.card import Published
from pipeline.stages.shards.protocol_trials import draw
from pipeline.stages.shards.publish import publish, refuse_leaks
from pipeline.stages.shards.shard_plan import (
    ClearTake,
    FamilyTake,
    KeptPair,
    Shard,
    SpokenTake,
    by_speaker,
    clear_takes,
    face_takes,
    family_takes,
    place,
    spoken_takes,
    spread,
)
from pipeline.stages.shards.sources import POSES
from pipeline.stages.shards.worker import SUFFIX, Payload, one_thread, write_unit
from spfem_data.schema import SCHEMA_VERSION

VERSION = 6
_GRAIN = "clip pair"
AnyTake = TypeVar("AnyTake", SpokenTake, ClearTake, FamilyTake)
_SOURCES = ("extract", "pose", "score", "filter", "synth")
"""The stages whose items are packed."""


@dataclass(frozen=True)
class Planned:
    """The units of a dataset and the content of their files.

    `others` are the clips of emotions and families with their splits. `lacking` are the clips
    without a split, by config.
    """

    units: list[Unit]
    files: list[Shard]
    pairs: list[Pair]
    kept: list[KeptPair]
    takes: list[SpokenTake]
    filtered: list[FilteredTake] | None
    others: list[tuple[Clip, str]]
    lacking: dict[str, list[Clip]]


def run(run: Run) -> Summary:
    """Write the shards of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract, align or pose has not run, or any stage that it reads was stopped midway.
    PipelineError
        When a file could not be written, or a unit of the split rule is in two splits. An
        incomplete or leaking dataset is not published.
    """
    ready = plan(run)
    kept, takes = ready.kept, ready.takes
    unit = run.params.split_rule(run.dataset).unit
    refuse_leaks(unit, takes, kept, ready.others)
    batch = run_units(run, "shards", "shard", ready.units, write_unit, one_thread)
    _refuse_holes(batch)
    rejects = _rejects({pair.pair_id for pair in ready.pairs}, kept, ready.lacking)
    run.write_tables("shards", {"rejected": (Rejected, rejects)})
    published = _published(run, batch, ready.files, kept, takes)
    publish(run.folder("shards"), published)
    return summarise(
        "shards", run, _GRAIN, len(ready.pairs), len(kept), rejects, batch,
        notes=_notes(published, ready.filtered), look=[str(run.folder("shards") / "README.md")],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The files to write, each with its key, and their content.

    Raises
    ------
    OutOfOrderError
        When extract, align or pose has not run, or any stage that it reads was stopped midway.
    """
    for stage, summary in summaries(run, OPTIONAL["shards"]).items():
        if summary is not None:
            run.check_finished(stage)
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    sentences = run.need("align", "sentences", Sentence)
    posed = {row.pair_id: row for row in run.need("pose", "pose_pairs", PosedPair)}
    pairs = [pair for pair in run.need("align", "pairs", Pair) if pair.pair_id in posed]
    kept = _kept(run, pairs, clips, posed)
    sync = {row.take_id: row for row in run.find("sync", "sync_takes", SyncTake) or ()}
    filtered = run.find("filter", "filtered_takes", FilteredTake)
    takes, no_takes = _by_split(spoken_takes(clips.values(), sentences, sync))
    clear, no_clear = _by_split(clear_takes(filtered or (), clips))
    families = run.find("synth", "families", MadeFamily) or ()
    made, no_made = _by_split(family_takes(families, clips))
    shards = _plan(run.params.shards, kept, takes, clear, made)
    return Planned(
        units=[_unit(run, shard, tuple(items)) for shard, items in shards.items()],
        files=list(shards),
        pairs=pairs,
        kept=kept,
        takes=takes,
        filtered=filtered,
        others=[(t.clip, t.split) for t in clear] + [(t.clip, t.split) for t in made],
        lacking={"takes": no_takes, "emotions": no_clear, "families": no_made},
    )


def _by_split(takes: Sequence[AnyTake]) -> tuple[list[AnyTake], list[Clip]]:
    """The takes that have a split, and the clips of the others."""
    return [t for t in takes if t.split], [t.clip for t in takes if not t.split]


def _kept(
    run: Run, pairs: Sequence[Pair], clips: Mapping[str, Clip], posed: Mapping[str, PosedPair]
) -> list[KeptPair]:
    """The pairs with at least one frame pair that has a pose and enough confidence."""
    floor = run.params.shards.min_confidence
    kept_pairs = []
    for speaker, theirs in by_speaker(pairs).items():
        posed_frames = _frames_of(run.read_item("pose", speaker, POSES, ["pair_id", "frame_a"]))
        for pair in theirs:
            frames = posed_frames.get(pair.pair_id, ())
            sure = np.isin(pair.frame_a, frames) & (np.array(pair.confidence) >= floor)
            kept = tuple(int(k) for k in np.flatnonzero(sure))
            sha256 = posed[pair.pair_id].poses_sha256
            if kept:
                kept_pairs.append(
                    KeptPair(pair, clips[pair.take_a], clips[pair.take_b], kept, sha256)
                )
    return kept_pairs


def _frames_of(table: pa.Table) -> dict[str, NDArray[np.int32]]:
    """`frame_a` of each pair, in row order; a single pass over all pairs."""
    ids = table["pair_id"].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()
    ends = np.cumsum(np.bincount(codes, minlength=len(ids.dictionary)))
    frames = table["frame_a"].to_numpy()[np.argsort(codes, kind="stable")]
    return dict(zip(ids.dictionary.to_pylist(), np.split(frames, ends[:-1]), strict=False))


def _plan(
    section: Shards,
    kept: Sequence[KeptPair],
    takes: Sequence[SpokenTake],
    clear: Sequence[ClearTake],
    made: Sequence[FamilyTake],
) -> dict[Shard, list[Any]]:
    """Every file with its items."""
    counts = section.n_shards
    pairs = spread("pairs", counts.pairs, ((k.pair.pair_id, k.pair.split, k) for k in kept))
    placed = [
        (p.kept.pair.pair_id, p.kept.pair.split, p)
        for p in place(pairs)
        if len(p.kept.windows(section.windows))
    ]
    sequences = spread("sequences", counts.sequences, placed)
    of_takes: dict[str, Sequence[Any]] = {
        "takes": takes,
        "emotions": clear,
        "families": made,
        "frames": face_takes(takes),
    }
    shards: dict[Shard, list[Any]] = {**pairs, **sequences}
    for config, items in of_takes.items():
        named = [(item.clip.take_id, item.split, item) for item in items]
        shards |= spread(config, getattr(counts, config), named)
    return shards


def _unit(run: Run, shard: Shard, items: tuple[Any, ...]) -> Unit:
    section = run.params.shards
    images = [section.framing, section.size_px, section.jpeg_quality]
    settings: dict[str, object] = {
        "pairs": images,
        "sequences": section.windows.model_dump(),
        "takes": [],
        "emotions": images,
        "families": [],
        "frames": [*images[1:], section.frames.model_dump()],
    }
    parts = [VERSION, SCHEMA_VERSION, _versions(), section.rows_per_group, settings[shard.config]]
    key = digest(["shards", shard.unit, parts, [item.identity() for item in items]])
    stores = {stage: run.items(stage).folder for stage in _SOURCES}
    payload = Payload(shard, items, stores, section)
    return Unit(
        shard.unit, key, payload, effort=len(items),
        code=short_digest(VERSION, SCHEMA_VERSION, _versions()),
        parameters=short_digest(section.rows_per_group, settings[shard.config]),
    )  # fmt: skip


def _versions() -> dict[str, str]:
    """The versions of the libraries that affect the bytes of a shard."""
    return {
        "opencv": str(cv2.__version__),
        "pyarrow": str(pa.__version__),
        "simplejpeg": str(simplejpeg.__version__),
    }


def _refuse_holes(batch: Batch) -> None:
    failed = [reject.item for reject in batch.rejects()]
    if failed:
        raise PipelineError(
            f"shards: {len(failed)} files could not be written (first: {failed[0]}); "
            "rerun with --retry-failed"
        )


def _rejects(
    planned: set[str],
    kept: Sequence[KeptPair],
    lacking: Mapping[str, Sequence[Clip]],
) -> list[Rejected]:
    unsure = sorted(planned - {k.pair.pair_id for k in kept})
    return [
        *(
            rejected(
                "shards",
                _GRAIN,
                item,
                "low_confidence",
                "no posed frame pair reaches shards.min_confidence",
            )
            for item in unsure
        ),
        *(
            rejected("shards", "take", clip.take_id, "no_split", f"not in the config {config}")
            for config, clips in lacking.items()
            for clip in sorted(clips, key=lambda clip: clip.take_id)
        ),
    ]


def _published(
    run: Run,
    batch: Batch,
    shards: Sequence[Shard],
    kept: Sequence[KeptPair],
    takes: Sequence[SpokenTake],
) -> Published:
    params = run.params
    rule = params.split_rule(run.dataset)
    sections = (params.extract, params.align, params.pose, params.filter, params.shards)
    rows = {row["unit"]: row["rows"] for row in batch.rows("files")}
    outputs = {unit: receipt.outputs[SUFFIX] for unit, receipt in batch.receipts.items()}
    return Published(
        dataset=run.dataset,
        corpus=params.dataset(run.dataset).corpus,
        params_sha256=digest([s.key() for s in sections] + [rule.key()]),
        versions=_versions(),
        framing=params.shards.framing,
        files={s: {**outputs[s.unit], "rows": rows[s.unit]} for s in shards},
        pairs=kept,
        rule=params.dataset(run.dataset).split,
        unit=rule.unit,
        drawn=draw(takes, kept, **params.shards.protocols.model_dump()),
        networks=describe(networks(params, run.dataset, run.data)),
        numerics=_numerics(run, batch),
    )


def _numerics(run: Run, batch: Batch) -> list[dict[str, Any]]:
    """The distinct numerics fingerprints of this stage and the stages that it reads, sorted."""
    read = [summary for summary in summaries(run, READS["shards"]).values() if summary is not None]
    rows = [row for summary in read for row in summary.get("numerics", [])] + batch.numerics()
    return [json.loads(text) for text in sorted({json.dumps(row, sort_keys=True) for row in rows})]


def _notes(published: Published, filtered: Sequence[FilteredTake] | None) -> list[str]:
    rows: dict[str, int] = {}
    for shard, facts in published.files.items():
        rows[shard.config] = rows.get(shard.config, 0) + facts["rows"]
    size_mb = sum(facts["bytes"] for facts in published.files.values()) / 1e6
    counts = ", ".join(f"{n} {config}" for config, n in rows.items()) or "no rows"
    notes = [f"{counts} in {len(published.files)} files, {size_mb:.1f} MB"]
    notes += [f"list {name}: {why}" for name, why in published.drawn.lacks.items()]
    if not rows.get("emotions"):
        why = "filter has not run" if filtered is None else "filter kept no clear frame"
        notes.append(f"no config emotions: {why}")
    return notes
