"""Manifests: rows that become takes, and invalid rows and files."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import custom, manifest
from pipeline.errors import PipelineError
from pipeline.records import check_id

HEADER = "path,speaker,emotion,sentence"
Maker = Callable[..., Path]


@pytest.fixture
def make_manifest(make_tree: Any) -> Maker:
    """A manifest of lines beside files a.mp4, b.mp4, c.wav and clips/a.mp4."""

    def make(*lines: str, encoding: str = "utf-8", name: str = "takes.csv") -> Path:
        root: Path = make_tree(["a.mp4", "b.mp4", "c.wav", "clips/a.mp4"])
        (root / name).write_bytes("\n".join(lines).encode(encoding))
        return root / name

    return make


def test_a_row_is_a_take(takes_of: Any, make_manifest: Maker) -> None:
    listing = takes_of("custom", make_manifest(HEADER, "clips/a.mp4,anna,Joy,Hello  there"))
    (take,) = listing.takes
    assert take.take_id == "anna_happy_1_front_a"
    assert take.utterance_id == "anna_happy_1_a"
    assert (take.speaker, take.emotion, take.level) == ("anna", "happy", 1)
    assert (take.view, take.take) == ("front", "a")
    assert (take.sentence, take.sentence_source) == ("Hello there", "manifest")
    assert (take.video_path, take.audio_path) == ("clips/a.mp4", None)
    assert listing.rejected == ()


def test_optional_columns(takes_of: Any, make_manifest: Maker) -> None:
    path = make_manifest(
        f"{HEADER},level,view,take,audio", "a.mp4,anna,sad,Hi,3,left_30,take 7,c.wav"
    )
    (take,) = takes_of("custom", path).takes
    assert take.take_id == "anna_sad_3_left%5F30_take%207"
    assert (take.level, take.view, take.take) == (3, "left_30", "take%207")
    assert (take.video_path, take.audio_path) == ("a.mp4", "c.wav")


def test_audio_alone(takes_of: Any, make_manifest: Maker) -> None:
    (take,) = takes_of("custom", make_manifest(HEADER, "c.wav,anna,sad,Hi")).takes
    assert (take.view, take.video_path, take.audio_path) == ("none", None, "c.wav")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_dialects(takes_of: Any, make_manifest: Maker, delimiter: str, encoding: str) -> None:
    lines = ["Path,SPEAKER,Emotion , sentence", '"a.mp4",Zoë,sad,"so, \'quoted\'; ""yes"""', ""]
    text = "\r\n".join(lines)
    if delimiter != ",":
        rows = list(csv.reader(io.StringIO(text)))
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter).writerows(rows)
        text = buffer.getvalue()
    (take,) = takes_of("custom", make_manifest(text, encoding=encoding)).takes
    assert take.speaker == "Zo%C3%AB"
    assert take.sentence == "so, 'quoted'; \"yes\""


def test_parquet(takes_of: Any, make_manifest: Maker) -> None:
    path = make_manifest(HEADER).with_suffix(".parquet")
    table = pa.table(
        {
            "Path": ["a.mp4", "b.mp4", None],
            "speaker": pa.array(["anna"] * 3).dictionary_encode(),
            "emotion": ["sad", "happy", "sad"],
            "sentence": ["Hi", "Hi", "Hi"],
            "level": [2, None, 1],
            "take": [7, 8, 9],
        }
    )
    pq.write_table(table, path)
    listing = takes_of("custom", path)
    assert [t.take_id for t in listing.takes] == ["anna_happy_1_front_8", "anna_sad_2_front_7"]
    assert [(r.item, r.reason) for r in listing.rejected] == [("row 4", "bad_row")]


