"""diff: the changes between two versions of a dataset, by pair, with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.tools.inspect.findings import DAMAGE
from pipeline.tools.inspect.manifest import Manifest, read_manifest
from pipeline.tools.inspect.reasons import Reasons, read_reasons
from pipeline.tools.inspect.rounding import ColumnDifference, differences
from pipeline.tools.inspect.rows import PairRows, changed_columns, read_pairs, read_takes
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

    def as_json(self) -> dict[str, str]:
        """The change as JSON values."""
        return dict(vars(self))


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
            "pairs": [change.as_json() for change in self.pairs],
            "values": [one.as_json() for one in self.values],
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
            more = (
                f"; the first {_MAX_ROWS} of {len(self.pairs)}"
                if len(self.pairs) > _MAX_ROWS
                else ""
            )
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
    first = next((one for one in manifest.files if one.config == config), None)
    if first is None:
        return {}
    schema = pq.read_schema(folder / first.path)
    return {field_.name: field_.type for field_ in schema}


def _compare_pairs(
    difference: Difference, old: Path, new: Path, before: Manifest, after: Manifest
) -> None:
    same_files = {one.path: one.sha256 for one in before.files if one.config == "pairs"} == {
        one.path: one.sha256 for one in after.files if one.config == "pairs"
    }
    was = read_pairs(old, before, with_images=not same_files)
    now = read_pairs(new, after, with_images=not same_files)
    takes = read_takes(old, before), read_takes(new, after)
    for pair_id in sorted({*was, *now}):
        change = _change(pair_id, was, now, takes, (old, new))
        if change is None:
            difference.kept += 1
        else:
            difference.pairs.append(change)


def _change(
    pair_id: str,
    was: Mapping[str, PairRows],
    now: Mapping[str, PairRows],
    takes: tuple[Mapping[str, str], Mapping[str, str]],
    folders: tuple[Path, Path],
) -> Change | None:
    if pair_id not in now:
        gone = [t for t in was[pair_id].takes if t not in takes[1]]
        return _absent(pair_id, "lost", gone, read_reasons(folders[1]), was[pair_id])
    if pair_id not in was:
        new = [t for t in now[pair_id].takes if t not in takes[0]]
        return _absent(pair_id, "gained", new, read_reasons(folders[0]), now[pair_id])
    return _moved(pair_id, was[pair_id], now[pair_id])


def _absent(pair_id: str, kind: str, takes: list[str], reasons: Reasons, rows: PairRows) -> Change:
    """Why a pair is in one version only: a reject in the other version, or a missing take."""
    reject = reasons.of(pair_id, *rows.takes)
    if reject is not None:
        was = "was " if kind == "gained" else ""
        return Change(
            pair_id, kind, reject.reason, f"{was}rejected by {reject.stage}: {reject.detail}"
        )
    if takes:
        slug = "lost_take" if kind == "lost" else "new_take"
        return Change(pair_id, kind, slug, ", ".join(takes))
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
