"""Read the shards in training: select rows, load whole batches, resume.

>>> from spfem_data import Loader, Pairs
>>> pairs = Pairs("data/demo/shards", "train", where=[("mouth_agreement", ">", 0.8)])
>>> loader = Loader(pairs, batch_size=32, seed=1)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spfem_data.datasets import Pairs, Windows, identity_collate
    from spfem_data.emotions import CerlTuples, Emotions
    from spfem_data.errors import PipelineError, SpfemError, TableError
    from spfem_data.families import Families
    from spfem_data.images import ImageFormat
    from spfem_data.labels import EMOTIONS, SPLITS
    from spfem_data.loader import Loader
    from spfem_data.masks import valid_mask
    from spfem_data.protocols import Trial, read_protocol
    from spfem_data.quads import SserdQuads
    from spfem_data.reader import Shards
    from spfem_data.regularise import Regularisation
    from spfem_data.samplers import AscclPairs, CcrlTriplets, StcclWindows

__all__ = [
    "EMOTIONS",
    "SPLITS",
    "AscclPairs",
    "CcrlTriplets",
    "CerlTuples",
    "Emotions",
    "Families",
    "ImageFormat",
    "Loader",
    "Pairs",
    "PipelineError",
    "Regularisation",
    "Shards",
    "SpfemError",
    "SserdQuads",
    "StcclWindows",
    "TableError",
    "Trial",
    "Windows",
    "identity_collate",
    "read_protocol",
    "valid_mask",
]

# Imported on first use: `import spfem_data.schema` must not take the two seconds of torch.
_MODULES = {
    "datasets": ("Pairs", "Windows", "identity_collate"),
    "emotions": ("CerlTuples", "Emotions"),
    "errors": ("PipelineError", "SpfemError", "TableError"),
    "families": ("Families",),
    "labels": ("EMOTIONS", "SPLITS"),
    "loader": ("Loader",),
    "masks": ("valid_mask",),
    "images": ("ImageFormat",),
    "protocols": ("Trial", "read_protocol"),
    "quads": ("SserdQuads",),
    "reader": ("Shards",),
    "regularise": ("Regularisation",),
    "samplers": ("AscclPairs", "CcrlTriplets", "StcclWindows"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