def test_levels_of_floating_point_are_whole(takes_of: Any, make_manifest: Maker) -> None:
    path = make_manifest(HEADER).with_suffix(".parquet")
    columns = {"path": ["a.mp4", "b.mp4"], "speaker": ["a"] * 2, "emotion": ["sad"] * 2}
    pq.write_table(pa.table({**columns, "sentence": ["x"] * 2, "level": [2.0, 2.5]}), path)
    listing = takes_of("custom", path)
    assert [take.level for take in listing.takes] == [2]
    assert [row.reason for row in listing.rejected] == ["bad_row"]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("a.mp4,anna,angryy,Hi", "bad_row", "'angryy' is not known; did you mean angry"),
        (f"a.mp4,anna,sad,{'x' * 1001}", "bad_row", "a sentence of 1001 characters"),
        ("a.mp4, ,sad,Hi", "bad_row", "the cell of speaker is empty"),
        (",anna,sad,Hi", "bad_row", "the cell of path is empty"),
        ("a\0.mp4,anna,sad,Hi", "bad_row", "zero byte"),
        ("a.mp4,anna,sad", "bad_row", "it has 3 cells, the header 4"),
        ("a.mp4,anna,sad,Hi,,", "bad_row", "it has 6 cells, the header 4"),
        ("gone.mp4,anna,sad,Hi", "missing_file", "'gone.mp4' does not exist"),
        ("clips\\a.mp4,anna,sad,Hi", "missing_file", "write / between folders"),
        (f"{'x' * 300}.mp4,anna,sad,Hi", "missing_file", "does not exist"),
        ("clips,anna,sad,Hi", "unreadable", "is not a regular file"),
        (".,anna,sad,Hi", "unreadable", "is not a regular file"),
        ("/etc/passwd,anna,sad,Hi", "outside_root", "'/etc/passwd' is absolute"),
        ("C:\\a.mp4,anna,sad,Hi", "outside_root", "is absolute"),
        ("\\\\host\\a.mp4,anna,sad,Hi", "outside_root", "is absolute"),
        ("../corpus/a.mp4,anna,sad,Hi", "outside_root", "leaves the manifest's folder"),
        ("clips/../../x,anna,sad,Hi", "outside_root", "leaves the manifest's folder"),
    ],
)
def test_bad_rows(takes_of: Any, make_manifest: Maker, row: str, reason: str, detail: str) -> None:
    listing = takes_of("custom", make_manifest(HEADER, "", row, "b.mp4,anna,sad,Hi"))
    assert len(listing.takes) == 1
    (reject,) = listing.rejected
    assert (reject.item, reject.reason) == ("row 3", reason)
    assert detail in reject.detail


@pytest.mark.parametrize("level", ["high", "-1", "100", "1.5", "²", "1e0"])
def test_bad_levels(takes_of: Any, make_manifest: Maker, level: str, reasons: Any) -> None:
    path = make_manifest(f"{HEADER},level", f"a.mp4,anna,sad,Hi,{level}", "b.mp4,anna,sad,Hi,02")
    listing = takes_of("custom", path)
    assert [take.level for take in listing.takes] == [2]
    assert reasons(listing) == {"row 2": "bad_row"}


@pytest.mark.parametrize(
    ("audio", "reason"),
    [("../c.wav", "outside_root"), ("gone.wav", "missing_file"), ("c.wav", "bad_row")],
)
def test_bad_recordings(
    takes_of: Any, make_manifest: Maker, reasons: Any, audio: str, reason: str
) -> None:
    path = "c.wav" if reason == "bad_row" else "a.mp4"
    listing = takes_of("custom", make_manifest(f"{HEADER},audio", f"{path},anna,sad,Hi,{audio}"))
    assert reasons(listing) == {"row 2": reason}


def test_dots_inside_the_folder_are_cleaned(takes_of: Any, make_manifest: Maker) -> None:
    (take,) = takes_of("custom", make_manifest(HEADER, "./clips/../a.mp4,anna,sad,Hi")).takes
    assert take.video_path == "a.mp4"


def test_a_pipe_is_refused(takes_of: Any, make_manifest: Maker, reasons: Any) -> None:
    path = make_manifest(HEADER, "pipe.mp4,anna,sad,Hi")
    os.mkfifo(path.parent / "pipe.mp4")
    assert reasons(takes_of("custom", path)) == {"row 2": "unreadable"}


def test_doubles(takes_of: Any, make_manifest: Maker, reasons: Any) -> None:
    listing = takes_of(
        "custom",
        make_manifest(
            f"{HEADER},take", "a.mp4,anna,sad,Hi,1", "clips/a.mp4,anna,sad,Ho,1",
            "./a.mp4,anna,happy,Hi,1", "clips/a.mp4,anna,sad,Hi,1", "b.mp4,ANNA,sad,Hi,1",
        ),
    )  # fmt: skip
    assert [take.video_path for take in listing.takes] == ["a.mp4"]
    assert reasons(listing) == {
        "row 3": "bad_row",
        "row 4": "duplicate_take",
        "row 5": "duplicate_take",
        "row 6": "duplicate_take",
    }
    details = [row.detail for row in listing.rejected]
    assert "row 2 gives another sentence" in details[0]
    assert "a.mp4 is the file of row 2" in details[1]
    assert "anna_sad_1_front_1 is a.mp4 already" in details[2]
    assert "ANNA and anna differ in case only" in details[3]


