"""Writing one shard: what the workers of the stage `shards` do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.packing.pictures import framing_of
from pipeline.packing.plan import KeptPair, PlacedPair, Shard, SpokenTake
from pipeline.packing.rows import Sources, pair_rows, sequence_rows, take_row
from pipeline.params import Shards
from pipeline.records import Clip, PosePair
from pipeline.reuse import ItemStore, atomic_path
from pipeline.run import Outcome
from pipeline.shards.schema import schema
from pipeline.shards.writer import write_shard
from pipeline.tables import read_table

SUFFIX = ".parquet"
POSES = ".poses.parquet"
_FRAMINGS_IN_MEMORY = 256
_SPEAKERS_IN_MEMORY = 4


@dataclass(frozen=True)
class Payload:
    """What the worker is given: one file's items and where their sources lie."""

    shard: Shard
    items: tuple[KeptPair | PlacedPair | SpokenTake, ...]
    extracted: Path
    posed: Path
    section: Shards


def one_thread() -> None:
    """Pictures are warped by as many processes as there are workers; threads would only collide."""
    cv2.setNumThreads(1)


def write_unit(state: None, store: ItemStore, unit: str, payload: Payload) -> Outcome:
    """Write one file, row group by row group."""
    shard, section = payload.shard, payload.section
    notes = {"framing": f"{section.framing} {section.size_px}"} if shard.config == "pairs" else {}
    with atomic_path(store.path(unit, SUFFIX)) as temporary:
        rows = write_shard(
            temporary, schema(shard.config, notes), shard.config, _rows(payload),
            section.rows_per_group,
        )  # fmt: skip
    return Outcome([SUFFIX], {"files": [{"unit": unit, "rows": rows}]})


def _rows(payload: Payload) -> Iterator[dict[str, Any]]:
    section = payload.section
    sources = _sources(payload)
    for item in payload.items:
        if isinstance(item, KeptPair):
            yield from pair_rows(item, sources, section.size_px, section.jpeg_quality)
        elif isinstance(item, PlacedPair):
            yield from sequence_rows(item, sources.poses, section.windows)
        else:
            yield take_row(item, _extracted(payload, item.clip, ".audio.flac"))


def _sources(payload: Payload) -> Sources:
    section = payload.section
    posed = ItemStore(payload.posed)
    poses_of_speaker = lru_cache(_SPEAKERS_IN_MEMORY)(
        lambda speaker: read_table(posed.path(speaker, POSES), PosePair.SCHEMA)
    )

    def frames_file(clip: Clip) -> Path:
        return _extracted(payload, clip, ".frames.parquet")

    def poses(kept: KeptPair) -> pa.Table:
        table = poses_of_speaker(kept.pair.speaker)
        table = table.filter(pc.equal(table["pair_id"], kept.pair.pair_id))
        frames = pa.array([frame for frame, _ in kept.frames()], pa.int32())
        return table.filter(pc.is_in(table["frame_a"], frames))

    framing = lru_cache(_FRAMINGS_IN_MEMORY)(
        lambda clip: framing_of(section.framing, section.size_px, clip, frames_file(clip))
    )
    return Sources(frames_file, framing, poses)


def _extracted(payload: Payload, clip: Clip, suffix: str) -> Path:
    return ItemStore(payload.extracted).path(f"{clip.speaker}/{clip.take_id}", suffix)
