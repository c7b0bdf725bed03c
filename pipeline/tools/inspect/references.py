"""Check references between rows: takes, frames, rows of pairs, splits; and that keys are unique.

The checks follow from column names, so that a new config needs no code here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.tools.inspect.findings import Finding
from pipeline.tools.inspect.manifest import Manifest
from pipeline.tools.inspect.tables import TAKE_OF, Part, column, key_of, read, rows_where
from spfem_data.leaks import Placed, find_leaks, leak_line
from spfem_data.protocols import PROTOCOLS, read_protocol

Configs = Mapping[str, Sequence[Part]]
Takes = Mapping[str, dict[str, Any]]


def fault(check: str, where: str, rows: Sequence[int], what: str) -> Finding:
    """One finding for all rows of a file with the same fault."""
    return Finding(check, where, f"{len(rows)} rows (the first: {rows[0]}): {what}")


def check_rows(manifest: Manifest, configs: Configs) -> Iterator[Finding]:
    """Check that rows have the split and dataset of their file, and that keys are unique."""
    for config, parts in configs.items():
        for part in parts:
            for name, value in (("split", part.listed.split), ("dataset", manifest.dataset)):
                if name in part.table.column_names:
                    other = rows_where(pc.not_equal(part.table[name], value))
                    if other:
                        found = part.table[name][other[0]].as_py()
                        said = f"{name} is {found!r} in files of {value!r}"
                        yield fault("references", part.listed.path, other, said)
        yield from _twice(config, parts)


def _twice(config: str, parts: Sequence[Part]) -> Iterator[Finding]:
    name = key_of(config)
    counts = pc.value_counts(column(parts, name))
    more = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(more):
        said = (
            f"{len(more)} values of {name} are not unique; the first: {more[0].as_py()['values']!r}"
        )
        yield Finding("references", config, said)


def check_families(parts: Sequence[Part]) -> Iterator[Finding]:
    """Check that every family has one reconstruction and at least one other image."""
    for part in parts:
        names = ["family_id", "is_reconstruction"]
        families: dict[str, list[bool]] = {}
        for row in part.table.select(names).to_pylist():
            families.setdefault(row["family_id"], []).append(row["is_reconstruction"])
        odd = sorted(name for name, own in families.items() if sum(own) != 1 or len(own) < 2)
        if odd:
            families_text = f"{len(odd)} families (the first: {odd[0]!r})"
            said = f"{families_text} without exactly one reconstruction and another image"
            yield Finding("references", part.listed.path, said)


def takes_of(parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    """The rows of the config `takes` by take."""
    return {row["take_id"]: row for part in parts for row in part.table.to_pylist()}


def check_takes(configs: Configs, takes: Takes) -> Iterator[Finding]:
    """Check that every named take is in `takes`, of the same split, and has the named frames."""
    for config, parts in configs.items():
        if config == "takes":
            continue
        for part in parts:
            for name, frame in TAKE_OF.items():
                if name in part.table.column_names:
                    yield from _check_column(part, name, frame, takes)


def _check_column(part: Part, name: str, frame: str, takes: Takes) -> Iterator[Finding]:
    values = part.table[name].to_pylist()
    lost = [row for row, take in enumerate(values) if take is not None and take not in takes]
    if lost:
        said = f"{name} {values[lost[0]]!r} is not in takes"
        yield fault("references", part.listed.path, lost, said)
    known = [row for row, take in enumerate(values) if take in takes]
    moved = [row for row in known if takes[values[row]]["split"] != part.listed.split]
    if moved:
        said = f"{name} {values[moved[0]]!r} is a take of {takes[values[moved[0]]]['split']!r}"
        yield fault("references", part.listed.path, moved, said)
    if frame in part.table.column_names:
        frames = part.table[frame].to_pylist()
        beyond = [
            row
            for row in known
            if frames[row] is not None
            and not 0 <= frames[row] < (takes[values[row]]["n_frames"] or 0)
        ]
        if beyond:
            said = f"{frame} {frames[beyond[0]]} is not a frame of {values[beyond[0]]!r}"
            yield fault("references", part.listed.path, beyond, said)


def check_recordings(folder: Path, configs: Configs) -> Iterator[Finding]:
    """That the two takes of a row have different audio: else one recording has two labels."""
    audio = dict(_audio_digests(folder, configs.get("takes", ())))
    for part in (part for parts in configs.values() for part in parts):
        if not {"take_a", "take_b"} <= set(part.table.column_names):
            continue
        takes = list(zip(*(part.table[c].to_pylist() for c in ("take_a", "take_b")), strict=True))
        same = [row for row, (a, b) in enumerate(takes) if a in audio and audio[a] == audio.get(b)]
        if same:
            a, b = takes[same[0]]
            said = f"takes {a!r} and {b!r} have the same audio"
            yield fault("recordings", part.listed.path, same, said)


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
    files = [part.listed for part in configs["sequences"]]
    for part in read(folder, files, ["file", "rows", "sample_ids"]):
        wrong: list[int] = []
        for row, (file, rows, wanted) in enumerate(
            zip(*(part.table[c].to_pylist() for c in ("file", "rows", "sample_ids")), strict=True)
        ):
            if not _points_at(ids.get(file), rows, wanted):
                wrong.append(row)
        if wrong:
            said = "`file` and `rows` do not point to the rows of pairs in `sample_ids`"
            yield fault("references", part.listed.path, wrong, said)


def _points_at(ids: pa.StringArray | None, rows: list[int] | None, wanted: list[str]) -> bool:
    if ids is None or not rows or not all(0 <= row < len(ids) for row in rows):
        return False
    found: list[str] = ids.take(pa.array(rows, pa.int64())).to_pylist()
    return found == wanted


def check_leaks(unit: str, configs: Configs, takes: Takes) -> Iterator[Finding]:
    """Check that no unit of the split is in two splits."""
    if not unit:
        return
    leaks = find_leaks(unit, _placed(configs, takes))
    if leaks:
        yield Finding("leakage", f"unit {unit}", leak_line(unit, leaks))


def _placed(configs: Configs, takes: Takes) -> Iterator[Placed]:
    for parts in configs.values():
        for part in parts:
            for name in TAKE_OF:
                if name in part.table.column_names:
                    yield from _placed_of(part, name, takes)


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
            trials = read_protocol(folder, name)
        except TableError as error:
            yield Finding("protocols", path, str(error))
            continue
        for line, trial in enumerate(trials, start=2):
            what = _trial_fault(name, trial, takes)
            if what:
                yield Finding("protocols", f"{path}, line {line}", what)
                break


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
