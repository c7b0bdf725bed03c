"""Inputs that the fuzzers found, each once a traceback, a hang or gigabytes: what they end in now.

(parser of `binaries.PARSERS`, input, `value` or `one line`).
"""

from __future__ import annotations

import json
import tarfile

from tests.hostile.binaries import PARSERS

_LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 9)) for k in range(1, 10)
)
_DIGITS = b"9" * 5000
_TINY = {
    "embed_dim": 4,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "patch_size": 8, "head_width": 4},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 4, "heads": 1, "layers": 1},
}


def _network(part: str, **changes: object) -> bytes:
    """A CLIP config with some of its values changed."""
    inner = _TINY[part]
    changed = {**inner, **changes} if isinstance(inner, dict) else changes["value"]
    return json.dumps({**_TINY, part: changed}).encode()


def _with_pax(record: bytes) -> bytes:
    """A tar of one pax header that holds this."""
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, len(record)
    return head.tobuf(tarfile.USTAR_FORMAT) + record.ljust(tarfile.BLOCKSIZE, b"\0") + b"\0" * 1024


(_FLAC,), (_JPEG,) = (PARSERS[f"{kind} of a shard"].seeds() for kind in ("audio", "image"))
_SIZE = _JPEG.index(b"\xff\xc0") + 5


def _page(size: bytes, n: bytes) -> bytes:
    """A count of values, and a page whose head claims a size and so many."""
    head = b"\x15\0\x15\x0a\x15" + size + b"\x2c\x15" + n + b"\x15\0\x15\x06\x15\x06\0\0"
    return b"\x09" + head + bytes(12)


FOUND: tuple[tuple[str, bytes, str], ...] = (
    ("pair list", b'{"M003": {"angry": {"001_028": [[' + _DIGITS + b"], [0]]}}}", "one line"),
    ("params.yaml, short", b"a: 2001-13-45", "one line"),
    ("params.yaml, short", b"a: " + _DIGITS, "one line"),
    ("params.yaml, short", b"a: !!int x", "one line"),
    ("params.yaml, short", b"!!float ''", "one line"),
    ("params.yaml, short", b"a: 0b_", "one line"),
    ("params.yaml, short", b"!!bool x", "one line"),
    ("params.yaml, short", b"- " * 3000, "one line"),
    ("params.yaml, short", b"[" * 16_000, "one line"),
    ("params.yaml, short", _LAUGHS + b"datasets: *a9\n", "one line"),
    ("entries of params.yaml", b"a: 1\ndatasets:\n  # one\n  meada::\n", "value"),
    ("entries of params.yaml", b"a: 1\ndatasets:\n  # one\n ea:!dam:\n", "one line"),
    ("entries of params.yaml", b"datasets:\n : 0\nb: #ada\n \n  meadao~\n\n::\n", "one line"),
    ("forgotten in params.yaml", b"datasets:\n  mead:\n    root: /d\xe9sk\nforgotten: {}\n",
     "one line"),
    ("forgotten in params.yaml", b"datasets:\n  mead:\n    root: x\nforgotten: 5\n", "value"),
    ("forgotten in params.yaml", b"[" * 16_000, "one line"),
    ("URL of weights", b"http://[", "one line"),
    ("CLIP merges", b"\x1f\x8b" + b"x" * 40, "one line"),
    ("CLIP merges", b"\xff\xfe" * 9, "one line"),
    ("CLIP merges", b" " * (17 << 20), "one line"),
    ("CLIP network", _network("embed_dim", value="x"), "one line"),
    ("CLIP network", _network("vision_cfg", layers="a"), "one line"),
    ("CLIP network", _network("vision_cfg", zzz=1), "one line"),
    ("CLIP network", _network("vision_cfg", layers=[1 << 31]), "one line"),
    ("CLIP network", _network("vision_cfg", width=1 << 20), "one line"),
    ("CLIP network", _network("text_cfg", vocab_size=100), "one line"),
    ("pages of a shard", b"", "value"),
    ("pages of a shard", b"\x09\x15", "one line"),
    ("pages of a shard", _page(b"\x21", b"\0"), "one line"),  # -17 bytes: it begins anew for ever
    ("pages of a shard", _page(b"\x0a", b"\xfe\xff\xff\xff\xff\xff\x0f"), "one line"),
    ("pages of a shard", b"\x09\x19\xf1" + b"\xff" * 9 + b"\x7f", "one line"),
    ("pages of a shard", b"\x09\x16" + b"\x80" * 300_000, "one line"),
    ("audio of a shard", _FLAC[:22] + b"\xff" * 4 + _FLAC[26:], "value"),  # 4 billion samples
    ("audio of a shard", _FLAC[:21] + b"\xff" * 5 + _FLAC[26:], "value"),
    ("image of a shard", _JPEG[:_SIZE] + b"\xfd\xe8" * 2 + _JPEG[_SIZE + 4 :], "value"),  # 13 GB
    ("image of a shard", _JPEG[: _SIZE + 6] + b"\x14" + _JPEG[_SIZE + 7 :], "value"),
    ("tar", _with_pax(b"6 a=b\nno length here"), "one line"),
    ("memory of hashes", b"[1]", "value"),
    ("memory of hashes", b'{"a": 1, "b": [], "\\ud800": [1, 2, 3, "x"]}', "value"),
    ("memory of costs", b'{"extract": 5, "\\ud800": [], "align": [{"effort": Infinity}]}', "value"),
    ("memory of origins", b'{"kinds": [["c"]], "units": {"s/t": ["k", 7]}}', "value"),
    ("memory of origins", b'{"kinds": 3, "units": []}', "value"),
    ("receipt", b'{"unit": "t", "key": "k", "outputs": {"/../x": {"sha256": "", "bytes": 1}}, '
     b'"rows": {}}', "value"),
    ("receipt", b'{"unit": "t", "key": "k", "outputs": {".txt": 1}, "rows": {"a": [1]}}', "value"),
    ("summary of a stage", b"", "one line"),
    ("summary of a stage", b"\xbe", "one line"),
    ("summary of a stage", b'{"planned": "x"}', "one line"),
    ("who holds a lock", b"[" * 3000, "value"),
    ("list of DVC's cache", b'[{"md5": "00"}, 5, null]', "value"),
    ("list of DVC's cache", b"\xff", "value"),
    ("table of a stage", b"PAR1", "one line"),
)  # fmt: skip
