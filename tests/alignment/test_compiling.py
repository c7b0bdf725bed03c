"""The kernels are compiled by what the stage calls beforehand, and it knows when they are."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pipeline import params
from pipeline.alignment import batched_scores as many
from pipeline.alignment import compiling
from pipeline.alignment.align import align, pair_frames
from pipeline.alignment.compiling import compile_kernels, is_compiled
from pipeline.alignment.features import take_features
from tests.builders.speech import speak


def _signatures() -> dict[str, int]:
    return {
        f"{module.__name__}.{name}": len(value.signatures)
        for module in compiling._MODULES
        for name, value in vars(module).items()
        if hasattr(value, "py_func")
    }


def test_takes_need_nothing_else_compiled() -> None:
    told = params.load(None).align
    compile_kernels(told)
    before = _signatures()
    assert sum(before.values()) > 15
    a, b = (take_features(speak(3, tempo), told.features) for tempo in (1.0, 1.2))
    many.score_table([a, b], [b, a, a], np.ones((2, 3)), told.steps)
    pair_frames(align(a, b, told), np.arange(40) / 25, np.arange(50) / 25, told)
    assert _signatures() == before
    assert is_compiled()


def test_kernels_older_than_their_source_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("made")
    source, cached = tmp_path / "made.py", tmp_path / "made.kernel-1.py311.nbi"
    source.touch()
    stats = SimpleNamespace(cache_path=str(tmp_path))
    module.__file__ = str(source)
    module.kernel = SimpleNamespace(py_func=len, __name__="kernel", stats=stats)
    monkeypatch.setattr(compiling, "_MODULES", (module,))
    assert not is_compiled()
    cached.touch()
    assert is_compiled()
    os.utime(source, (2e9, 2e9))
    assert not is_compiled()
