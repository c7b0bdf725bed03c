"""Whatever is wrong with shards is a row that says so, and never a traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.tools.inspect.verify import Verdict, verify
from tests.builders.finished_shards import (
    PAIRS,
    TAKES,
    WINDOWS,
    change_manifest,
    change_rows,
    manifest,
    said,
    seal,
)

Spoil = Callable[[Path], object]


def told(verdict: Verdict) -> list[str]:
    return [f"{f.check} | {f.where} | {f.what}" for f in verdict.findings]


def only(folder: Path) -> str:
    """The one finding."""
    (line,) = told(verify(folder))
    return line


def test_what_the_stage_built_is_audio(built: Path) -> None:
    verdict = verify(built)
    assert told(verdict) == []
    counts = f"{verdict.files} files, {verdict.rows} rows, {verdict.images} images and"
    assert said(built).startswith(counts)
    assert (verdict.recordings, verdict.notes) == (6, [])
    assert verdict.images >= 2 * 36


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "data/pairs/.nfs000012", "._a"])
def test_system_files_are_a_note(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    verdict = verify(folder)
    assert verdict.ok
    assert verdict.notes == [f"ignored system files: {name}"]


@pytest.mark.parametrize("name", [PAIRS, "README.md", "manifest.json"])
def test_git_lfs_pointers_are_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    findings = [f for f in verify(folder).findings if f.where == name]
    assert [f.what for f in findings] == [
        "is a Git LFS pointer, not the file itself; run: git lfs pull"
    ]


def test_fast_decodes_the_ends_of_row_groups(folder: Path) -> None:
    verdict = verify(folder, fast=True)
    groups = sum(pq.read_metadata(path).num_row_groups for path in folder.glob("data/*/*.parquet"))
    assert verdict.ok
    assert 0 < verdict.images <= 2 * 2 * groups
    assert verdict.images < verify(folder).images


def cut(folder: Path) -> None:
    content = (folder / PAIRS).read_bytes()
    (folder / PAIRS).write_bytes(content[: len(content) // 2])


def flip(folder: Path, at: float = 0.5) -> None:
    content = bytearray((folder / PAIRS).read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    (folder / PAIRS).write_bytes(content)


def as_folder(folder: Path) -> None:
    (folder / PAIRS).unlink()
    (folder / PAIRS).mkdir()


def as_pipe(folder: Path) -> None:
    (folder / PAIRS).unlink()
    os.mkfifo(folder / PAIRS)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, f"files | {PAIRS} | "),
        (flip, f"checksum | {PAIRS} | its SHA-256 differs from the manifest: damaged"),
        (lambda f: (f / PAIRS).unlink(), f"files | {PAIRS} | is missing"),
        (as_folder, f"files | {PAIRS} | is not a file"),
        (as_pipe, f"files | {PAIRS} | is not a file"),
    ],
)
def test_damaged_file_is_one_row(folder: Path, spoil: Spoil, says: str) -> None:
    spoil(folder)
    verdict = verify(folder)
    line = told(verdict)[0]
    assert line.startswith(says)
    # A pipe or an empty folder of that name is nobody's file, but nothing else may be found.
    assert [other for other in told(verdict)[1:] if PAIRS not in other] == []
    assert "references to pairs were not checked" in verdict.notes[0]


def test_cut_file_says_its_length(folder: Path) -> None:
    size = (folder / PAIRS).stat().st_size
    cut(folder)
    assert f"{size // 2} bytes, the manifest says {size}: truncated or replaced" in only(folder)


@pytest.mark.parametrize("name", ["data/pairs/extra.parquet", "note.txt", "protocols/own.csv"])
def test_what_is_in_no_list_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    assert only(folder) == f"files | {name} | is not listed in the manifest"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m["files"][PAIRS].update(rows=7), "7"),
        (lambda m: m["rows"]["pairs"].update(train=99), "rows of pairs: {'"),
        (lambda m: m.update(schema_version=99), "schema version 99; this package reads 1"),
        (lambda m: m.update(split={"unit": "camera"}), "split.unit: 'camera', expected one of"),
        (lambda m: m.update(files="all"), "files: expected an object of files"),
        (lambda m: m.pop("documents"), "documents: expected an object of files"),
        (lambda m: m["files"][PAIRS].update(sha256="0" * 63), "are missing or invalid"),
        (lambda m: m["files"][PAIRS].update(bytes=-1), "are missing or invalid"),
        (lambda m: m["files"][PAIRS].update(bytes=True), "are missing or invalid"),
        (lambda m: m["files"].update({PAIRS: 3}), "are missing or invalid"),
        (lambda m: m["files"].pop(PAIRS), "file numbers are missing"),
        (lambda m: m.update(dataset=["demo"]), "dataset: ['demo'] is not text"),
        (lambda m: m.update(dataset="other"), "dataset is 'made' in files of 'other'"),
        (lambda m: m["documents"].pop("protocols/intra_id.csv"), "is not listed"),
    ],
)
def test_lying_manifest_is_found_out(folder: Path, change: Callable, says: str) -> None:
    change_manifest(folder, change)
    assert any(says in line for line in told(verify(folder)))


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "data/pairs/../../../x.parquet",
        "data/pairs/train-00000-of-00002.parquet\n",
        "data/pairs/\x1b[2Jtrain-00000-of-00002.parquet",
        "data/faces/train-00000-of-00001.parquet",
        "",
        "x" * 100_000,
    ],
)
def test_hostile_path_is_never_opened(folder: Path, path: str) -> None:
    facts = {"sha256": "0" * 64, "bytes": 1, "rows": 0}
    change_manifest(folder, lambda m: m["files"].update({path: facts}))
    line = only(folder)
    assert line.startswith("manifest | manifest.json | files: ")
    assert line.endswith("is not opened") or line.endswith("...")
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[]", "is not a JSON object"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"schema_version": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b"{}", "schema version None"),
    ],
)
def test_manifest_that_is_none_is_told(folder: Path, content: bytes, says: str) -> None:
    (folder / "manifest.json").write_bytes(content)
    assert says in told(verify(folder))[0]


def test_folder_of_something_else(tmp_path: Path) -> None:
    assert "this is not a shards folder" in only(tmp_path)
    assert "this is not a shards folder" in only(tmp_path / "absent")


def test_image_that_does_not_decode(folder: Path) -> None:
    def change(rows: list[dict]) -> None:
        rows[3]["source"]["bytes"] = rows[3]["source"]["bytes"][:500]
        rows[4]["source"]["bytes"] = b"no image"
        rows[4]["target"] = None

    change_rows(folder, PAIRS, change)
    lines = told(verify(folder))
    assert lines[0].startswith(
        f"media | {PAIRS} | 2 of column source do not decode; the first in row 3: "
    )
    assert lines[1].startswith(f"media | {PAIRS} | 1 of column target do not decode; the first")
    assert len(lines) == 2


def test_images_of_two_sizes(folder: Path) -> None:
    import numpy as np
    import simplejpeg

    small = simplejpeg.encode_jpeg(np.zeros((64, 32, 3), np.uint8))
    change_rows(folder, PAIRS, lambda rows: rows[0]["source"].update(bytes=small))
    assert only(folder) == "media | pairs | images of 2 sizes: 32 x 64, 128 x 128"


@pytest.mark.parametrize("audio", [b"", b"fLaC" + bytes(60), b"RIFF" * 20])
def test_audio_that_is_none(folder: Path, audio: bytes) -> None:
    change_rows(folder, TAKES, lambda rows: rows[1]["audio"].update(bytes=audio))
    assert only(folder).startswith(f"media | {TAKES} | 1 of column audio do not decode; the first")


def test_audio_cut_short(folder: Path) -> None:
    def change(rows: list[dict]) -> None:
        rows[0]["audio"]["bytes"] = rows[0]["audio"]["bytes"][:-3000]

    change_rows(folder, TAKES, change)
    assert only(folder).startswith(f"media | {TAKES} | 1 of column audio do not decode")


def test_sealed_garbage_is_no_parquet(folder: Path) -> None:
    flip(folder, 1.0 - 1e-9)
    seal(folder)
    assert only(folder).startswith(f"schema | {PAIRS} | is not a readable Parquet file")


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_sealed_damage_anywhere_never_raises(folder: Path, at: float) -> None:
    flip(folder, at)
    seal(folder)
    assert verify(folder).files == len(manifest(folder)["files"]) + 4


def test_columns_that_are_not_the_schemas(folder: Path) -> None:
    table = pq.read_table(folder / PAIRS, partitioning=None)
    table = table.drop_columns(["slope"]).append_column("mood", table["speaker"])
    pq.write_table(table, folder / PAIRS)
    seal(folder)
    assert told(verify(folder)) == [
        f"schema | {PAIRS} | lacks slope",
        f"schema | {PAIRS} | has beyond its schema mood",
    ]


def test_other_schema_version(folder: Path) -> None:
    table = pq.read_table(folder / TAKES, partitioning=None)
    table = table.replace_schema_metadata({b"spfem_data.schema_version": b"7"})
    pq.write_table(table, folder / TAKES)
    seal(folder)
    assert only(folder) == f"schema | {TAKES} | schema version 7; this package reads 1"


def test_window_that_points_elsewhere(folder: Path) -> None:
    def change(rows: list[dict]) -> None:
        rows[0]["rows"] = [row + 1 for row in rows[0]["rows"]]
        rows[1]["rows"] = [10**9] * 4
        rows[2]["file"] = "data/pairs/../secret.parquet"

    change_rows(folder, WINDOWS, change)
    assert only(folder) == (
        f"references | {WINDOWS} | 3 rows (the first: 0): `file` and `rows` do not point to the "
        "rows of pairs in `sample_ids`"
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("take_b", "nobody", "1 rows (the first: 2): take_b 'nobody' is not in takes"),
        ("frame_a", 99, "frame_a 99 is not a frame of 'S1_neutral'"),
        ("split", "test", "split is 'test' in files of 'train'"),
        ("dataset", "other", "dataset is 'other' in files of 'made'"),
    ],
)
def test_row_that_points_nowhere(folder: Path, name: str, value: object, says: str) -> None:
    change_rows(folder, PAIRS, lambda rows: rows[2].update({name: value}))
    assert any(line.startswith("references") and says in line for line in told(verify(folder)))


def test_row_that_stands_twice(folder: Path) -> None:
    change_rows(folder, PAIRS, lambda rows: rows.append(rows[0]))
    assert any("1 values of sample_id are not unique" in line for line in told(verify(folder)))


def test_speaker_in_two_splits_is_named(folder: Path) -> None:
    def change(rows: list[dict]) -> None:
        for row in rows:
            row["speaker"] = "S2"

    for path in sorted(folder.glob("data/*/train-*.parquet")):
        change_rows(folder, path.relative_to(folder).as_posix(), change)
    leaks = [line for line in told(verify(folder)) if line.startswith("leakage")]
    assert leaks == [
        "leakage | unit speaker | 1 speaker is in more than one split: S2 (test, train)"
    ]


def test_sentences_in_two_splits_are_named_where_they_are_the_unit(folder: Path) -> None:
    change_manifest(folder, lambda m: m["split"].update(unit="sentence"))
    assert only(folder) == (
        "leakage | unit sentence | 1 sentence is in more than one split: s1 (test, train)"
    )
    change_manifest(folder, lambda m: m["split"].update(unit="take"))
    assert verify(folder).ok


def trial(folder: Path, **changes: str) -> None:
    """One trial in the list of intra-ID, changed."""
    values = {
        "trial_id": "t", "emotion": "happy", "source_speaker": "S2", "source_take": "S2_neutral",
        "source_emotion": "neutral", "first_frame": "0", "last_frame": "13",
        "reference_speaker": "S2", "reference_take": "S2_happy", "target_take": "",
        "same_sentence": "true",
    } | changes  # fmt: skip
    path = folder / "protocols" / "intra_id.csv"
    path.write_text(f"{','.join(values)}\n{','.join(values.values())}\n", encoding="utf-8")
    seal(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source_take": "nobody"}, "line 2 | 'nobody' is not in takes"),
        ({"last_frame": "14"}, "line 2 | frame 14 is not a frame of 'S2_neutral'"),
        ({"reference_take": "S1_happy"}, "line 2 | its takes are of the splits test, train"),
        ({"reference_take": "S2_angry"}, "line 2 | the reference is angry and not happy"),
        ({"last_frame": "x"}, "not a trial"),
    ],
)
def test_trial_that_cannot_be(folder: Path, changes: dict[str, str], says: str) -> None:
    trial(folder)
    assert verify(folder).ok
    trial(folder, **changes)
    assert says in only(folder)


def test_command_shows_a_table_and_fails(call, folder: Path) -> None:
    code, out, _ = call("verify", folder)
    assert (code, out) == (0, f"{said(folder)}\n")
    (folder / PAIRS).unlink()
    code, out, err = call("verify", folder)
    assert code == 1
    assert f"files  {PAIRS}  is missing" in out
    assert "Traceback" not in err


def test_command_for_machines(call, folder: Path) -> None:
    cut(folder)
    code, out, _ = call("verify", folder, "--json", "--fast")
    value = json.loads(out)
    assert code == 1
    assert (value["ok"], value["findings"][0]["where"]) == (False, PAIRS)


def test_text_that_is_no_text_is_a_row(folder: Path) -> None:
    table = pq.read_table(folder / WINDOWS, partitioning=None)
    plain = folder / WINDOWS
    pq.write_table(table, plain, compression="none", use_dictionary=False)
    content = plain.read_bytes()
    plain.write_bytes(
        content.replace(b"S1_neutral+angry/000000-", b"\xff\xfe_neutral+angry/000000-")
    )
    seal(folder)
    assert only(folder).startswith("references | its files | cannot be read: ")
