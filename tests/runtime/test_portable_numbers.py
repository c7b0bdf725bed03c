"""Portable numbers are these, whatever the processor and the caller's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime import numerics

PINS = ("numpy", "scipy", "torch", "opencv-contrib-python", "scikit-learn", "soxr")
"""The libraries that compute here: other versions may give other bytes."""
_LINES = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").splitlines()
_PINNED = dict(line.split("==") for line in _LINES)
_FOUND = numerics.fingerprint("portable")
pytestmark = [
    pytest.mark.skipif(_FOUND["machine"] != "x86_64", reason="portable mode pins x86-64"),
    pytest.mark.skipif(
        any(_FOUND["libraries"][name].split("+")[0] != _PINNED[name] for name in PINS),
        reason="the digests are those of the versions in constraints.txt",
    ),
]
_MISLED = {
    "MKL_CBWR": "AUTO", "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2",
    "OPENCV_IPP": "sse42", "SOXR_USE_SIMD": "0",
}  # fmt: skip
"""Settings of a caller, each of which changes bytes where it is heeded."""
COMPUTED = {
    "gram": "c7a0524563192bdb",
    "logarithm": "2312689bf9d389b5",
    "readout": "475e0cf2c34f779a",
    "enlarged": "135d4e7ee3485250",
    "reduced": "41210b2cca5722cc",
    "linear": "e5f81cb4fcb00f41",
    "linear_unaligned": "e5f81cb4fcb00f41",
    "exponential": "f98bc36f848ca860",
    "resampled": "c6406019415ce520",
}
"""As seen on an AMD Zen 3 and an emulated Intel Haswell, with the versions of constraints.txt."""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a program in portable mode chose and computed, whose caller wished otherwise."""
    cleared = numerics.cleared("portable")
    kept = {n: value for n, value in {**os.environ, **_MISLED}.items() if n not in cleared}
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.computed"],
        env={**kept, **numerics.settings("portable")}, cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_libraries_use_the_instructions_of_haswell_on_one_thread(found: dict[str, Any]) -> None:
    assert found["chosen"] == {
        "openblas": ["Haswell"],
        "threads": 1,
        "ipp": "ippIP AVX2 (l9)",
        "torch": "AVX2",
        "numpy": ["SSSE3", "SSE41", "POPCNT", "SSE42", "AVX", "F16C", "FMA3", "AVX2"],
    }


@pytest.mark.parametrize("name", COMPUTED)
def test_numbers_are_those_of_other_processors(found: dict[str, Any], name: str) -> None:
    assert found["computed"][name] == COMPUTED[name]