def test_equal_file_names_in_two_folders_are_two_takes(takes_of: Any, make_manifest: Maker) -> None:
    rows = [
        "a.mp4,anna,sad,Hi",
        "clips/a.mp4,anna,sad,Ho",
        "clips/a.mp4,anna,happy,Hi",
        "b.mp4,anna,sad,Hi",
    ]
    listing = takes_of("custom", make_manifest(HEADER, *rows))
    assert {take.take_id: take.video_path for take in listing.takes} == {
        "anna_sad_1_front_a": "a.mp4",
        "anna_sad_1_front_clips-a": "clips/a.mp4",
        "anna_sad_1_front_b": "b.mp4",
    }
    assert [row.reason for row in listing.rejected] == ["duplicate_take"]  # one file, two emotions


def test_an_empty_sentence_is_left_to_the_audio(takes_of: Any, make_manifest: Maker) -> None:
    (take,) = takes_of("custom", make_manifest(HEADER, "a.mp4,anna,sad,")).takes
    assert (take.sentence, take.sentence_source) == (None, None)


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_the_separator_line_of_excel_is_skipped(
    takes_of: Any, make_manifest: Maker, line: str
) -> None:
    rows = [HEADER.replace(",", ";"), "a.mp4;anna;sad;Hi, there"]
    (take,) = takes_of("custom", make_manifest(line, *rows)).takes
    assert take.sentence == "Hi, there"


def test_a_path_that_differs_in_case_gets_a_suggestion(takes_of: Any, make_manifest: Maker) -> None:
    listing = takes_of(
        "custom", make_manifest(HEADER, "Clips/A.MP4,anna,sad,Hi", "b.mp4,anna,sad,Hi")
    )
    (row,) = listing.rejected
    assert row.reason == "missing_file"
    assert row.detail.endswith("does not exist; did you mean 'clips/a.mp4'?")


def test_views_of_one_utterance(takes_of: Any, make_manifest: Maker) -> None:
    rows = ["a.mp4,anna,sad,Hi,front,1,c.wav", "b.mp4,anna,sad,Hi,side,1,c.wav"]
    takes = takes_of("custom", make_manifest(f"{HEADER},view,take,audio", *rows)).takes
    assert {take.utterance_id for take in takes} == {"anna_sad_1_1"}
    assert {take.view for take in takes} == {"front", "side"}


def test_normal_forms_are_one_speaker(takes_of: Any, make_manifest: Maker) -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    rows = [f"a.mp4,{unicodedata.normalize('NFC', 'Zoë')},sad,Hi", f"b.mp4,{decomposed},sad,Hi"]
    takes = takes_of("custom", make_manifest(HEADER, *rows)).takes
    assert len({take.speaker for take in takes}) == 1
    chosen = takes_of("custom", make_manifest(HEADER, *rows), speakers=["Zoë"])
    assert len(chosen.takes) == 2


def test_selection_drops_the_rejects_of_others(
    takes_of: Any, make_manifest: Maker, reasons: Any
) -> None:
    rows = ["a.mp4,anna,sad,Hi", "gone.mp4,anna,sad,Hi", "b.mp4,bert,sad,Hi", "x.mp4,bert,sad,Hi"]
    path = make_manifest(HEADER, *rows)
    assert reasons(takes_of("custom", path, speakers=["bert"])) == {"row 5": "missing_file"}


