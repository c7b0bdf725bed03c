"""Every parser of outside text or bytes, fuzzed shortly; tests.hostile.parsers does it for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ParameterError
from pipeline.stages.align.transcripts import read_transcripts
from tests.hostile.binaries import PARSERS
from tests.hostile.found import FOUND
from tests.hostile.parsers import SLOW, attempt, fuzz


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_value_or_one_line(name: str) -> None:
    ends = fuzz(name, seconds=60, most=8 if name in SLOW else 60, seed=11)
    assert ends.total() > 0
    assert set(ends) <= {"value", "one line"}


def test_transcripts_with_a_stray_line_end_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    path.write_bytes(b"take,sent\rence\na,b\n" + b'c,"' + b"x" * 200_000 + b'"\n')
    with pytest.raises(ParameterError, match=r"said\.csv.*(line \d|expected the columns)"):
        read_transcripts(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "raw", "end"), FOUND, ids=[f"{name} {k}" for k, (name, _, _) in enumerate(FOUND)]
)
def test_what_was_found_is_mended(name: str, raw: bytes, end: str, tmp_path: Path) -> None:
    assert attempt(name, tmp_path, raw) == end
