"""Collects the packages `pipeline` and `cli` from the root of the repository, or of the sdist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SourceHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what this folder does not hold itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # `dev-mode-dirs` puts the repository itself on the path
        here = Path(self.root)
        source = here if (here / "pipeline").is_dir() else here.parents[1]
        params = "params.yaml" if self.target_name == "sdist" else "pipeline/params.yaml"
        places = {"pipeline": "pipeline", "cli": "cli", "params.yaml": params}
        if self.target_name == "sdist" and source == here:
            return  # an sdist made from an sdist holds them already
        for name, place in places.items():
            build_data["force_include"][str(source / name)] = place
