"""Files that a training writes while it runs: losses, image sheets, checkpoints."""

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

    Rows are kept in memory until `save` writes them with the checkpoint, so that a resumed training
    has the same losses as an uninterrupted one.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self._recipe = json.loads(json.dumps(recipe))
        self.rows: list[dict[str, float]] = []

    def resume(self) -> dict[str, Any] | None:
        """The saved state; None for a new training.

        Raises
        ------
        PipelineError
            When the folder contains a training with other settings.
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
                f"{self.folder} contains a training with another {', '.join(changed)}; "
                "give another folder, or remove it"
            )
        self.rows = saved["rows"]
        return dict(saved["state"])

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Record the losses of a step."""
        self.rows.append({"step": step, **losses})

    def save(self, state: Mapping[str, Any]) -> None:
        """Write checkpoint and losses atomically."""
        with atomic_path(self.folder / CHECKPOINT) as temporary:
            saved = {"recipe": self._recipe, "rows": self.rows, "state": dict(state)}
            torch.save(saved, temporary)
        write_bytes(self.folder / _LOSSES, self._table().encode())
        write_json(self.folder / "recipe.json", self._recipe)

    def _table(self) -> str:
        """The losses as CSV; values that a step did not measure are empty."""
        stream = io.StringIO()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return stream.getvalue()

    def sheet(self, name: str, rows: list[Tensor]) -> None:
        """Write a PNG with rows of images (n, 3, h, w) in [-1, 1]."""
        lines = [torch.cat(list(row.detach().float().cpu()), dim=2) for row in rows]
        sheet = ((torch.cat(lines, dim=1).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        image = cv2.cvtColor(np.ascontiguousarray(sheet.transpose(1, 2, 0)), cv2.COLOR_RGB2BGR)
        write_bytes(self.folder / f"{name}.png", cv2.imencode(".png", image)[1].tobytes())
