"""What a training leaves while it runs: losses, sheets of pictures, and a place to go on from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.runtime.store import atomic_path, write_bytes, write_json

CHECKPOINT = "checkpoint.pt"
_LOSSES = "losses.csv"


class Journal:
    """The folder of one training.

    Rows wait in memory until `save`, which writes them and the checkpoint: a training that was
    killed and goes on from its checkpoint has the losses of one that was not.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self._recipe = json.loads(json.dumps(recipe))
        self.rows: list[dict[str, float]] = []

    def resume(self) -> dict[str, Any] | None:
        """The state that was saved, or None at a training's begin.

        Raises
        ------
        PipelineError
            Where the folder holds a training by another recipe.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if saved["recipe"] != self._recipe:
            changed = sorted(
                k for k in {*saved["recipe"], *self._recipe}
                if saved["recipe"].get(k) != self._recipe.get(k)
            )  # fmt: skip
            raise PipelineError(
                f"{self.folder} holds a training with another {', '.join(changed)}; "
                "give another folder, or remove it"
            )
        self.rows = saved["rows"]
        return dict(saved["state"])

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Note the losses of a step."""
        self.rows.append({"step": step, **losses})

    def save(self, state: Mapping[str, Any]) -> None:
        """Write checkpoint and losses; each whole or as it was before."""
        with atomic_path(self.folder / CHECKPOINT) as temporary:
            saved = {"recipe": self._recipe, "rows": self.rows, "state": dict(state)}
            torch.save(saved, temporary)
        write_bytes(self.folder / _LOSSES, self._table().encode())
        write_json(self.folder / "recipe.json", self._recipe)

    def _table(self) -> str:
        """The losses as CSV; a step leaves empty what it did not measure."""
        stream = io.StringIO()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return stream.getvalue()

    def sheet(self, name: str, rows: list[Tensor]) -> None:
        """A PNG of rows of pictures (n, 3, h, w) in [-1, 1]."""
        lines = [torch.cat(list(row.detach().float().cpu()), dim=2) for row in rows]
        sheet = ((torch.cat(lines, dim=1).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        image = cv2.cvtColor(np.ascontiguousarray(sheet.transpose(1, 2, 0)), cv2.COLOR_RGB2BGR)
        write_bytes(self.folder / f"{name}.png", cv2.imencode(".png", image)[1].tobytes())
