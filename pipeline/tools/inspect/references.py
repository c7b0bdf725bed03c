"""Check references between rows: takes, frames, rows of pairs, splits; and that keys are unique.

The checks follow from column names, so that a new config needs no code here.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.tools.inspect.manifest import Finding, Listed, Manifest
from spfem_data.leaks import Placed, find_leaks, leak_line
from spfem_data.protocols import PROTOCOLS, read_protocol
from spfem_data.schema import COLUMNS

TAKE_OF = {
    "take_id": "frame",
    "take_a": "frame_a",
    "take_b": "frame_b",
    "source_take": "source_frame",
    "source_take_id": "source_frame",
    "reference_take": "reference_frame",
}
"""Columns that name a take, each with the column of its frame number, in any config."""
_ALSO = (
    "utterance_id", "split", "speaker", "sentence", "dataset", "emotion", "n_frames", "family_id",
    "is_reconstruction",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Chosen columns of one file."""

    listed: Listed
    table: pa.Table


def names(config: str) -> list[str]:
    """The key and reference columns of a config."""
    wanted = {*_ALSO, *TAKE_OF, *TAKE_OF.values(), key_of(config)}
    return [c.name for c in COLUMNS[config] if c.name in wanted and not pa.types.is_list(c.type)]


def key_of(config: str) -> str:
    """The key column: the first, by the schema's convention."""
    return COLUMNS[config][0].name


def read(folder: Path, listed: Listed, columns: Sequence[str]) -> Part:
    """Read columns of a file; errors of pyarrow are passed on."""
    table = pq.read_table(folder / listed.path, columns=list(columns), partitioning=None)
    table.validate(full=True)  # otherwise invalid text would fail on use
    return Part(listed, table)


Configs = Mapping[str, Sequence[Part]]
Takes = Mapping[str, dict[str, Any]]


def _faults(
    part: Part, rows: Sequence[int], what: Callable[[int], str], check: str = "references"
) -> Iterator[Finding]:
    """One finding for all rows of a file with the same fault, described by the first."""
    if rows:
        text = f"{len(rows)} rows (the first: {rows[0]}): {what(rows[0])}"
        yield Finding(check, part.listed.path, text)


def check_rows(manifest: Manifest, configs: Configs) -> Iterator[Finding]:
    """Check that rows have the split and dataset of their file, and that keys are unique."""
    for config, parts in configs.items():
        for part in parts:
            for name, value in (("split", part.listed.split), ("dataset", manifest.dataset)):
                found = part.table[name].to_pylist() if name in part.table.column_names else []
                other = [row for row, each in enumerate(found) if each not in (value, None)]
                said = "{} is {!r} in files of {!r}".format
                yield from _faults(part, other, lambda row: said(name, found[row], value))  # noqa: B023
        keys = Counter(key for part in parts for key in part.table[key_of(config)].to_pylist())
        more = [key for key, n in keys.items() if n > 1]
        if more:
            said_ = f"{len(more)} values of {key_of(config)} are not unique; the first: {more[0]!r}"
            yield Finding("references", config, said_)


def check_families(parts: Sequence[Part]) -> Iterator[Finding]:
    """Check that every family has one reconstruction and at least one other image."""
    for part in parts:
        families: dict[str, list[bool]] = defaultdict(list)
        for row in part.table.select(["family_id", "is_reconstruction"]).to_pylist():
            families[row["family_id"]].append(row["is_reconstruction"])
        odd = sorted(name for name, own in families.items() if sum(own) != 1 or len(own) < 2)
        if odd:
            families_text = f"{len(odd)} families (the first: {odd[0]!r})"
            said = f"{families_text} without exactly one reconstruction and another image"
            yield Finding("references", part.listed.path, said)


