"""What is read of outside text, and of our own bookkeeping: a audio input and the reader of each.

The one table of all parsers; `parsers` tries them with inputs spoilt at random, `fuzz` with inputs
that coverage leads. Archives, weights and shards are in `binaries`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import corpora, params
from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import build_network
from pipeline.corpora import custom, mead, ravdess
from pipeline.corpora.manifest import read_manifest
from pipeline.corpora.naming import canonical_emotion, join_ids, near_emotions, safe_id
from pipeline.corpora.scan import Found, Walk
from pipeline.models.download import Source as Download
from pipeline.models.registry import decode_metadata
from pipeline.records import Source
from pipeline.runtime import locks as locking
from pipeline.runtime.costs import Provenance, ProvenanceCache, Rates, stage_cost
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import RECEIPT, FileHashes, ItemStore
from pipeline.runtime.summaries import summaries
from pipeline.stages.align.transcripts import read_transcripts
from pipeline.tools.audit.pairlist import read_pair_list
from pipeline.tools.forget.exclusion import write_exclusion
from pipeline.tools.forget.purge import listed_under
from pipeline.tools.forget.search import Person
from pipeline.tools.init import Entry, add_entry, entries
from pipeline.tools.inspect.show import condition
from spfem_data.protocols import COLUMNS, read_protocol
from tests.builders.takes import ALL

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Parse = Callable[[Path, bytes], object]
"""(a folder to write into, the input): ends in a value, a Reject or a PipelineError."""


class Target(NamedTuple):
    """A parser: audio inputs, and the function that reads one."""

    seeds: Callable[[], Sequence[bytes]]
    parse: Parse


_MANIFEST = (
    b"path,speaker,emotion,sentence,level,view,take,audio\n"
    b'a.wav,s1,neutral,"one, two",1,front,t1,\nb.wav,s2,happy,"say ""x""",3,,t2,a.wav\n'
)
_TRANSCRIPTS = b"speaker,emotion,level,take,sentence\ns1,neutral,1,001,one two\ns1,sad,3,002,two\n"
_PAIRS = b'{"M003": {"angry": {"001_028": [[0, 1, 2], [0, 2, 3]], "002_003": [[5], [6]]}}}'
_CONFIG = json.dumps(
    {"embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 32},
     "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16}}
).encode()  # fmt: skip
_TINY = json.dumps(
    {"embed_dim": 4,
     "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "patch_size": 8, "head_width": 4},
     "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 4, "heads": 1, "layers": 1}}
).encode()  # fmt: skip
_NAMES = "M003 ängry\u0308 = '\x00\n 日本 …".encode()
_ENTRIES = (
    b"a: 1\ndatasets:\n  # one\n  mead:\n    corpus: mead\n    root: /disk/MEAD\nforgotten: {}\n"
)
_MEAD = b"M003/video/front/angry/level_3/001.mp4\nM003/audio/angry/level_3/001.m4a\n"
_RAVDESS = b"Actor_01/01-01-05-02-01-02-01.mp4\nActor_01/03-01-05-02-01-02-01.wav\n"
_RECEIPT = (
    b'{"key":"k","outputs":{".txt":{"bytes":1,"sha256":"00"}},"rows":{"a":[{}]},"unit":"s/t"}'
)
_SUMMARY = b'{"stage":"pose","grain":"pair","planned":2,"kept":1,"reasons":{"too_long":1}}'


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    rows = {"path": ["a.wav", "b.wav"], "speaker": ["s", "s"], "emotion": ["sad", "happy"],
            "sentence": ["x", "y"], "level": [1, 2]}  # fmt: skip
    pq.write_table(pa.table(rows), sink)
    return bytes(sink.getvalue())


def in_file(name: str, read: Callable[[Path], object]) -> Parse:
    """A parser of a file of that name."""

    def parse(folder: Path, raw: bytes) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return read(path)

    return parse


def _text(read: Callable[[str], object]) -> Parse:
    return lambda folder, raw: read(raw.decode("utf-8", "replace"))


def _names(folder: Path, raw: bytes) -> object:
    text = raw.decode("utf-8", "surrogateescape" if len(raw) % 2 else "replace")
    made = safe_id(text)
    assert made.isascii()
    assert made[:1].isalnum()
    near_emotions(text[:200])
    return canonical_emotion(text), join_ids(made, made)


def _listed(draft: Callable[[Walk], corpora.listing.Draft]) -> Parse:
    """Names of files, one a line, as a corpus module turns them into takes."""

    def parse(folder: Path, raw: bytes) -> object:
        lines = [line for line in raw.decode("utf-8", "replace").split("\n") if line]
        found = draft(Walk(folder, [Found(Source(line)) for line in lines]))
        found.forget(["M007", "Actor_07"])
        listing = found.listing(ALL)
        assert len(listing.takes) <= len(lines)
        return corpora.inventory(listing).tables()

    return parse


def _merges(folder: Path, raw: bytes) -> object:
    """A CLIP config beside its tokenizer's merges: the input as it is, then packed."""
    config = json.loads(_CONFIG)
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": "m.gz"}
    (folder / "c.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "m.gz").write_bytes(raw if raw[:1] == b"\x1f" else gzip.compress(raw, 1))
    return read_architecture(str(folder / "c.json"))


def _network(path: Path) -> object:
    return build_network(read_architecture(str(path)), None)


def _forgetting(path: Path) -> object:
    entries(path.read_bytes().decode("utf-8", "replace"))
    return write_exclusion(path, "mead", "M003")


def _started(text: str) -> object:
    made = add_entry(text, Entry("own", "custom", "/disk/own", ("front",), "by_speaker"))
    assert "own" in entries(made)
    return entries(text)


def _receipt(path: Path) -> object:
    store = ItemStore(path.parent)
    (path.parent / "t.txt").write_bytes(b"x")
    store.current("t", "k")
    store.retract("t")
    store.remove("t") if len(path.read_bytes()) % 2 else store.commit("t", "k", [".txt"], {})
    return store.sweep()


def _hashes(path: Path) -> object:
    source = path.with_name("source")
    source.write_bytes(b"x")
    memory = FileHashes(path)
    memory.known(source)
    assert len(memory.sha256(source)) == 64
    memory.forget(lambda name: "M003" in name)
    memory.save()
    return FileHashes(path).sha256(source)


_COST = stage_cost([], planned=1, effort=0, loop_s=1.0, workers=1, out_bytes=0)


def _rates(path: Path) -> object:
    memory = Rates(path)
    memory.known("extract")
    memory.remember("extract", _COST)
    return memory.known("extract")


def _origins(path: Path) -> object:
    memory = ProvenanceCache(path)
    memory.of("s/t", "k")
    memory.keep({"s/t": ("k", Provenance("code", "parameters"))})
    return ProvenanceCache(path).of("s/t", "k")


_params = lru_cache(maxsize=1)(partial(params.load, None))


def _summary(path: Path) -> object:
    run = Run("made", _params(), path.parents[3], Options())
    return summaries(run, ["pose"])


def _one(raw: bytes) -> Callable[[], Sequence[bytes]]:
    return lambda: [raw]


TEXTS: dict[str, Target] = {
    "manifest, CSV": Target(_one(_MANIFEST), in_file("takes.csv", read_manifest)),
    "manifest, Parquet": Target(lambda: [_parquet()], in_file("takes.parquet", read_manifest)),
    "takes of a manifest": Target(
        _one(_MANIFEST), in_file("t.csv", lambda p: custom.draft("x", p).listing(ALL))
    ),
    "transcripts": Target(_one(_TRANSCRIPTS), in_file("said.csv", read_transcripts)),
    "pair list": Target(_one(_PAIRS), in_file("pairs.json", read_pair_list)),
    "params.yaml": Target(
        lambda: [(REPOSITORY / "params.yaml").read_bytes()], in_file("params.yaml", params.load)
    ),
    "params.yaml, short": Target(
        _one(_ENTRIES), _text(lambda text: params.parse(text, "params.yaml"))
    ),
    "entries of params.yaml": Target(_one(_ENTRIES), _text(_started)),
    "forgotten in params.yaml": Target(_one(_ENTRIES), in_file("p.yaml", _forgetting)),
    "where": Target(
        lambda: [b"mouth_agreement > 0.8", b"emotion_b in happy,sad", b"frame_a == 1"],
        _text(lambda text: condition("pairs", text)),
    ),
    "names": Target(_one(_NAMES), _names),
    "names of MEAD": Target(
        _one(_MEAD), _listed(lambda walk: mead.draft("x", walk, Path("/disk/M003")))
    ),
    "names of RAVDESS": Target(_one(_RAVDESS), _listed(lambda walk: ravdess.draft("x", walk))),
    "CLIP config": Target(
        _one(_CONFIG), in_file("c.json", lambda p: read_architecture(str(p)).identity())
    ),
    "CLIP network": Target(_one(_TINY), in_file("c.json", _network)),
    "CLIP merges": Target(_one(b"#merges\na b\nc d</w>"), _merges),
    "metadata of weights": Target(
        _one(b'{"kind": "x", "n": [1, 2.5, null]}'),
        _text(lambda text: decode_metadata({"a": text})),
    ),
    "URL of weights": Target(
        _one(b"https://example.org/a/b.safetensors"),
        _text(lambda text: Download(text, "0" * 64)),
    ),
    "protocol list": Target(
        lambda: [(",".join(COLUMNS) + "\n" + ",".join("1" for _ in COLUMNS) + "\n").encode()],
        in_file("protocols/intra_id.csv", lambda p: read_protocol(p.parent.parent, "intra_id")),
    ),
}  # fmt: skip
"""Text that others wrote."""
OWN: dict[str, Target] = {
    "receipt": Target(_one(_RECEIPT), in_file(f"items/t{RECEIPT}", _receipt)),
    "memory of hashes": Target(
        _one(b'{"/a/source:0:None": [1, 2, 3, "00"]}'), in_file("hashes.json", _hashes)
    ),
    "memory of costs": Target(
        _one(json.dumps({"extract": [vars(_COST)]}).encode()),
        in_file("rates.json", _rates),
    ),
    "memory of origins": Target(
        _one(b'{"kinds": [["c", "p"]], "units": {"s/t": ["k", 0]}}'),
        in_file("origins.json", _origins),
    ),
    "summary of a stage": Target(
        _one(_SUMMARY), in_file("made/pose/tables/summary.json", _summary)
    ),
    "who holds a lock": Target(
        _one(b'{"host": "a", "process": 1}'),
        in_file("lock/pose.run", lambda p: locking._signature(p.with_name("lock"), "pose")),
    ),
    "list of DVC's cache": Target(
        _one(b'[{"md5": "00", "relpath": "M003/a"}]'),
        in_file("x.dir", lambda p: listed_under(Person("M003"), p)),
    ),
}  # fmt: skip
"""Bookkeeping of ours that a broken disk may have damaged."""
