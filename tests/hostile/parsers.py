"""Every parser of outside text or bytes, fuzzed: `python -m tests.hostile.parsers --seconds 60`.

Inputs are sound ones spoilt, and text of hypothesis' own making. Each ends in a value or in one
line; the counts are printed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import params
from pipeline.audit.pairlist import read_pair_list
from pipeline.clip.network import read_architecture
from pipeline.corpora import custom
from pipeline.corpora.manifest import read_manifest
from pipeline.corpora.naming import canonical_emotion, join_ids, near_emotions, safe_id
from pipeline.errors import PipelineError, Reject
from pipeline.models import decode_metadata
from pipeline.pairing.transcripts import read_transcripts
from pipeline.published.where import condition
from pipeline.shards.protocols import COLUMNS, read_protocol
from tests.hostile.mutate import MUTATORS, mutant

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_MANIFEST = (
    b"path,speaker,emotion,sentence,level,view,take,audio\n"
    b'a.wav,s1,neutral,"one, two",1,front,t1,\nb.wav,s2,happy,"say ""x""",3,,t2,a.wav\n'
)
_TRANSCRIPTS = b"speaker,emotion,level,take,sentence\ns1,neutral,1,001,one two\ns1,sad,3,002,two\n"
_PAIRS = b'{"M003": {"angry": {"001_028": [[0, 1, 2], [0, 2, 3]], "002_003": [[5], [6]]}}}'
_WHERE = b"mouth_agreement > 0.8"
_CONFIG = json.dumps(
    {"embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 32},
     "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16}}
).encode()  # fmt: skip
_NAMES = "M003 ängry\u0308 = '\x00\n 日本 …".encode()


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    rows = {"path": ["a.wav", "b.wav"], "speaker": ["s", "s"], "emotion": ["sad", "happy"],
            "sentence": ["x", "y"], "level": [1, 2]}  # fmt: skip
    pq.write_table(pa.table(rows), sink)
    return bytes(sink.getvalue())


def _file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    def parse(folder: Path, raw: bytes) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return read(path)

    return parse


def _names(folder: Path, raw: bytes) -> object:
    text = raw.decode("utf-8", "surrogateescape" if len(raw) % 2 else "replace")
    made = safe_id(text)
    assert made.isascii()
    assert made[:1].isalnum()
    near_emotions(text[:200])
    return canonical_emotion(text), join_ids(made, made)


def _text(read: Callable[[str], object]) -> Callable[[Path, bytes], object]:
    return lambda folder, raw: read(raw.decode("utf-8", "replace"))


PARSERS: dict[str, tuple[Callable[[], bytes], Callable[[Path, bytes], object]]] = {
    "manifest, CSV": (lambda: _MANIFEST, _file("takes.csv", read_manifest)),
    "manifest, Parquet": (_parquet, _file("takes.parquet", read_manifest)),
    "takes of a manifest": (lambda: _MANIFEST, _file("t.csv", lambda p: custom.draft("x", p))),
    "transcripts": (lambda: _TRANSCRIPTS, _file("said.csv", read_transcripts)),
    "pair list": (lambda: _PAIRS, _file("pairs.json", read_pair_list)),
    "params.yaml": (
        lambda: (REPOSITORY / "params.yaml").read_bytes(), _file("params.yaml", params.load)
    ),
    "--where": (lambda: _WHERE, _text(lambda text: condition("pairs", text))),
    "names": (lambda: _NAMES, _names),
    "CLIP config": (lambda: _CONFIG, _file("c.json", lambda p: read_architecture(str(p)))),
    "metadata of weights": (
        lambda: b'{"kind": "x", "n": [1, 2.5, null]}',
        _text(lambda text: decode_metadata({"a": text})),
    ),
    "protocol list": (
        lambda: (",".join(COLUMNS) + "\n" + ",".join("1" for _ in COLUMNS) + "\n").encode(),
        _file("protocols/intra_id.csv", lambda p: read_protocol(p.parent.parent, "intra_id")),
    ),
}  # fmt: skip
"""What is read, a sound input, and the function that reads it: (folder, bytes)."""
SLOW = ("params.yaml",)
WORDS = (
    b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 3000,
    b"{" * 3000, b"9" * 5000, b"1e999", b"NaN", b"-1", b"null", b"true", b"\\u0000", b"\\ud800",
    b"!!python/object/apply:os.system ['id']", b"&a [*a]", b"*a", b"<<: *a", b"../", b"/dev/zero",
    b"=1+1", b"<script>", b" in ", b"==", b">" * 50, "ü".encode(), "\u2028".encode(), b"|", b": ",
    b"__proto__", b"path", b"speaker", b"sentence", b"%s%n", b"\x1b[2J",
)  # fmt: skip
"""Pieces that are put in."""


def spoilt(rng: random.Random, raw: bytes, seed: int) -> bytes:
    """An input spoilt: by a mutator, or with pieces put in, taken out or repeated."""
    if rng.random() < 0.3 and raw:
        return mutant(rng.choice(list(MUTATORS)), seed, raw)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        length = rng.choice((0, 0, 1, 4, 30))
        raw = raw[:at] + rng.choice(WORDS) + raw[at + length :]
    return raw


def fuzz(name: str, seconds: float, most: int, seed: int = 0) -> Counter[str]:
    """Try one parser for so long or so often; other errors than the two kinds pass."""
    make, parse = PARSERS[name]
    base, ends = make(), Counter[str]()
    folder = Path(tempfile.mkdtemp(prefix="spfem-parsers-"))
    until, rng = time.monotonic() + seconds, random.Random(f"{name} {seed}")
    try:
        while time.monotonic() < until and ends.total() < most:
            raw = spoilt(rng, base, rng.getrandbits(32))
            try:
                parse(folder, raw)
                ends["value"] += 1
            except (PipelineError, Reject) as error:
                if len(str(error).splitlines()) != 1 or len(str(error)) > 4000 + 8 * len(raw):
                    raise AssertionError(f"not one line: {error!r:.500}") from error
                ends["one line"] += 1
            except Exception as error:
                raise AssertionError(f"{name}: {type(error).__name__} on {raw[:2000]!r}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ends


def main() -> int:
    """Fuzz them one after the other; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given, bad = parser.parse_args(), 0
    for name in PARSERS:
        try:
            ends = fuzz(name, given.seconds, 10**9, given.seed)
            print(f"  {name:22s} {ends.total():8d} tried  {dict(ends)}", flush=True)
        except AssertionError as error:
            bad += 1
            print(f"  BAD {error!s:.3000} because {error.__cause__!r:.300}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
