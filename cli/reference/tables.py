"""What the stages write: docs/reference/tables.md and reasons.md, and docs/columns.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cli.reference.meanings import meaning
from cli.reference.text import code, made_from, table
from pipeline import records
from pipeline.errors import REASONS
from pipeline.media import FINDINGS
from spfem_data.schema import COLUMNS, SCHEMA_VERSION, VERSION_KEY, Column

TABLES_PAGE = Path("docs/reference/tables.md")


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


def tables_page() -> str:
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


COLUMNS_PAGE = Path("docs/columns.md")
_MEDIA = {"image": "struct<bytes, path>: an image", "audio": "struct<bytes, path>: audio"}


def columns_page() -> str:
    """The page as Markdown."""
    parts = [
        "# Columns of the shards\n\n"
        f"Schema version {SCHEMA_VERSION}, as in each file's metadata (`{VERSION_KEY.decode()}`) "
        "and in `manifest.json`. The\nreader refuses unknown versions; [shards.md](shards.md) "
        "explains what a new version means.\n\n"
        "Generated from `spfem_data/schema.py` by `make reference`. Missing values are null. The\n"
        "first column of a config is the id of its rows.",
        *(_columns_section(config, columns) for config, columns in COLUMNS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _columns_section(config: str, columns: tuple[Column, ...]) -> str:
    rows = [(code(c.name), _MEDIA.get(c.media or "", _kind(c.type)), c.doc) for c in columns]
    return f"## `{config}`\n\n" + table(["column", "type", "meaning"], rows)


REASONS_PAGE = Path("docs/reference/reasons.md")


def reasons_page() -> str:
    """The page as Markdown."""
    reasons = [(code(slug), r.kind, r.meaning, code(r.setting)) for slug, r in REASONS.items()]
    findings = [(code(slug), meaning) for slug, meaning in FINDINGS.items()]
    return (
        "\n\n".join(
            [
                "# Rejects and findings\n\n"
                + made_from("`pipeline/errors.py` and `pipeline/media`"),
                "## Rejects\n\nEach stage lists what it planned and did not keep in its table\n"
                "`rejected`; `spfem-data rejects` prints them all. *filtered*: a parameter\n"
                "decides; *failed*: it could not be done, and `--retry-failed` tries again. The\n"
                "last column is the key of `params.yaml`, or the option, that decides.",
                table(["reason", "kind", "meaning", "decided by"], reasons),
                "## Findings\n\nProblems of a take that do not by themselves make it unusable\n"
                "(`clips.findings`). `extract.policies` decides how each is handled:\n"
                "[extract.md](../extract.md).",
                table(["finding", "meaning"], findings),
            ]
        )
        + "\n"
    )
