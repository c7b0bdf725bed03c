"""params.yaml: read as YAML 1.2, every key checked, one line when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import params
from pipeline.errors import ParameterError


@pytest.fixture
def text() -> str:
    return params.default_text()


def _load(tmp_path: Path, text: str) -> params.Params:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return params.load(path)


def test_defaults_load_and_list_the_demo(text: str, tmp_path: Path) -> None:
    loaded = _load(tmp_path, text)
    assert loaded.dataset("demo").corpus == "demo"
    assert loaded == params.load(None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("crop_px: 512", "crop_px: 12", r"extract\.crop_px: .*greater than or equal to 64, got 12"),
        ("crop_px: 512", "crop_px: '512'", r"extract\.crop_px: .*valid integer, got '512'"),
        ("crop_px: 512", "crop_pixels: 512", r"crop_pixels: no such key; 'crop_px' is missing"),
        ("crop_px: 512", "crop_px: 512\n  colour: red", r"extract\.colour: no such key$"),
        ("method: affine ", "method: magic ", r"pose\.method: .*'affine'.*got 'magic'"),
        ("demo:\n    corpus", "Dëmo:\n    corpus", r"datasets"),
        ("extract:", "extract: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    text: str, tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in text
    with pytest.raises(ParameterError, match=said) as caught:
        _load(tmp_path, text.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_an_unknown_dataset_names_the_known() -> None:
    with pytest.raises(ParameterError, match=r"no dataset 'maed'; it lists: demo"):
        params.load(None).dataset("maed")


def test_an_unknown_split_names_the_known(text: str, tmp_path: Path) -> None:
    loaded = _load(tmp_path, text.replace("split: by_speaker ", "split: by_luck ", 1))
    with pytest.raises(ParameterError, match=r"split 'by_luck'; params.yaml has: .*by_speaker"):
        loaded.split_rule("demo")


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be read"):
        params.load(tmp_path / "absent.yaml")


def test_numbers_are_those_of_yaml_1_2(text: str, tmp_path: Path) -> None:
    changed = text.replace("max_residual: 0.2 ", "max_residual: 2e-1 ", 1)
    assert _load(tmp_path, changed).pose.max_residual == 0.2
