"""What most commands need first: the libraries of the pipeline, and params.yaml."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import MissingExtraError

if TYPE_CHECKING:
    from pipeline.params import Params


def require_build() -> None:
    """Raise `MissingExtraError` unless the extra `build` is installed."""
    for library in ("pydantic", "ruamel.yaml", "av", "librosa", "dtw", "mediapipe"):
        try:
            spec = importlib.util.find_spec(library)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            raise MissingExtraError(library, "build")


def load_params(path: Path | None) -> Params:
    """The named params.yaml, else the one here, else the package's defaults, with a note."""
    require_build()
    from pipeline import params
    from pipeline.runtime import numerics

    here = Path("params.yaml")
    if path is None and not here.is_file():
        from cli import console

        console.note("no params.yaml here or in a folder above: using the package's defaults")
    loaded = params.load(path or (here if here.is_file() else None))
    numerics.insist(loaded.numerics)
    return loaded
