"""Members of archives read in place, and malicious archives."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import archives, tarindex, zipindex
from pipeline.corpora.archives import Member, index_of, open_source, source_sha256
from pipeline.corpora.tarindex import TarDamage, read_headers
from pipeline.digests import sha256_of
from pipeline.errors import Reject
from pipeline.records import Source
from pipeline.runtime.store import FileHashes

CLIP = "Actor_01/01-01-05-02-02-01-01.mp4"
MEAD_CLIP = "video/front/angry/level_3/016.mp4"


def read(root: Path, source: Source, max_bytes: int = 1 << 20) -> bytes:
    """The bytes of a source, whatever its form."""
    with open_source(root, source, max_bytes) as opened:
        return Path(opened).read_bytes() if isinstance(opened, str) else opened.read()


def member(path: Path, name: str) -> tuple[archives.Index, Member]:
    """The index of an archive and one of its members."""
    index = index_of(path)
    return index, index.members[name]


def problem(path: Path, name: str) -> str | None:
    """The slug that is known of a member before it is opened."""
    index, found = member(path, name)
    known = index.problem(found)
    return None if known is None else known[0]


def test_a_plain_file_is_given_as_its_path(make_tree: Any) -> None:
    root = make_tree(["a/b.mp4"])
    with open_source(root, Source("a/b.mp4"), 100) as opened:
        assert opened == str(root / "a/b.mp4")
    with open_source(root / "a/b.mp4", Source("b.mp4"), 100) as opened:
        assert opened == str(root / "a/b.mp4")


def test_a_member_of_a_tar_is_a_window(make_tar: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    path = make_tar(tmp_path / "a.tar", {"x": b"before", MEAD_CLIP: content, "y": b"after"})
    before = sha256_of(path)
    with open_source(tmp_path, Source("a.tar", MEAD_CLIP), 1 << 20) as stream:
        assert not isinstance(stream, str)
        assert stream.read(10) == content[:10]
        assert stream.seek(-6, io.SEEK_END) == len(content) - 6
        assert stream.read() == content[-6:]
        assert stream.read(1) == b""
        assert stream.seek(len(content) + 99) == len(content) + 99
        assert stream.read(5) == b""
        stream.seek(1000)
        stream.seek(-500, io.SEEK_CUR)
        assert stream.read(3) == content[500:503]
        assert not stream.writable()
        with pytest.raises(ValueError, match="before the start"):
            stream.seek(-1, io.SEEK_SET)
    assert sha256_of(path) == before
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_is_unpacked_into_memory(
    make_zip: Any, tmp_path: Path, method: int
) -> None:
    content = b"audio" * 1000
    make_zip(tmp_path / "a.zip", {"x": b"1", CLIP: content}, method)
    assert read(tmp_path, Source("a.zip", CLIP)) == content
    assert os.listdir(tmp_path) == ["a.zip"]


def test_hashes_are_of_content(
    make_tree: Any, make_tar: Any, make_zip: Any, tmp_path: Path
) -> None:
    hashes, content = FileHashes(tmp_path / "memory.json"), b"the same bytes"
    root = make_tree([])
    (root / "a.mp4").write_bytes(content)
    make_tar(root / "a.tar", {"pad": b"x" * 700, "a.mp4": content, "b.mp4": b"other"})
    make_zip(root / "s.zip", {"pad": b"x", "a.mp4": content}, zipfile.ZIP_STORED)
    make_zip(root / "d.zip", {"a.mp4": content, "b.mp4": b"other" * 99})
    plain = sha256_of(root / "a.mp4")
    assert source_sha256(hashes, root, Source("a.mp4")) == plain
    assert source_sha256(hashes, root, Source("a.tar", "a.mp4")) == plain
    assert source_sha256(hashes, root, Source("s.zip", "a.mp4")) == plain
    sources = [Source("a.tar", "b.mp4"), Source("d.zip", "a.mp4"), Source("d.zip", "b.mp4")]
    others = {source_sha256(hashes, root, source) for source in sources}
    assert len(others | {plain}) == 4
    with pytest.raises(Reject, match=r"missing_file: gone\.mp4"):
        source_sha256(hashes, root, Source("gone.mp4"))


def test_an_archive_that_changes_is_read_anew(make_tar: Any, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"a.mp4": b"first"})
    assert read(tmp_path, Source("a.tar", "a.mp4")) == b"first"
    make_tar(path, {"pad": b"x" * 9000, "a.mp4": b"second!"})
    assert read(tmp_path, Source("a.tar", "a.mp4")) == b"second!"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source("gone.mp4"), "missing_file"),
        (Source("gone.tar", "a"), "missing_file"),
        (Source("a.tar", "gone"), "missing_file"),
        (Source("a.zip", "gone"), "missing_file"),
        (Source("big.mp4"), "too_large"),
        (Source("a.tar", "big.mp4"), "too_large"),
        (Source("a.zip", "big.mp4"), "too_large"),
        (Source("."), "unreadable"),
    ],
)
def test_sources_that_cannot_be_opened(
    make_tree: Any, make_tar: Any, make_zip: Any, source: Source, reason: str
) -> None:
    root = make_tree([])
    (root / "big.mp4").write_bytes(b"x" * 101)
    make_tar(root / "a.tar", {"big.mp4": b"x" * 101})
    make_zip(root / "a.zip", {"big.mp4": b"x" * 101})
    with pytest.raises(Reject, match=reason):
        read(root, source, max_bytes=100)


def test_errors_of_the_reader_are_not_swallowed(make_tree: Any) -> None:
    with (
        pytest.raises(RuntimeError, match="the decoder's own"),
        open_source(make_tree(["a.mp4"]), Source("a.mp4"), 100),
    ):
        raise RuntimeError("the decoder's own")


@pytest.mark.parametrize("name", ["../../etc/a.mp4", "/etc/a.mp4", "a/../../b.mp4", "..\\b.mp4"])
def test_paths_out_of_an_archive(make_tar: Any, make_zip: Any, tmp_path: Path, name: str) -> None:
    for path in (
        make_tar(tmp_path / "a.tar", {name: b"x"}),
        make_zip(tmp_path / "a.zip", {name: b"x"}),
    ):
        assert problem(path, name) == "unsafe_member"
        with pytest.raises(Reject, match="unsafe_member"):
            read(tmp_path, Source(path.name, name))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        b"S",
        b"Z",
    ],
)
def test_links_and_devices_are_never_followed(
    make_tar: Any, tmp_path: Path, takes_of: Any, reasons: Any, kind: bytes
) -> None:
    info = tarfile.TarInfo(MEAD_CLIP)
    info.type, info.linkname = kind, "/etc/passwd"
    path = make_tar(tmp_path / "M003.tar", [(info, b""), (MEAD_CLIP.replace("016", "017"), b"x")])
    assert problem(path, MEAD_CLIP) == "unsafe_member"
    listing = takes_of("mead", tmp_path)
    assert [take.take for take in listing.takes] == ["017"]
    assert reasons(listing) == {"M003_angry_3_front_016": "unsafe_member"}


def test_a_sparse_file_of_pax(tmp_path: Path, make_tar: Any) -> None:
    info = tarfile.TarInfo("a.mp4")
    info.pax_headers = {"GNU.sparse.major": "1"}
    path = make_tar(tmp_path / "a.tar", [(info, b"x"), ("b.mp4", b"y")], format=tarfile.PAX_FORMAT)
    assert problem(path, "a.mp4") == "unsafe_member"
    assert read(tmp_path, Source("a.tar", "b.mp4")) == b"y"


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.mp4")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert problem(tmp_path / "a.zip", "a.mp4") == "unsafe_member"


def test_an_encrypted_member(make_zip: Any, tmp_path: Path, takes_of: Any, reasons: Any) -> None:
    path = make_zip(tmp_path / "a.zip", {CLIP: b"content"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert reasons(takes_of("ravdess", tmp_path)) == {"Actor_01_angry_2_front_02-01": "encrypted"}
    with pytest.raises(Reject, match="encrypted"):
        read(tmp_path, Source("a.zip", CLIP))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(
    make_zip: Any, tmp_path: Path, method: int
) -> None:
    make_zip(tmp_path / "a.zip", {CLIP: b"x" * 9999}, method)
    with pytest.raises(Reject, match=r"unreadable: .*packed by method"):
        read(tmp_path, Source("a.zip", CLIP))


def test_a_bomb_is_not_unpacked(make_zip: Any, tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", {CLIP: bytes(20 << 20)})
    assert (tmp_path / "a.zip").stat().st_size < 30_000
    with pytest.raises(Reject, match=r"too_large: .*no recording does"):
        read(tmp_path, Source("a.zip", CLIP), max_bytes=1 << 30)


@pytest.mark.parametrize("place", [16, 20, 24])
def test_a_directory_that_lies(make_zip: Any, tmp_path: Path, place: int) -> None:
    path = make_zip(tmp_path / "a.zip", {CLIP: b"content" * 50})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + place] ^= 1  # checksum, packed size, plain size
    path.write_bytes(raw)
    with pytest.raises(Reject, match="unreadable"):
        read(tmp_path, Source("a.zip", CLIP))


def test_a_directory_beyond_bounds(
    make_zip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipindex, "MAX_DIRECTORY_BYTES", 1 << 17)
    path = make_zip(tmp_path / "a.zip", {f"{i:05d}" + "x" * 60: b"" for i in range(2000)})
    with pytest.raises(Reject, match=r"unreadable: .*a directory of \d+ bytes"):
        index_of(path)


def test_too_many_members(
    make_tar: Any, make_zip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    many = {str(i): b"" for i in range(11)}
    for path in (make_tar(tmp_path / "a.tar", many), make_zip(tmp_path / "a.zip", many)):
        with pytest.raises(Reject, match=r"too_large: .*more than 10 members"):
            index_of(path)


def test_too_many_headers(
    make_tar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_of: Any, reasons: Any
) -> None:
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    path = make_tar(tmp_path / "M003.tar", [(MEAD_CLIP, b"v"), *[(folder, b"")] * 20])
    monkeypatch.setattr(tarindex, "MAX_HEADERS", 10)
    assert path.exists()
    listing = takes_of("mead", tmp_path)
    assert len(listing.takes) == 1
    assert reasons(listing) == {"M003.tar": "too_large"}


def test_of_equal_names_the_last_is_meant(
    make_tar: Any, tmp_path: Path, takes_of: Any, reasons: Any
) -> None:
    make_tar(
        tmp_path / "M003.tar", [(MEAD_CLIP, b"old"), (MEAD_CLIP, b"older"), (MEAD_CLIP, b"new")]
    )
    assert read(tmp_path, Source("M003.tar", MEAD_CLIP)) == b"new"
    listing = takes_of("mead", tmp_path)
    assert len(listing.takes) == 1
    assert list(reasons(listing).values()) == ["duplicate_take"] * 2


def test_names_that_clash_by_case(
    make_tar: Any, tmp_path: Path, takes_of: Any, reasons: Any
) -> None:
    other = MEAD_CLIP.replace("angry", "Angry")
    make_tar(tmp_path / "M003.tar", {MEAD_CLIP: b"1", other: b"2"})
    listing = takes_of("mead", tmp_path)
    assert [take.video_member for take in listing.takes] == [other]
    assert reasons(listing) == {f"M003.tar!{MEAD_CLIP}": "duplicate_take"}


def test_archives_inside_archives_and_pieces_are_told(
    make_tree: Any, make_tar: Any, takes_of: Any, holes: Any
) -> None:
    root = make_tree([f"M003/{MEAD_CLIP}", "M005/video.tar.aa", "M007/video.tar.gz"])
    make_tar(root / "M009/all.tar", {"M009/video.tar": b"x"})
    found = holes(takes_of("mead", root))
    assert found["packed_archive", "", ""][0] == 2
    assert found["nested_archive", "", ""] == (1, "M009/all.tar!M009/video.tar")


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("a.tar", b"", "without the mark of an end"),
        ("a.tar", b"not a tar" * 100, "no header where one must be, at byte 0"),
        ("a.zip", b"", "not a complete zip"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 99, "not a complete zip"),
    ],
)
def test_files_that_are_no_archives(
    tmp_path: Path, takes_of: Any, reasons: Any, name: str, content: bytes, detail: str
) -> None:
    (tmp_path / name).write_bytes(content)
    listing = takes_of("mead", tmp_path)
    assert reasons(listing) == {name: "unreadable"}
    assert detail in listing.rejected[0].detail


def test_a_compressed_tar_is_told_to_be_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x" * 90))
    with pytest.raises(Reject, match="must be unpacked to a plain one"):
        index_of(tmp_path / "a.tar")


def test_joined_tars_are_one(make_tar: Any, tmp_path: Path) -> None:
    first = make_tar(tmp_path / "1.tar", {"a.mp4": b"first"})
    second = make_tar(tmp_path / "2.tar", {"b.mp4": b"second"})
    (tmp_path / "joined.tar").write_bytes(first.read_bytes() + second.read_bytes())
    assert set(index_of(tmp_path / "joined.tar").members) == {"a.mp4", "b.mp4"}
    assert read(tmp_path, Source("joined.tar", "b.mp4")) == b"second"


def _headers(raw: bytes) -> Iterator[tarindex.TarEntry]:
    stream: BinaryIO = io.BytesIO(raw)
    return read_headers(stream, len(raw))


def _with_size(raw: bytes, field: bytes) -> bytes:
    """A header with another size field and a good checksum."""
    header = bytearray(raw[:512])
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + raw[512:]


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"\xff" * 12, "a header that claims"),
        (b"99999999999\0", "no header where one must be"),
        (b"\x80" + b"\x00" * 6 + b"\x10" + b"\x00" * 4, "bytes before its last member does"),
        (b"77777777777\0", "bytes before its last member does"),
    ],
)
def test_sizes_that_lie(make_tar: Any, tmp_path: Path, field: bytes, reason: str) -> None:
    raw = _with_size(make_tar(tmp_path / "a.tar", {"a.mp4": b"x"}).read_bytes(), field)
    with pytest.raises(TarDamage, match=reason):
        list(_headers(raw))


def test_a_name_record_beyond_bounds_is_not_read(make_tar: Any, tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.mp4")
    info.type = tarfile.GNUTYPE_LONGNAME
    raw = make_tar(tmp_path / "a.tar", [(info, b"x" * 70_000)]).read_bytes()
    with pytest.raises(TarDamage, match="a name record of 70000 bytes"):
        list(_headers(raw))


@pytest.mark.parametrize(
    "record", [b"9999 path=a\n", b"x path=a\n", b"0 path=a\n", b"10 pathab\n", b"5" * 500]
)
def test_damaged_pax_records(make_tar: Any, tmp_path: Path, record: bytes) -> None:
    info = tarfile.TarInfo("pax")
    info.type = tarfile.XHDTYPE
    raw = make_tar(tmp_path / "a.tar", [(info, record), ("a.mp4", b"")]).read_bytes()
    with pytest.raises(TarDamage, match="a damaged pax record"):
        list(_headers(raw))


def test_old_sparse_maps_are_passed_over(make_tar: Any, tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.mp4")
    info.type = tarfile.GNUTYPE_SPARSE
    raw = make_tar(tmp_path / "a.tar", [(info, b"xyz"), ("b.mp4", b"y")]).read_bytes()
    header = bytearray(_with_size(raw, raw[124:136])[:512])
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    entries = list(_headers(bytes(header) + bytes(512) + raw[512:]))
    assert [(entry.name, entry.offset) for entry in entries] == [("a.mp4", 1024), ("b.mp4", 2048)]


def test_a_long_name_cut_at_a_slash_is_no_folder(make_tar: Any, tmp_path: Path) -> None:
    info = tarfile.TarInfo("x" * 99 + "/clip.mp4")
    info.type = tarfile.AREGTYPE
    raw = make_tar(tmp_path / "a.tar", [(info, b"xyz")], format=tarfile.GNU_FORMAT).read_bytes()
    assert [(entry.name, entry.size, entry.oddity) for entry in _headers(raw)] == [
        ("x" * 99 + "/clip.mp4", 3, None)
    ]


def test_times_of_an_old_gnu_header_are_no_part_of_its_name(make_tar: Any, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"a.mp4": b"x"}, format=tarfile.GNU_FORMAT)
    header = bytearray(path.read_bytes()[:512])
    header[345:357] = b"14712345670\0"
    raw = _with_size(bytes(header) + path.read_bytes()[512:], bytes(header[124:136]))
    assert [entry.name for entry in _headers(raw)] == ["a.mp4"]


_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300
).filter(lambda name: not name.endswith("/"))


@given(
    st.lists(st.tuples(_NAMES, st.binary(max_size=1500)), max_size=6),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_headers_are_read_as_the_standard_library_reads_them(
    members: list[tuple[str, bytes]], kind: int
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    ours = [(e.name, e.offset, e.size) for e in _headers(buffer.getvalue())]
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        theirs = [(i.name, i.offset_data, i.size) for i in archive if i.isreg()]
    # The standard library strips slashes and the parts before a zero byte as we do, but drops "./".
    assert [row[1:] for row in ours] == [row[1:] for row in theirs]
    assert [row[0].rstrip("/") for row in ours] == [row[0].rstrip("/") for row in theirs]


def _sample_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.mp4", "long/" * 60 + "b.mp4", "ä.mp4"):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(700)))
    return buffer.getvalue()


def _sample_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.mp4", "b/ä.wav", "c.mp4"):
            archive.writestr(name, name * 50)
    return buffer.getvalue()


_SAMPLES = {"a.tar": _sample_tar(), "a.zip": _sample_zip()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    st.sampled_from(sorted(_SAMPLES)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    st.none() | st.integers(0, 1 << 20),
)
def test_damage_ends_in_bytes_or_in_a_reason(
    tmp_path: Path, name: str, flips: list[tuple[int, int]], cut: int | None
) -> None:
    raw = bytearray(_SAMPLES[name])
    for place, value in flips:
        raw[place % len(raw)] = value
    path = tmp_path / name
    path.unlink(missing_ok=True)
    path.write_bytes(raw[: None if cut is None else cut % len(raw)])
    archives._index.cache_clear()
    members: dict[str, Member] = {}
    with contextlib.suppress(Reject):
        members = index_of(path).members
    for found in members:
        with contextlib.suppress(Reject):
            assert len(read(tmp_path, Source(name, found))) <= 1 << 20
        with contextlib.suppress(Reject):
            source_sha256(FileHashes(tmp_path / "memory.json"), tmp_path, Source(name, found))


@given(st.binary(max_size=2000))
def test_any_bytes_as_a_tar(raw: bytes) -> None:
    entries: list[tarindex.TarEntry] = []
    with pytest.raises(TarDamage, match=r".+"):
        entries.extend(_headers(b"x" + raw))
    assert entries == []


@given(st.binary(min_size=12, max_size=12))
def test_any_size_field(field: bytes) -> None:
    raw = _with_size(_SAMPLES["a.tar"][1024:], field)
    with contextlib.suppress(TarDamage):
        assert all(0 <= entry.size < 1 << 62 for entry in _headers(raw))


def test_members_without_a_name(make_tar: Any, make_zip: Any, tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar", {"": b"x"})
    path = make_zip(tmp_path / "a.zip", {"Q": b"x"})
    path.write_bytes(path.read_bytes().replace(b"Q", b"\0"))
    for name in ("a.tar", "a.zip"):
        assert list(index_of(tmp_path / name).members) == [""]
        assert read(tmp_path, Source(name, "")) == b"x"


@pytest.mark.parametrize("shift", [-7, 7, -1 << 20, 1 << 30])
def test_a_directory_that_points_elsewhere(make_zip: Any, tmp_path: Path, shift: int) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": b"1" * 50, CLIP: b"content"})
    raw = bytearray(path.read_bytes())
    end = raw.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<I", raw, end + 16)
    struct.pack_into("<I", raw, end + 16, max(start + shift, 0))
    path.write_bytes(raw)
    with pytest.raises(Reject, match="unreadable"):
        read(tmp_path, Source("a.zip", CLIP))


def test_a_zip_that_claims_a_huge_directory(make_zip: Any, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {CLIP: b"x"})
    raw = bytearray(path.read_bytes())
    end = raw.rindex(b"PK\x05\x06")
    raw[end + 12 : end + 20] = struct.pack("<II", 0xFFFFFFF0, 0)
    path.write_bytes(raw)
    with pytest.raises(Reject, match="unreadable"):
        index_of(path)