def test_holes(takes_of: Any, make_manifest: Maker, holes: Any) -> None:
    rows = ["a.mp4,anna,sad,Hi,x", "b.mp4,anna,happy,Hi,x", "clips/a.mp4,bert,sad,Hi,x"]
    found = holes(takes_of("custom", make_manifest(f"{HEADER},levle", *rows)))
    assert found["no_emotion", "bert", ""][1] == "happy"
    assert found["unknown_column", "", ""] == (1, "levle")
    assert not any(kind == "gap" for kind, _, _ in found)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,speaker,emotoin,sentence"], r"lacks the column 'emotion'; .*is 'emotoin' meant"),
        (["path,speaker"], r"lacks the column 'emotion'; it has: path, speaker$"),
        ([""], r"lacks the column 'path'; it has: none"),
        ([f"{HEADER},path"], r"two columns 'path'"),
        ([HEADER, '"a.mp4,anna,sad,Hi'], r"takes.csv, line \d: .*is a quote left open"),
        ([HEADER, f"a.mp4,anna,sad,{'x' * 200_000}"], r"field larger than field limit"),
        ([HEADER], r"holds no take of custom; expected: rows"),
    ],
)
def test_a_manifest_that_cannot_be_used(
    takes_of: Any, make_manifest: Maker, lines: list[str], message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        takes_of("custom", make_manifest(*lines))


def test_a_manifest_in_another_encoding(takes_of: Any, make_manifest: Maker) -> None:
    path = make_manifest(HEADER, "a.mp4,Zoë,sad,Hi", encoding="latin-1")
    with pytest.raises(PipelineError, match="not UTF-8 at byte 38; save it as UTF-8"):
        takes_of("custom", path)


def test_a_manifest_must_be_a_file(takes_of: Any, make_manifest: Maker) -> None:
    with pytest.raises(PipelineError, match=r"must be the manifest; .* is a folder"):
        takes_of("custom", make_manifest(HEADER).parent)


def test_bounds(takes_of: Any, make_manifest: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_manifest(HEADER, *["a.mp4,anna,sad,Hi"] * 3)
    table = pa.table({name: ["x"] * 3 for name in manifest.REQUIRED})
    pq.write_table(table, path.with_suffix(".parquet"))
    monkeypatch.setattr(manifest, "MAX_ROWS", 2)
    with pytest.raises(PipelineError, match="more than 2 rows"):
        takes_of("custom", path)
    with pytest.raises(PipelineError, match="has 3 rows"):
        takes_of("custom", path.with_suffix(".parquet"))
    monkeypatch.setattr(manifest, "MAX_BYTES", 10)
    with pytest.raises(PipelineError, match="a manifest has at most 10"):
        takes_of("custom", path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_parquet_that_is_none(takes_of: Any, make_manifest: Maker, content: bytes) -> None:
    path = make_manifest(HEADER).with_suffix(".parquet")
    path.write_bytes(content)
    with pytest.raises(PipelineError, match="no readable Parquet file"):
        takes_of("custom", path)


def test_parquet_of_other_types(takes_of: Any, make_manifest: Maker) -> None:
    path = make_manifest(HEADER).with_suffix(".parquet")
    columns: dict[str, Any] = {name: ["x"] for name in manifest.REQUIRED}
    pq.write_table(pa.table({**columns, "level": [[1]]}), path)
    with pytest.raises(PipelineError, match="column 'level' is list"):
        takes_of("custom", path)


_PARQUET = pa.BufferOutputStream()
pq.write_table(pa.table({name: ["gone.mp4"] * 20 for name in manifest.REQUIRED}), _PARQUET)
_RAW = _PARQUET.getvalue().to_pybytes()


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(_RAW) - 1), st.integers(0, 255)), max_size=4),
    st.none() | st.integers(0, len(_RAW)),
)
def test_damaged_parquet(make_tree: Any, flips: list[tuple[int, int]], cut: int | None) -> None:
    raw = bytearray(_RAW)
    for place, value in flips:
        raw[place] = value
    path = make_tree([]) / "m.parquet"
    path.write_bytes(raw[:cut])
    with contextlib.suppress(PipelineError):
        assert custom.draft("set", path).takes == []


_CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["a.mp4", "b.mp4", "c.wav", "sad", "joy", "=cmd()", "<script>", "../x", "-", "1"]
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(st.lists(_CELL, min_size=8, max_size=8), min_size=1, max_size=6))
def test_every_row_is_a_take_or_a_reject(make_tree: Any, rows: list[list[str]]) -> None:
    root = make_tree(["a.mp4", "b.mp4", "c.wav"])
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([*manifest.REQUIRED, *manifest.OPTIONAL])
    writer.writerows(rows)
    (root / "m.csv").write_bytes(buffer.getvalue().encode())
    draft = custom.draft("set", root / "m.csv")
    listing = draft.listing(_ALL)
    blank = sum(not any(cell.strip() for cell in row) for row in rows)
    assert len(listing.takes) + len(listing.rejected) == len(rows) - blank
    for take in listing.takes:
        for name in (take.take_id, take.utterance_id, take.speaker, take.view, take.take):
            check_id(name, "id")
        path = root / (take.video_path or take.audio_path or "")
        assert path.resolve().is_relative_to(root.resolve())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest(make_tree: Any, raw: bytes) -> None:
    root = make_tree([])
    (root / "m.csv").write_bytes(b"path,speaker,emotion,sentence\n" + raw)
    with contextlib.suppress(PipelineError):
        assert custom.draft("set", root / "m.csv").takes == []


def _all() -> Any:
    from pipeline.params import Select

    return Select(speakers=[], emotions=[], levels=[], views=[])


_ALL = _all()
