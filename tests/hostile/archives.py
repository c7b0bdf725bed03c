"""Archives that mean harm, by the thousand: `python -m tests.hostile.archives --mutants 3000`.

Each goes through the listing of both corpora, and every member that is listed is opened and hashed.
Nothing may be written anywhere, nothing unbounded read.
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline import corpora, params
from pipeline.corpora import archives as reading
from pipeline.digests import sha256_of
from pipeline.errors import REASONS, PipelineError, Reject
from pipeline.records import Source
from pipeline.runtime.store import FileHashes
from tests.builders import isolated_cases
from tests.builders.takes import ALL
from tests.hostile.mutate import MUTATORS, mutant
from tests.hostile.watching import Deeds

CLIP = "video/front/angry/level_3/{:03d}.mp4"
TRIAL = "Actor_01/01-01-05-02-02-01-{:02d}.mp4"
_MOST_BYTES = 16 << 20
_OPENED = 60


class Case(NamedTuple):
    """An archive: a maker's name, or a audio one and how it is spoilt."""

    base: str
    mutator: str = ""
    seed: int = 0


def _tar(*members: tuple[str, bytes] | tarfile.TarInfo, kind: int = tarfile.GNU_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(bytes(member.size)))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def _odd(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, content)
    return stream.getvalue()


_GOOD = [(CLIP.format(i), b"clip %d " % i * 90) for i in range(1, 4)]
_TRIALS = [(TRIAL.format(i), b"clip %d " % i * 90) for i in range(1, 4)]
_NAMES = [
    "/etc/{}", "../../{}", "a/../../{}", "..\\..\\{}", "C:\\{}", "\\\\host\\share\\{}", "./{}",
    "a//b/{}", "{}\x00.txt", "\n{}", "\x1b[31m{}", "[bold]{}[/bold]", "<script>{}", "=cmd|{}",
    "-rf/{}", "ü/{}", "u\u0308/{}", "\udcff/{}", "{}/", " {}", "x" * 255 + "/{}",
    "y" * 5000 + "/{}", ".hidden/{}", "__MACOSX/{}", "{}:stream", "CON/{}", "\u202e{}",
]  # fmt: skip
_ALL_NAMES = [
    (pattern.format(CLIP.format(i).rpartition("/")[2] if i % 2 else CLIP.format(i)), b"x" * 99)
    for i, pattern in enumerate(_NAMES)
]


def _bomb() -> bytes:
    return _zip((CLIP.format(9), bytes(300 << 20)), *_GOOD)


