"""Write one shard: the worker of the stage `shards`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.faces.framing import Framing
from pipeline.params import Shards
from pipeline.records import CLEAR_SCHEMA, Clip, PosePair
from pipeline.runtime.store import ItemStore, atomic_path
from pipeline.runtime.tables import read_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.shards.emotions import ClearSources, ClearTake, clear_rows
from pipeline.stages.shards.families import FamilyTake, family_rows
from pipeline.stages.shards.frames import FaceTake, FrameSources, frame_rows
from pipeline.stages.shards.rows import Sources, pair_rows, sequence_rows, take_row
from pipeline.stages.shards.shard_plan import KeptPair, PlacedPair, Shard, SpokenTake
from pipeline.stages.shards.writer import write_shard
from pipeline.takes.framed_images import FrameTo, framing_of
from spfem_data.schema import schema as schema_of

SUFFIX = ".parquet"
POSES, CLEAR, SCORES = ".poses.parquet", ".clear.parquet", ".scores.parquet"
FAMILIES = ".families.parquet"
WITH_IMAGES = ("pairs", "emotions")
_FRAMINGS_IN_MEMORY = 256
_SPEAKERS_IN_MEMORY = 4


@dataclass(frozen=True)
class Payload:
    """The worker's input: the items of one file and the item folder of each stage."""

    shard: Shard
    items: tuple[KeptPair | PlacedPair | SpokenTake | ClearTake | FamilyTake | FaceTake, ...]
    stores: Mapping[str, Path]
    section: Shards


def one_thread() -> None:
    """Warp with one thread per process, because there is one process per worker."""
    cv2.setNumThreads(1)


def write_unit(state: None, store: ItemStore, unit: str, payload: Payload) -> UnitResult:
    """Write one file, row group by row group."""
    shard, section = payload.shard, payload.section
    with atomic_path(store.path(unit, SUFFIX)) as temporary:
        rows = write_shard(
            temporary, schema_of(shard.config, _metadata(payload)), shard.config, _rows(payload),
            section.rows_per_group,
        )  # fmt: skip
    return UnitResult([SUFFIX], {"files": [{"unit": unit, "rows": rows}]})


def _metadata(payload: Payload) -> dict[str, str]:
    """The metadata of the file's schema."""
    section, config = payload.section, payload.shard.config
    metadata = {"framing": f"{section.framing} {section.size_px}"} if config in WITH_IMAGES else {}
    if config == "frames":
        metadata = {"framing": f"{section.frames.framing} {section.size_px}"}
    weights = {item.weights_sha256 for item in payload.items if isinstance(item, ClearTake)}
    return metadata | ({"clip_weights_sha256": ",".join(sorted(weights))} if weights else {})


def _rows(payload: Payload) -> Iterator[dict[str, Any]]:
    section = payload.section
    sources, clear = _sources(payload), _clear_sources(payload)
    frames = FrameSources(_frames_file(payload), _framing(payload, section.frames.framing))
    for item in payload.items:
        if isinstance(item, KeptPair):
            yield from pair_rows(item, sources, section.size_px, section.jpeg_quality)
        elif isinstance(item, PlacedPair):
            yield from sequence_rows(item, sources.poses, section.windows)
        elif isinstance(item, ClearTake):
            yield from clear_rows(item, clear, section.size_px, section.jpeg_quality)
        elif isinstance(item, FaceTake):
            yield from frame_rows(
                item, frames, section.frames.per_take, section.size_px, section.jpeg_quality
            )
        elif isinstance(item, FamilyTake):
            yield from family_rows(item, _file_of(payload, "synth", item.clip, FAMILIES))
        else:
            yield take_row(item, _file_of(payload, "extract", item.clip, ".audio.flac"))


def _sources(payload: Payload) -> Sources:
    poses_of_speaker = _by_speaker(payload, "pose", POSES, PosePair.SCHEMA)

    def poses(kept: KeptPair) -> pa.Table:
        table = poses_of_speaker(kept.pair.speaker)
        table = table.filter(pc.equal(table["pair_id"], kept.pair.pair_id))
        frames = pa.array([frame for frame, _ in kept.frames()], pa.int32())
        return table.filter(pc.is_in(table["frame_a"], frames))

    return Sources(_frames_file(payload), _framing(payload), poses)


def _clear_sources(payload: Payload) -> ClearSources:
    clear_of_speaker = _by_speaker(payload, "filter", CLEAR, CLEAR_SCHEMA)

    def decided(clip: Clip) -> pa.Table:
        table = clear_of_speaker(clip.speaker)
        kept = pc.and_(pc.equal(table["take_id"], clip.take_id), pc.equal(table["verdict"], "kept"))
        return table.filter(kept)

    def scores(clip: Clip) -> pa.Table:
        return read_table(_file_of(payload, "score", clip, SCORES))

    return ClearSources(_frames_file(payload), _framing(payload), decided, scores)


def _by_speaker(
    payload: Payload, stage: str, suffix: str, schema: pa.Schema
) -> Callable[[str], pa.Table]:
    store = ItemStore(payload.stores[stage])
    return lru_cache(_SPEAKERS_IN_MEMORY)(
        lambda speaker: read_table(store.path(speaker, suffix), schema)
    )


def _frames_file(payload: Payload) -> Callable[[Clip], Path]:
    return lambda clip: _file_of(payload, "extract", clip, ".frames.parquet")


def _framing(payload: Payload, name: Framing | None = None) -> Callable[[Clip], FrameTo]:
    """The framing of a take's frames: `name`, or the section's."""
    section, file = payload.section, _frames_file(payload)
    return lru_cache(_FRAMINGS_IN_MEMORY)(
        lambda clip: framing_of(name or section.framing, section.size_px, clip, file(clip))
    )


def _file_of(payload: Payload, stage: str, clip: Clip, suffix: str) -> Path:
    return ItemStore(payload.stores[stage]).path(f"{clip.speaker}/{clip.take_id}", suffix)
