"""The rows of two versions: by clip pair, and whether values differ by rounding only.

Other processors, libraries or orders of summation round differently; that must not be taken for a
change of the data, nor the other way round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import simplejpeg
from numpy.typing import NDArray

from pipeline.tools.inspect.manifest import DAMAGE, Listed, Manifest
from pipeline.tools.inspect.references import key_of
from spfem_data.audio import read_audio
from spfem_data.schema import COLUMNS, media_columns

_STAGES = ("shards", "pose", "align", "extract")


@dataclass
class PairRows:
    """One clip pair of one version: takes, split, frame pairs, and a digest of each column."""

    takes: tuple[str, str]
    split: str
    ids: set[str] = field(default_factory=set)
    digests: dict[str, Any] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Add the next row."""
        self.ids.add(row["sample_id"])
        for name, value in row.items():
            content = value["bytes"] if isinstance(value, dict) else repr(value).encode()
            self.digests.setdefault(name, hashlib.blake2b(digest_size=16)).update(content)


@dataclass(frozen=True)
class KnownReject:
    """A row of a stage's rejected table."""

    stage: str
    reason: str
    detail: str


def files_of(manifest: Manifest, config: str) -> dict[str, Listed]:
    """The files of a config by path."""
    return {one.path: one for one in manifest.files if one.config == config}


def read_config(folder: Path, files: Iterable[str], names: Sequence[str]) -> pa.Table:
    """Those of the named columns that files have, as one table."""
    tables = []
    for path in files:
        with pq.ParquetFile(folder / path) as file:
            there = [name for name in names if name in file.schema_arrow.names]
            tables.append(file.read(columns=there))
    return pa.concat_tables(tables) if tables else pa.table({name: [] for name in names})


def read_pairs(folder: Path, manifest: Manifest, *, with_images: bool) -> dict[str, PairRows]:
    """The clip pairs of a version; one row group is in memory at a time."""
    pairs: dict[str, PairRows] = {}
    left_out = () if with_images else media_columns("pairs")
    for path in files_of(manifest, "pairs"):
        with pq.ParquetFile(folder / path) as file:
            names = [name for name in file.schema_arrow.names if name not in left_out]
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group, columns=names).to_pylist():
                    new = PairRows((row["take_a"], row["take_b"]), row["split"])
                    pairs.setdefault(row["pair_id"], new).add(row)
    return pairs


def changed_columns(was: PairRows, now: PairRows) -> list[str]:
    """The columns of both versions whose values differ."""
    return [
        name
        for name in was.digests
        if name in now.digests and was.digests[name].digest() != now.digests[name].digest()
    ]


@lru_cache(maxsize=2)
def read_reasons(shards: Path) -> dict[str, KnownReject]:
    """The rejects, by item, of the run that contains these shards; none for a copy of the shards.

    Later stages take precedence. Damaged tables are ignored, because they are not part of the
    published dataset.
    """
    by_item: dict[str, KnownReject] = {}
    for stage in _STAGES:
        folder = shards if stage == "shards" else shards.parent / stage
        path = folder / "tables" / "rejected.parquet"
        try:
            rows = pq.read_table(path, columns=["item", "reason", "detail"]).to_pylist()
        except DAMAGE:
            continue
        for row in rows:
            by_item.setdefault(row["item"], KnownReject(stage, row["reason"], row["detail"]))
    return by_item


F64 = NDArray[np.float64]
ROUNDING = 1e-3
"""A number differs by rounding where it differs by at most this share of its column's largest."""
IMAGE_ROUNDING = 0.5
"""Of an image: the mean difference of its values, of 255. One unit of upstream rounding moves few
values by one, and JPEG spreads that over blocks of 8 pixels."""
AUDIO_ROUNDING = 2 / 32768
"""Of audio: two steps of 16 bits."""


@dataclass(frozen=True)
class ColumnDifference:
    """How one column of a config differs: by rounding, or by more."""

    config: str
    column: str
    rows: int
    """Rows whose values differ; those that only one version has, for the key column."""
    largest: float | None
    """The largest difference in the column's unit; None where values are not numbers."""
    is_rounding: bool


def differences(
    old: Path, new: Path, before: Manifest, after: Manifest
) -> Iterator[ColumnDifference]:
    """The columns of all configs whose values differ between two versions.

    Files with one checksum are equal and are not opened. Where both versions have the same files,
    memory holds a row group of each; otherwise one config without its images and audio, whose bytes
    are then not compared.

    Raises
    ------
    pyarrow.ArrowException, OSError, ValueError
        Where a file is damaged.
    """
    for config in COLUMNS:
        was, now = (files_of(manifest, config) for manifest in (before, after))
        found: dict[str, _Sum] = {}
        if list(was) == list(now):
            for path in was:
                if was[path].sha256 != now[path].sha256:
                    _compare_files(old / path, new / path, config, found)
        else:
            names = [c.name for c in COLUMNS[config] if c.media is None]
            tables = read_config(old, was, names), read_config(new, now, names)
            _compare_tables(*tables, config, found)
        yield from (total.of(config, name) for name, total in found.items() if total.rows)


