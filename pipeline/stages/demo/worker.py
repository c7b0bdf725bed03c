"""Drawing one take: what the workers of the stage `demo` do."""

from __future__ import annotations

from pathlib import Path

from pipeline.demo_corpus import make
from pipeline.demo_corpus.make import DemoTake, TakeFiles


def make_take(root: Path, state: None, take: DemoTake) -> TakeFiles:
    return make.make_take(take, root)
