"""diff: the changes between two versions of a dataset, by pair, with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.tools.inspect.manifest import DAMAGE, Manifest, read_manifest
from pipeline.tools.inspect.version_rows import (
    ColumnDifference,
    PairRows,
    changed_columns,
    differences,
    files_of,
    read_config,
    read_pairs,
    read_reasons,
)
from spfem_data.schema import COLUMNS

Table = tuple[str, list[str], list[list[str]]]
_MAX_ROWS = 20
Verdict = Literal["same", "rounding", "changed"]
VERDICTS: dict[Verdict, str] = {
    "same": "the same values",
    "rounding": "the same rows and decisions, values differ by rounding only",
    "changed": "rows, decisions or values differ by more than rounding",
}


@dataclass(frozen=True)
class Change:
    """One clip pair that was gained, lost or changed, and why."""

    pair_id: str
    kind: str
    why: str
    """A slug: a reject reason, new_take, lost_take, split, frames, values, images."""
    detail: str


@dataclass
class Difference:
    """The differences between two versions: settings, columns, pairs and values."""

    settings: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, old value, new value: versions, parameters, split, rows."""
    columns: list[tuple[str, str, str]] = field(default_factory=list)
    """Config, column, and gained, lost or the change of type."""
    pairs: list[Change] = field(default_factory=list)
    kept: int = 0
    values: list[ColumnDifference] = field(default_factory=list)
    """Columns of any config whose values differ."""

    @property
    def verdict(self) -> Verdict:
        """Whether rows and decisions are the same, and if so, whether values are."""
        moved = any(change.why not in ("values", "images") for change in self.pairs)
        if moved or self.columns or not all(one.is_rounding for one in self.values):
            return "changed"
        return "rounding" if self.values else "same"

    def as_json(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {
            "verdict": self.verdict,
            "settings": [dict(zip(("what", "old", "new"), s, strict=True)) for s in self.settings],
            "columns": [
                dict(zip(("config", "column", "change"), c, strict=True)) for c in self.columns
            ],
            "unchanged": self.kept,
            "pairs": [vars(change) for change in self.pairs],
            "values": [vars(one) for one in self.values],
        }

    def tables(self) -> Iterator[Table]:
        """The difference as tables of text."""
        counts = Counter((change.kind, change.why) for change in self.pairs)
        summary = [[kind, why, str(n)] for (kind, why), n in sorted(counts.items())]
        summary.append(["unchanged", "", str(self.kept)])
        yield "clip pairs", ["what", "why", "pairs"], summary
        if self.settings:
            yield "settings and counts", ["what", "old", "new"], [list(s) for s in self.settings]
        if self.values:
            rows = [_value_row(one) for one in self.values]
            heads = ["config", "column", "rows", "largest difference", "kind"]
            yield f"values: {VERDICTS[self.verdict]}", heads, rows
        if self.columns:
            yield "columns", ["config", "column", "change"], [list(c) for c in self.columns]
        if self.pairs:
            rows = [[c.kind, c.pair_id, c.why, c.detail] for c in self.pairs[:_MAX_ROWS]]
            n = len(self.pairs)
            more = f"; the first {_MAX_ROWS} of {n}" if n > _MAX_ROWS else ""
            yield f"pairs that changed{more}", ["what", "pair", "why", "detail"], rows


def _value_row(one: ColumnDifference) -> list[str]:
    largest = "" if one.largest is None else f"{one.largest:.3g}"
    kind = "rounding" if one.is_rounding else "change"
    return [one.config, one.column, str(one.rows), largest, kind]


def compare(old: Path, new: Path) -> Difference:
    """Compare two folders of shards.

    Raises
    ------
    TableError
        When one is not a shards folder or cannot be read; the message names `verify`.
    """
    manifests = _manifest(old), _manifest(new)
    difference = Difference(settings=list(_settings(*manifests)))
    try:
        difference.columns = list(_columns(old, new, *manifests))
        _compare_pairs(difference, old, new, *manifests)
        difference.values = list(differences(old, new, *manifests))
    except DAMAGE as error:
        raise TableError(f"cannot be compared ({error}); see: spfem-data verify DIR") from error
    return difference


def _manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if not manifest.files:
        first = manifest.findings[0].what if manifest.findings else "it lists no files"
        raise TableError(f"{folder}: manifest.json: {first}")
    return manifest


def _settings(old: Manifest, new: Manifest) -> Iterator[tuple[str, str, str]]:
    plain = ("dataset", "unit", "params_sha256")
    values = [(name, str(getattr(old, name)), str(getattr(new, name))) for name in plain]
    for was, now in ((old.versions, new.versions), (old.numerics, new.numerics)):
        values += [
            (name, was.get(name, "none"), now.get(name, "none")) for name in sorted({*was, *now})
        ]
    for config in sorted({*old.rows, *new.rows}):
        before, after = old.rows.get(config, {}), new.rows.get(config, {})
        for split in sorted({*before, *after}):
            counts = (str(before.get(split, 0)), str(after.get(split, 0)))
            values.append((f"rows of {config} {split}", *counts))
    for name, before_, after_ in values:
        if before_ != after_:
            yield name, before_[:40], after_[:40]


def _columns(
    old: Path, new: Path, before: Manifest, after: Manifest
) -> Iterator[tuple[str, str, str]]:
    for config in COLUMNS:
        kinds = _types(old, before, config), _types(new, after, config)
        for name in sorted({*kinds[0], *kinds[1]}):
            was, now = kinds[0].get(name), kinds[1].get(name)
            if was == now:
                continue
            change = "lost" if now is None else "gained" if was is None else f"{was} -> {now}"
            yield config, name, change


def _types(folder: Path, manifest: Manifest, config: str) -> dict[str, pa.DataType]:
    first = next(iter(files_of(manifest, config)), None)
    schema = pa.schema([]) if first is None else pq.read_schema(folder / first)
    return dict(zip(schema.names, schema.types, strict=True))


def _compare_pairs(
    difference: Difference, old: Path, new: Path, before: Manifest, after: Manifest
) -> None:
    same_files = files_of(before, "pairs") == files_of(after, "pairs")
    was = read_pairs(old, before, with_images=not same_files)
    now = read_pairs(new, after, with_images=not same_files)
    old_takes, new_takes = _takes(old, before), _takes(new, after)
    for pair_id in sorted({*was, *now}):
        if pair_id not in now:
            change = _absent(pair_id, "lost", was[pair_id], new_takes, new)
        elif pair_id not in was:
            change = _absent(pair_id, "gained", now[pair_id], old_takes, old)
        else:
            change = _moved(pair_id, was[pair_id], now[pair_id])
        if change is None:
            difference.kept += 1
        else:
            difference.pairs.append(change)


def _takes(folder: Path, manifest: Manifest) -> set[str]:
    table = read_config(folder, files_of(manifest, "takes"), ["take_id"])
    return set(table["take_id"].to_pylist())


def _absent(pair_id: str, kind: str, rows: PairRows, takes: set[str], other: Path) -> Change | None:
    """Why a pair is in one version only: a reject in the other version, or a take missing there."""
    reasons = read_reasons(other)
    reject = next((reasons[item] for item in (pair_id, *rows.takes) if item in reasons), None)
    if reject is not None:
        was = "was " if kind == "gained" else ""
        detail = f"{was}rejected by {reject.stage}: {reject.detail}"
        return Change(pair_id, kind, reject.reason, detail)
    missing = [take for take in rows.takes if take not in takes]
    if missing:
        slug = "lost_take" if kind == "lost" else "new_take"
        return Change(pair_id, kind, slug, ", ".join(missing))
    return Change(pair_id, kind, "unknown", "both takes exist and no reject names the pair")


def _moved(pair_id: str, was: PairRows, now: PairRows) -> Change | None:
    if was.split != now.split:
        return Change(pair_id, "changed", "split", f"{was.split} -> {now.split}")
    gone, come = sorted(was.ids - now.ids), sorted(now.ids - was.ids)
    if gone or come:
        detail = f"{len(come)} frame pairs gained, {len(gone)} lost of {len(was.ids)}"
        return Change(pair_id, "changed", "frames", detail)
    columns = changed_columns(was, now)
    if not columns:
        return None
    why = "images" if set(columns) <= {"source", "target"} else "values"
    return Change(pair_id, "changed", why, ", ".join(columns))
