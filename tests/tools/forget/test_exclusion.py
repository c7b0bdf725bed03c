"""`forgotten` in params.yaml: written once, nothing else changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import params
from pipeline.errors import ParameterError
from pipeline.tools.forget.exclusion import write_exclusion


def test_the_default_file_keeps_every_other_byte(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params.default_text(), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert write_exclusion(path, "mead", "M003")
    assert write_exclusion(path, "demo", "25")
    assert write_exclusion(path, "mead", "M001")
    assert not write_exclusion(path, "mead", "M003")
    assert params.load(path).forgotten == {"demo": ["25"], "mead": ["M001", "M003"]}
    written = path.read_text(encoding="utf-8")
    block = 'forgotten:\n  demo:\n  - "25"\n  mead:\n  - "M001"\n  - "M003"\n'
    assert written.replace(block, "forgotten: {}\n") == before


@pytest.mark.parametrize("text", ["datasets: {}\n", "x: 1\n  \n", "a: {forgotten: {}}\n"])
def test_a_file_without_the_key_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"add M003 to forgotten\.mead by hand"):
        write_exclusion(path, "mead", "M003")
    assert path.read_text(encoding="utf-8") == text
