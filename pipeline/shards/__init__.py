"""What training holds: shards opened, filtered and read as whole batches. Needs the base install.

>>> from pipeline.shards import Pairs, Windows, as_it_is
>>> pairs = Pairs("data/demo/shards", "train", where=[("mouth_agreement", ">", 0.8)])
>>> loader = torch.utils.data.DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=as_it_is)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.shards.batches import Pairs, Windows, as_it_is
    from pipeline.shards.masks import covered
    from pipeline.shards.reader import Shards

__all__ = ["Pairs", "Shards", "Windows", "as_it_is", "covered"]

# Found on first use: those who write shards need the schema and not the two seconds of torch.
_HOMES = {"Pairs": "batches", "Windows": "batches", "as_it_is": "batches", "covered": "masks",
          "Shards": "reader"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
