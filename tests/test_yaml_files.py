"""Merge conflicts in a params.yaml are named; sections are found without parsing the rest."""

from __future__ import annotations

import pytest

from pipeline import params
from pipeline.errors import ParameterError
from pipeline.yaml_files import conflict_line, parse_yaml, section_keys

CONFLICT = "seed: 1\n<<<<<<< HEAD\nfps: 25\n=======\nfps: 30\n>>>>>>> other\n"


def test_conflict_markers_are_named_with_the_fix() -> None:
    assert conflict_line(CONFLICT) == 2
    assert conflict_line("a: '<<<<<<< HEAD'\n=======\n") is None
    with pytest.raises(
        ParameterError,
        match=r"^params\.yaml has merge conflict markers \(line 2\); edit it to keep one version",
    ):
        parse_yaml(CONFLICT, "params.yaml")


def test_the_keys_of_a_section() -> None:
    assert section_keys(params.default_text(), "datasets") == ["demo"]
    assert section_keys("a:\n  x: 1 # c\n\n  y:\n    z: 2\nb:\n  v: 3", "a") == ["x", "y"]
    assert section_keys("a: {x: 1}\n", "a") == []
    assert section_keys("b: 1\n", "a") == []
