"""What every command needs first: the libraries of the pipeline, and params.yaml."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import MissingExtraError

if TYPE_CHECKING:
    from pipeline.params import Params


def require_build() -> None:
    """Stop with one line where the extra `build` is not installed."""
    for library in ("pydantic", "ruamel.yaml", "av", "librosa", "dtw", "mediapipe"):
        try:
            found = importlib.util.find_spec(library)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise MissingExtraError(library, "build")


def load_params(path: Path | None) -> Params:
    """params.yaml: the one named, the one here, or the package's own (and says so)."""
    require_build()
    from pipeline import params
    from pipeline.runtime import numerics

    here = Path("params.yaml")
    if path is None and not here.is_file():
        from cli import console

        console.note("no params.yaml here: taking the defaults that the package carries")
    found = params.load(path or (here if here.is_file() else None))
    numerics.insist(found.numerics)
    return found
