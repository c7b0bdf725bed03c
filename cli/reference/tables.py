"""docs/reference/tables.md: every table and item file that the stages write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cli.reference.meanings import meaning
from cli.reference.text import code, made_from, table
from pipeline import records

PAGE = Path("docs/reference/tables.md")


@dataclass(frozen=True)
class Listed:
    """One kind of table: its name, path, what a row is, and its columns."""

    name: str
    place: str
    row: str
    schema: pa.Schema


TABLES = (
    Listed("clips", "extract/tables/clips.parquet", "a take", records.Clip.SCHEMA),
    Listed("frames", "extract/items/<speaker>/<take_id>.frames.parquet", "a frame",
           records.FRAMES_SCHEMA),
    Listed("sync_takes", "sync/tables/sync_takes.parquet", "a take", records.SyncTake.SCHEMA),
    Listed("sync_sessions", "sync/tables/sync_sessions.parquet", "a recording session",
           records.SyncSession.SCHEMA),
    Listed("sentences", "align/tables/sentences.parquet", "an utterance", records.Sentence.SCHEMA),
    Listed("pairs", "align/tables/pairs.parquet", "a pair of takes", records.Pair.SCHEMA),
    Listed("pose_pairs", "pose/tables/pose_pairs.parquet", "a pair of takes",
           records.PosedPair.SCHEMA),
    Listed("poses", "pose/items/<speaker>.poses.parquet", "a frame pair", records.PosePair.SCHEMA),
    Listed("scores", "score/tables/scores.parquet", "a take", records.ScoredTake.SCHEMA),
    Listed("frame_scores", "score/items/<speaker>/<take_id>.scores.parquet", "a scored frame",
           records.SCORES_SCHEMA),
    Listed("filtered_takes", "filter/tables/filtered_takes.parquet", "a take",
           records.FilteredTake.SCHEMA),
    Listed("clear", "filter/items/<speaker>.clear.parquet", "a scored frame",
           records.CLEAR_SCHEMA),
    Listed("thresholds", "filter/tables/thresholds.parquet", "an emotion",
           records.ClarityThreshold.SCHEMA),
    Listed("yields", "filter/tables/yields.parquet", "an emotion and a threshold",
           records.YieldPoint.SCHEMA),
    Listed("suspects", "filter/tables/suspects.parquet", "a take", records.Suspect.SCHEMA),
    Listed("inverted", "invert/tables/inverted.parquet", "a take", records.InvertedTake.SCHEMA),
    Listed("codes", "invert/items/<speaker>/<take_id>.codes.parquet", "an inverted frame",
           records.CODES_SCHEMA),
    Listed("directions", "directions/tables/directions.parquet", "an emotion",
           records.Direction.SCHEMA),
    Listed("families", "synth/tables/families.parquet", "a family", records.MadeFamily.SCHEMA),
    Listed("images", "synth/tables/images.parquet", "a synthetic image",
           records.MadeImage.SCHEMA),
    Listed("made_images", "synth/items/<speaker>/<take_id>.families.parquet", "a synthetic image",
           records.FAMILIES_SCHEMA),
    Listed("rejected", "<stage>/tables/rejected.parquet", "a rejected item",
           records.Rejected.SCHEMA),
)  # fmt: skip


def page() -> str:
    """The page as Markdown."""
    head = (
        "# Tables of the stages\n\n" + made_from("`pipeline/records.py`") + "\n\n"
        "Paths are below `data/<dataset>/`. Tables are joined by ids and never by position. Times\n"
        "are presentation times in seconds; coordinates are pixels of the full frame, where pixel\n"
        "i covers [i, i + 1). The shards' columns: [columns.md](../columns.md)."
    )
    return "\n\n".join([head, *(_section(listed) for listed in TABLES)]) + "\n"


def _section(listed: Listed) -> str:
    rows = [
        (code(field.name), _kind(field.type), meaning(listed.name, field.name))
        for field in listed.schema
    ]
    return f"## `{listed.name}`\n\n`{listed.place}`: a row is {listed.row}.\n\n" + table(
        ["column", "type", "meaning"], rows
    )


def _kind(kind: pa.DataType) -> str:
    return str(kind).replace("element: ", "").replace("item: ", "")