@dataclass
class _Sum:
    """What was found of one column so far."""

    rows: int = 0
    largest: float | None = None
    scale: float = 0.0
    limit: float | None = None
    """The largest difference that is rounding, None: of the column's scale."""
    is_other: bool = False

    def of(self, config: str, name: str) -> ColumnDifference:
        limit = ROUNDING * self.scale if self.limit is None else self.limit
        is_rounding = not self.is_other and self.largest is not None and self.largest <= limit
        return ColumnDifference(config, name, self.rows, self.largest, is_rounding)

    def add(self, per_row: F64, scale: float = 0.0) -> None:
        """Differences of rows: 0 where equal, infinite where one is no number."""
        self.rows += int(np.count_nonzero(per_row))
        self.largest = max(self.largest or 0.0, float(per_row.max(initial=0.0)))
        self.scale = max(self.scale, scale)


def _compare_files(old: Path, new: Path, config: str, found: dict[str, _Sum]) -> None:
    """Row group by row group while both hold the same rows; else by keys, without media."""
    with pq.ParquetFile(old) as was, pq.ParquetFile(new) as now:
        if [was.metadata.row_group(k).num_rows for k in range(was.num_row_groups)] == [
            now.metadata.row_group(k).num_rows for k in range(now.num_row_groups)
        ]:
            for k in range(was.num_row_groups):
                _compare_tables(was.read_row_group(k), now.read_row_group(k), config, found)
            return
    names = [c.name for c in COLUMNS[config] if c.media is None]
    old_table, new_table = (read_config(path.parent, [path.name], names) for path in (old, new))
    _compare_tables(old_table, new_table, config, found)


def _compare_tables(was: pa.Table, now: pa.Table, config: str, found: dict[str, _Sum]) -> None:
    key = key_of(config)
    old_keys, new_keys = (table[key].combine_chunks() for table in (was, now))
    if not old_keys.equals(new_keys):
        places = pc.index_in(old_keys, value_set=new_keys)
        common = pc.is_valid(places)
        n_common = int(pc.sum(common).as_py() or 0)
        lonely = len(old_keys) + len(new_keys) - 2 * n_common
        if lonely:
            total = found.setdefault(key, _Sum())
            total.rows, total.is_other = total.rows + lonely, True
        was, now = was.filter(common), now.take(places.drop_null())
    for column in COLUMNS[config]:
        name = column.name
        if name == key or name not in was.column_names or name not in now.column_names:
            continue
        pair = (was[name].combine_chunks(), now[name].combine_chunks())
        if not pair[0].equals(pair[1]):
            _compare_column(*pair, column.media, found.setdefault(name, _Sum()))


def _compare_column(was: pa.Array, now: pa.Array, media: str | None, total: _Sum) -> None:
    if media is not None:
        total.limit = IMAGE_ROUNDING if media == "image" else AUDIO_ROUNDING
        decode = _pixels if media == "image" else _samples
        total.add(np.array([_apart(a, b, decode) for a, b in zip(was, now, strict=True)]))
    elif was.type == now.type and _is_real(was.type):
        total.add(*_number_differences(was, now))
    else:
        total.rows += sum(a != b for a, b in zip(was.to_pylist(), now.to_pylist(), strict=True))
        total.is_other = True


def _is_real(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_real(kind.value_type)
    return bool(pa.types.is_floating(kind))


def _number_differences(was: pa.Array, now: pa.Array) -> tuple[F64, float]:
    """The largest difference in each row, and the largest finite value; null counts as NaN."""
    rows = [_vector_difference(a, b) for a, b in zip(was.to_pylist(), now.to_pylist(), strict=True)]
    return np.array([apart for apart, _ in rows]), max((scale for _, scale in rows), default=0.0)


def _vector_difference(a: Any, b: Any) -> tuple[float, float]:
    old, new = (np.atleast_1d(np.array(np.nan if v is None else v, np.float64)) for v in (a, b))
    if old.shape != new.shape or (np.isfinite(old) != np.isfinite(new)).any():
        return np.inf, 0.0
    there = np.isfinite(old)
    if not np.array_equal(old[~there], new[~there], equal_nan=True):
        return np.inf, 0.0
    old, new = old[there], new[there]
    scale = float(max(np.abs(old).max(initial=0.0), np.abs(new).max(initial=0.0)))
    return float(np.abs(old - new).max(initial=0.0)), scale


def _apart(was: pa.Scalar, now: pa.Scalar, decode: Any) -> float:
    """How far two images or pieces of audio are apart: 0 where their bytes are equal."""
    old, new = ((value.as_py() or {}).get("bytes") for value in (was, now))
    if old == new:
        return 0.0
    if old is None or new is None:
        return np.inf
    a, b = decode(old), decode(new)
    if a.shape != b.shape:
        return np.inf
    apart = np.abs(a - b)
    found = float(apart.mean() if apart.ndim > 1 else apart.max(initial=0.0))
    return max(found, float(np.finfo(np.float64).tiny))  # the bytes differ


def _pixels(content: bytes) -> F64:
    return np.asarray(simplejpeg.decode_jpeg(content), np.float64)


def _samples(content: bytes) -> F64:
    return np.asarray(read_audio(content)[0], np.float64)
