"""Render one take: the worker of the stage `demo`."""

from __future__ import annotations

from pathlib import Path

from pipeline.demo_corpus import make
from pipeline.demo_corpus.make import DemoTake, TakeFiles


def make_take(root: Path, state: None, take: DemoTake) -> TakeFiles:
    return make.make_take(take, root)