def takes_of(parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    """The rows of the config `takes` by take."""
    return {row["take_id"]: row for part in parts for row in part.table.to_pylist()}


def _take_columns(configs: Configs) -> Iterator[tuple[Part, str]]:
    """The columns that name a take, in all files."""
    for part in (part for parts in configs.values() for part in parts):
        yield from ((part, name) for name in TAKE_OF if name in part.table.column_names)


def check_takes(configs: Configs, takes: Takes) -> Iterator[Finding]:
    """Check that every named take is in `takes`, of the same split, and has the named frames."""
    for part, name in _take_columns({c: parts for c, parts in configs.items() if c != "takes"}):
        yield from _check_column(part, name, TAKE_OF[name], takes)


def _check_column(part: Part, name: str, frame: str, takes: Takes) -> Iterator[Finding]:
    values = part.table[name].to_pylist()
    lost = [row for row, take in enumerate(values) if take is not None and take not in takes]
    yield from _faults(part, lost, lambda row: f"{name} {values[row]!r} is not in takes")
    known = {row: takes[take] for row, take in enumerate(values) if take in takes}
    moved = [row for row, take in known.items() if take["split"] != part.listed.split]
    yield from _faults(
        part, moved, lambda row: f"{name} {values[row]!r} is a take of {known[row]['split']!r}"
    )
    if frame in part.table.column_names:
        frames = part.table[frame].to_pylist()
        beyond = [
            row
            for row, take in known.items()
            if frames[row] is not None and not 0 <= frames[row] < (take["n_frames"] or 0)
        ]
        yield from _faults(
            part, beyond, lambda row: f"{frame} {frames[row]} is not a frame of {values[row]!r}"
        )


def check_recordings(folder: Path, configs: Configs) -> Iterator[Finding]:
    """That the two takes of a row have different audio: else one recording has two labels."""
    audio = dict(_audio_digests(folder, configs.get("takes", ())))
    for part in (part for parts in configs.values() for part in parts):
        if {"take_a", "take_b"} <= set(part.table.column_names):
            a, b = (part.table[name].to_pylist() for name in ("take_a", "take_b"))
            same = [k for k in range(len(a)) if a[k] in audio and audio[a[k]] == audio.get(b[k])]
            said = "takes {!r} and {!r} have the same audio".format
            yield from _faults(part, same, lambda row: said(a[row], b[row]), "recordings")  # noqa: B023


def _audio_digests(folder: Path, parts: Sequence[Part]) -> Iterator[tuple[str, bytes]]:
    """Take ids and digests of their audio; memory holds one row group."""
    for part in parts:
        with pq.ParquetFile(folder / part.listed.path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=["take_id", "audio"]).to_pylist()
                for row in rows:
                    content = (row["audio"] or {}).get("bytes") or b""
                    yield row["take_id"], hashlib.sha256(content).digest()


def check_windows(folder: Path, configs: Configs) -> Iterator[Finding]:
    """Check that windows point to the rows of `pairs` that they name."""
    ids = {part.listed.path: part.table["sample_id"].combine_chunks() for part in configs["pairs"]}
    columns = ("file", "rows", "sample_ids")
    for listed in (part.listed for part in configs["sequences"]):
        part = read(folder, listed, columns)
        windows = zip(*(part.table[name].to_pylist() for name in columns), strict=True)
        wrong = [
            row
            for row, (file, rows, wanted) in enumerate(windows)
            if not _points_at(ids.get(file), rows, wanted)
        ]
        said = "`file` and `rows` do not point to the rows of pairs in `sample_ids`"
        yield from _faults(part, wrong, lambda _: said)  # noqa: B023


def _points_at(ids: pa.StringArray | None, rows: list[int] | None, wanted: list[str]) -> bool:
    if ids is None or not rows or not all(0 <= row < len(ids) for row in rows):
        return False
    found: list[str] = ids.take(pa.array(rows, pa.int64())).to_pylist()
    return found == wanted


def check_leaks(unit: str, configs: Configs, takes: Takes) -> Iterator[Finding]:
    """Check that no unit of the split is in two splits."""
    named = _take_columns(configs)
    placed = (placed for part, name in named for placed in _placed_of(part, name, takes))
    leaks = find_leaks(unit, placed) if unit else {}
    if leaks:
        yield Finding("leakage", f"unit {unit}", leak_line(unit, leaks))


def _placed_of(part: Part, name: str, takes: Takes) -> Iterator[Placed]:
    """Each take of a file once; missing values come from its row in `takes`."""
    columns = [c for c in ("speaker", "sentence") if c in part.table.column_names]
    rows = part.table.select([name, *columns]).group_by([name, *columns]).aggregate([])
    for row in rows.to_pylist():
        take = takes.get(row[name], {})
        yield Placed(
            part.listed.split,
            row.get("speaker") or take.get("speaker") or "",
            row.get("sentence") or take.get("sentence"),
            take.get("utterance_id") or row[name] or "",
        )


def check_protocols(folder: Path, listed: Iterable[str], takes: Takes) -> Iterator[Finding]:
    """Check that evaluation lists name existing takes and frames of one split."""
    for name in PROTOCOLS:
        path = f"protocols/{name}.csv"
        if path not in listed:
            yield Finding("protocols", path, "is not listed in the manifest")
            continue
        try:
            trials = enumerate(read_protocol(folder, name), start=2)
        except TableError as error:
            yield Finding("protocols", path, str(error))
            continue
        found = ((line, _trial_fault(name, trial, takes)) for line, trial in trials)
        for line, what in islice((each for each in found if each[1]), 1):
            yield Finding("protocols", f"{path}, line {line}", what)


def _trial_fault(protocol: str, trial: Any, takes: Takes) -> str:
    """The fault of a trial, or ""."""
    named = [trial.source_take, trial.reference_take, *filter(None, [trial.target_take])]
    for take in named:
        if take not in takes:
            return f"{take!r} is not in takes"
    source, reference = takes[trial.source_take], takes[trial.reference_take]
    splits = sorted({takes[take]["split"] for take in named})
    if len(splits) > 1:
        return f"its takes are of the splits {', '.join(splits)}"
    if trial.last_frame >= (source["n_frames"] or 0):
        return f"frame {trial.last_frame} is not a frame of {trial.source_take!r}"
    if (source["speaker"] == reference["speaker"]) != (protocol == "intra_id"):
        return f"speakers {source['speaker']} and {reference['speaker']}"
    if reference["emotion"] != trial.emotion:
        return f"the reference is {reference['emotion']} and not {trial.emotion}"
    return ""