def _overlapping() -> bytes:
    """Many members over one kernel of packed zeros, as the best known bomb has it."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(12 << 20)) + kernel.flush()
    crc = zlib.crc32(bytes(12 << 20))
    name = CLIP.format(1).encode()
    local = struct.pack(
        "<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(packed), 12 << 20, len(name), 0
    )
    body = local + name + packed
    directory = b""
    for i in range(1, 500):
        this = CLIP.format(i).encode()
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(packed), 12 << 20, len(this),
            0, 0, 0, 0, 0, 0,
        ) + this  # fmt: skip
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 499, 499, len(directory), len(body), 0)
    return body + directory + end


def _encrypted() -> bytes:
    raw = bytearray(_zip(*_GOOD, *_TRIALS))
    for at in [i for i in range(len(raw)) if raw.startswith(b"PK\1\2", i)]:
        raw[at + 8] |= 1
    return bytes(raw)


def _links() -> bytes:
    return _tar(
        _odd(CLIP.format(1), tarfile.SYMTYPE, "/etc/passwd"),
        _odd(CLIP.format(2), tarfile.LNKTYPE, "../../../../etc/passwd"),
        _odd(CLIP.format(3), tarfile.CHRTYPE), _odd(CLIP.format(4), tarfile.BLKTYPE),
        _odd(CLIP.format(5), tarfile.FIFOTYPE), _odd(CLIP.format(6), b"S"),
        _odd(CLIP.format(7), b"Z"), _odd("video/front/angry", tarfile.SYMTYPE, "/etc"),
        (CLIP.format(8), b"x"),
    )  # fmt: skip


def _chains() -> bytes:
    """Name records without end, each of which another one follows."""
    return _tar(*[_odd("././@LongLink", b"L", size=600)] * 3000, *_GOOD)


def _huge_claims() -> bytes:
    info = tarfile.TarInfo(CLIP.format(1))
    raw = bytearray(_tar((CLIP.format(1), b"x")))
    raw[124:136] = b"\x80" + bytes(3) + (1 << 50).to_bytes(8, "big")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    assert info.name
    return bytes(raw)


def _many_tar(n: int) -> bytes:
    head = bytearray(_tar((CLIP.format(1), b""))[:512])
    stream = io.BytesIO()
    for i in range(n):
        head[:100] = f"video/front/angry/level_3/{i % 1000:03d}_{i}.mp4".encode().ljust(100, b"\0")
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        stream.write(head)
    return stream.getvalue() + bytes(1024)


def _many_zip(n: int) -> bytes:
    directory = io.BytesIO()
    for i in range(n):
        name = b"%d.mp4" % i
        head = struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0
        )
        directory.write(head + name)
    raw = directory.getvalue()
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, n, n, len(raw), 0)
    place = struct.pack("<4sIQI", b"PK\6\7", 0, len(raw), 1)
    most = 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return raw + end64 + place + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *most, 0)


MADE: dict[str, Callable[[], bytes]] = {
    "good.tar": lambda: _tar(*_GOOD),
    "pax.tar": lambda: _tar(*_GOOD, ("ü" * 99 + "/" + _GOOD[0][0], b"x"), kind=tarfile.PAX_FORMAT),
    "good.zip": lambda: _zip(*_GOOD, *_TRIALS),
    "stored.zip": lambda: _zip(*_GOOD, *_TRIALS, method=zipfile.ZIP_STORED),
    "names.tar": lambda: _tar(
        *[(n.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), c)
          for n, c in _ALL_NAMES]
    ),
    "names.zip": lambda: _zip(
        *[(n.encode("utf-8", "replace").decode(), c) for n, c in _ALL_NAMES]
    ),
    "links.tar": _links,
    "links.zip": lambda: _zip((CLIP.format(1), b"/etc/passwd"), mode=0o120777),
    "devices.zip": lambda: _zip((CLIP.format(1), b""), mode=0o020666),
    "twice.tar": lambda: _tar(*_GOOD, *_GOOD, *_GOOD),
    "case.tar": lambda: _tar(*_GOOD, *[(n.replace("angry", "ANGRY"), c) for n, c in _GOOD]),
    "case.zip": lambda: _zip(*_GOOD, *[(n.replace(".mp4", ".MP4"), c) for n, c in _GOOD]),
    "bomb.zip": _bomb,
    "overlapping.zip": _overlapping,
    "encrypted.zip": _encrypted,
    "bzip2.zip": lambda: _zip(*_GOOD, method=zipfile.ZIP_BZIP2),
    "lzma.zip": lambda: _zip(*_GOOD, method=zipfile.ZIP_LZMA),
    "chains.tar": _chains,
    "claims.tar": _huge_claims,
    "cut.tar": lambda: _tar(*_GOOD)[:1700],
    "cut.zip": lambda: _zip(*_GOOD)[:-30],
    "inside.tar": lambda: _tar(("a/video.tar", _tar(*_GOOD)), ("b/video.zip", _zip(*_GOOD))),
    "million.tar": partial(_many_tar, 1_000_000),
    "million.zip": partial(_many_zip, 1_000_000),
    "full.zip": partial(_many_zip, 390_000),
}  # fmt: skip
"""Archives by name."""
SMALL = [n for n in MADE if n not in ("million.tar", "million.zip", "full.zip", "bomb.zip")]


def cases(count: int, seed: int, made: list[str] | None = None) -> Iterator[tuple[str, Case]]:
    """All that are made by hand, then that many mutants of the smaller ones."""
    for name in made if made is not None else MADE:
        yield f"made: {name}", Case(name)
    rng = random.Random(seed)
    for i in range(count):
        mutator = list(MUTATORS)[i % len(MUTATORS)]
        yield f"mutants: {mutator}", Case(rng.choice(SMALL), mutator, 1_000_000 * seed + i)


class Bench(NamedTuple):
    """The state of a worker: a folder of its own, and what is done outside of it."""

    folder: Path
    deeds: Deeds


def make_bench(above: Path) -> Bench:
    """The state of a worker; its folder lies below another."""
    folder = Path(tempfile.mkdtemp(dir=above))
    return Bench(folder, Deeds(folder))


def try_archive(bench: Bench, case: Case) -> str:
    """What became of an archive: how many members could be opened, or the reason against."""
    folder = bench.folder
    root = folder / "root" / "M003"
    shutil.rmtree(folder / "root", ignore_errors=True)
    root.mkdir(parents=True)
    raw = _base(case.base)
    if case.mutator:
        raw = mutant(case.mutator, case.seed, raw)
    path = root / case.base
    path.write_bytes(raw)
    before = sha256_of(path)
    (folder / "memory.json").unlink(missing_ok=True)
    own = {"memory.json", "root", "root/M003", f"root/M003/{case.base}"}
    with bench.deeds.seen() as done:
        try:
            for corpus in ("mead", "ravdess"):
                _list(corpus, root.parent)
            word = _open_all(folder, root.parent, f"M003/{case.base}")
        except Reject as reject:
            word = reject.reason
    if done or {p.relative_to(folder).as_posix() for p in folder.rglob("*")} - own:
        return (done or ["ESCAPED"])[0].partition(":")[0]
    return word if sha256_of(path) == before else "TOUCHED"


_CACHE: dict[str, bytes] = {}


def _base(name: str) -> bytes:
    if name not in SMALL:
        return MADE[name]()
    if name not in _CACHE:
        _CACHE[name] = MADE[name]()
    return _CACHE[name]


def _list(corpus: str, root: Path) -> None:
    entry = params.Dataset.model_validate(
        {"corpus": corpus, "root": str(root), "select": ALL.model_dump(), "split": "by_speaker"}
    )
    try:
        listing = corpora.list_takes("made", entry, root)
    except PipelineError as error:
        if len(str(error).splitlines()) == 1:
            return
        raise AssertionError(f"several lines: {error}") from error
    for row in listing.rejected:
        assert row.reason in REASONS, row
        assert "\n" not in row.detail + row.item, row
    for take in listing.takes:
        assert ".." not in (take.video_member or "").split("/"), take
    corpora.inventory(listing).tables()


def _open_all(folder: Path, root: Path, name: str) -> str:
    hashes = FileHashes(folder / "memory.json")
    members = list(reading.index_of(root / name).members)
    opened, refused = 0, ""
    for member in members[:_OPENED]:
        source = Source(name, member)
        try:
            with reading.open_source(root, source, _MOST_BYTES) as stream:
                assert not isinstance(stream, str)
                while stream.read(1 << 20):
                    pass
            reading.source_sha256(hashes, root, source)
            opened += 1
        except Reject as reject:
            refused = reject.reason
    hashes.save()
    return ("members read" if opened else "none read") + (f", some {refused}" if refused else "")


def main() -> int:
    """Try them all and print the table; 1 where anything ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spfem-archives-") as above:
        results = isolated_cases.try_all(
            cases(given.mutants, given.seed), try_archive, partial(make_bench, Path(above)),
            limit_s=600, limit_mb=2048, workers=given.workers,
        )  # fmt: skip
        found = isolated_cases.tally("archives", results)
    found.show("archives")
    return 0 if not found.bad else 1


if __name__ == "__main__":
    sys.exit(main())
