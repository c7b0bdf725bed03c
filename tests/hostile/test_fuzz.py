"""The fuzzer under coverage, shortly; `python -m tests.hostile.fuzz` does it for long."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import MissingExtraError
from tests.hostile.fuzz import fuzz
from tests.hostile.reshape import reshaped

_HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
_BAD = """
import os, pathlib, socket, sys
from tests.hostile.watching import Watch

def attempt(raw):
    if raw == b"raises":
        raise ZeroDivisionError("two\\nlines")
    if raw == b"runs":
        os.system("true")
    if raw == b"writes":
        pathlib.Path(sys.argv[3]).write_bytes(b"x")
    if raw == b"speaks":
        socket.getaddrinfo("localhost", 1)
    if raw == b"works":
        pathlib.Path(sys.argv[1], "own").write_bytes(b"x")

watch = Watch(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), attempt)
for raw in (b"raises", b"raises", b"runs", b"writes", b"speaks", b"works", b"works"):
    watch.one(raw)
"""


@pytest.mark.skipif(not _HAS_ATHERIS, reason="needs atheris (the extra fuzz)")
def test_a_parser_under_coverage(tmp_path: Path) -> None:
    figures = fuzz("where", 4, tmp_path)
    assert figures.findings == []
    assert figures.executions > 100
    assert 0 < figures.first <= figures.last
    assert figures.corpus > 0
    assert f"{figures.executions} inputs" in figures.line()


def test_without_atheris_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"atheris is not installed.*\.\[fuzz\]"):
        fuzz("where", 1, tmp_path)


def test_what_must_not_be_is_noted_once_and_goes_on(tmp_path: Path) -> None:
    work, findings = tmp_path / "work", tmp_path / "findings"
    work.mkdir()
    words = [str(work), str(findings), str(tmp_path / "elsewhere")]
    subprocess.run([sys.executable, "-c", _BAD, *words], check=True, timeout=60)
    found = [json.loads(line) for line in findings.read_text(encoding="utf-8").splitlines()]
    assert [(f["what"].split(" /")[0], f["input"]) for f in found] == [
        ("ZeroDivisionError: two\nlines", "b'raises'"),
        ("EXECUTED: os.system", "b'runs'"),
        ("ESCAPED:", "b'writes'"),
        ("SPOKE: socket.getaddrinfo", "b'speaks'"),
    ]


def test_json_is_spoilt_in_its_shape() -> None:
    raw, rng = b'{"a": [1, {"b": "x"}], "c": null}', random.Random(1)
    made = {reshaped(rng, raw) for _ in range(400)}
    assert len(made) > 200
    assert any(b"9" * 5000 in text for text in made if text)
    assert reshaped(rng, b"no JSON") is None
