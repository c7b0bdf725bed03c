from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import TableError
from spfem_data.parquet_pages import NotPlain, check_histograms, chunk_range, find_values
from spfem_data.random_access import MediaReader
from spfem_data.reader import Shards
from tests.builders.shards import write_pairs

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def stored(path: Path, values: list[bytes | None], **options: object) -> pq.FileMetaData:
    rows = [None if v is None else {"bytes": v, "path": "p"} for v in values]
    table = pa.table({"x": pa.array(rows, STRUCT)})
    settings = {"compression": "none", "use_dictionary": False, "write_batch_size": 8}
    pq.write_table(table, path, **{**settings, **options})
    return pq.read_metadata(path)


def scanned(path: Path, footer: pq.FileMetaData, group: int = 0) -> list[bytes | None]:
    data, rows = path.read_bytes(), footer.row_group(group)
    first, size = chunk_range(rows.column(0))
    levels = footer.schema.column(0).max_definition_level
    spans = find_values(data[first : first + size], first, rows.num_rows, levels)
    return [
        None if n < 0 else data[at : at + n]
        for at, n in zip(spans.offsets.tolist(), spans.sizes.tolist(), strict=True)
    ]


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=70),
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from([64, 1 << 20]),
    st.booleans(),
)
def test_the_scan_finds_what_arrow_reads(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[bytes | None],
    version: str,
    page_bytes: int,
    statistics: bool,
) -> None:
    path = tmp_path_factory.mktemp("pages") / "x.parquet"
    footer = stored(
        path, values, data_page_version=version, data_page_size=page_bytes,
        write_statistics=statistics,
    )  # fmt: skip
    read = pq.read_table(path)["x"].to_pylist()
    assert scanned(path, footer) == [v and v["bytes"] for v in read] == values


def test_every_row_group_has_its_own_pages(tmp_path: Path) -> None:
    values = [bytes([k]) * (k + 1) for k in range(50)]
    footer = stored(tmp_path / "x.parquet", values, row_group_size=20)
    groups = [scanned(tmp_path / "x.parquet", footer, group) for group in range(3)]
    assert groups == [values[:20], values[20:40], values[40:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "zstd"}, "x.bytes is ZSTD"),
        ({"use_dictionary": True}, "x.bytes is UNCOMPRESSED"),
    ],
)
def test_other_encodings_are_reported(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    footer = stored(tmp_path / "x.parquet", [b"a", b"b"], **options)
    with pytest.raises(NotPlain, match=message):
        scanned(tmp_path / "x.parquet", footer)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"use_dictionary": True}])
def test_columns_of_other_writers_are_read(tmp_path: Path, options: dict[str, object]) -> None:
    write_pairs(tmp_path, ["happy"])
    plain = Shards(tmp_path, "pairs", "train")
    chosen = plain.select([("frame_a", "in", [3, 7])])
    wanted = MediaReader(plain).read("target", chosen)
    for path in plain.files:
        pq.write_table(pq.read_table(path), path, row_group_size=11, **options)
    again = Shards(tmp_path, "pairs", "train")
    assert MediaReader(again).read("target", again.select([("frame_a", "in", [3, 7])])) == wanted
    assert len(wanted) == 18
    assert all(value.startswith(b"\xff\xd8") for value in wanted)


def test_a_short_file_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"], files=1)
    shards = Shards(tmp_path, "pairs", "train")
    chosen, reader = shards.select(), MediaReader(shards)
    reader.read("target", chosen[np.array([100])])
    with shards.files[0].open("r+b") as file:
        file.truncate(4000)
    with pytest.raises(TableError, match=r"target of row 0 in row group 10 extends past the end"):
        reader.read("target", chosen[np.array([100])])


def test_wrong_histograms_are_refused_before_arrow_reads_them(tmp_path: Path) -> None:
    schema = pa.schema([("v", pa.int64()), ("many", pa.list_(pa.struct([("x", pa.string())])))])
    path = tmp_path / "a.parquet"
    table = pa.table({"v": [1, None], "many": [[{"x": "a"}, None], None]}, schema)
    pq.write_table(table, path, row_group_size=1)
    check_histograms(path)
    optional, required = b"\x25\x02\x18\x01v", b"\x25\x00\x18\x01v"  # of the column v
    raw = path.read_bytes()
    assert raw.count(optional) == 1
    path.write_bytes(raw.replace(optional, required))
    with pytest.raises(NotPlain, match="a histogram of 2 levels, expected 1"):
        check_histograms(path)
    path.write_bytes(raw[: len(raw) // 2])
    check_histograms(path)  # left to Arrow, which reports it
