"""Read a pickle of weights without running anything that it names.

A pickle is a program that calls what it names. This reader accepts a short list of names, those
that weights files use, each bound to an inert function; any other name stops it. No callable of
torch, numpy or the standard library is reachable. Tensors stay on disk; the result holds their
positions.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NoReturn

import torch

from pipeline.models import pickle_stubs
from pipeline.models.pickle_scan import Limits, Stream, UnsafeFileError, brief, scan
from pipeline.models.pickle_stubs import Call
from pipeline.models.stored_tensors import DTYPES, Storage, StorageType

_IGNORED = (
    "builtins.set", "__builtin__.set", "torch.device", "pathlib.PosixPath", "pathlib.WindowsPath",
    "numpy.dtype", "numpy.ndarray",
    *(f"numpy.{core}.{name}" for core in ("core", "_core") for name in (
        "multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer",
    )),
)  # fmt: skip
"""Names of values that training options hold and no weights need."""


def _names(nested: Callable[[object], Storage]) -> dict[str, Any]:
    """The names that a pickle may use, built for each reading."""
    names: dict[str, Any] = {
        "collections.OrderedDict": pickle_stubs.Bag,
        "dnnlib.util.EasyDict": pickle_stubs.Bag,
        "argparse.Namespace": pickle_stubs.Attributes,
        "dnnlib.tflib.network.Network": pickle_stubs.TfNetwork,
        "torch_utils.persistence._reconstruct_persistent_obj": Call(pickle_stubs.of_persistent),
        "_codecs.encode": Call(pickle_stubs.encode_latin1),
        "torch._utils._rebuild_tensor": Call(pickle_stubs.of_tensor),
        "torch._utils._rebuild_tensor_v2": Call(pickle_stubs.of_tensor),
        "torch._utils._rebuild_parameter": Call(pickle_stubs.of_parameter),
        "torch.storage._load_from_bytes": Call(nested),
        "torch.Size": Call(pickle_stubs.as_shape),
        "torch.storage.UntypedStorage": StorageType(torch.uint8),
    }
    names |= dict.fromkeys(_IGNORED, pickle_stubs.Ignored)
    for kind, dtype in DTYPES.items():
        names[f"torch.{kind}Storage"] = StorageType(dtype)
        names[f"torch.{str(dtype).removeprefix('torch.')}"] = StorageType(dtype)
    return names


Storages = Callable[[tuple[Any, ...]], Storage]
"""The storage of a persistent id, torch's name of a storage."""


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, stream: Stream, what: str, storages: Storages | None, names: dict[str, Any]
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self._what, self._storages, self._names = what, storages, names

    def find_class(self, module: str, name: str) -> Any:
        found = self._names.get(f"{module}.{name}")
        if found is None:
            self._refuse(f"it names {module}.{name}, which no weights need")
        return found

    def persistent_load(self, pid: Any) -> Any:
        if self._storages is None or not isinstance(pid, tuple):
            self._refuse("it names things outside itself")
        return self._storages(pid)

    def _refuse(self, why: str) -> NoReturn:
        raise UnsafeFileError(f"{self._what} is refused: {why}; nothing of it was run")


_DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError,
    OverflowError,
)  # fmt: skip
"""What an unpickler raises on a damaged stream."""


def load(
    stream: Stream,
    what: str,
    limits: Limits,
    nested: Callable[[object], Storage],
    storages: Storages | None = None,
) -> Any:
    """Read one pickle from the stream.

    Parameters
    ----------
    what
        Name of the file, for messages.
    nested
        Reads a storage that is a torch file inside the pickle.
    storages
        Returns the storage of a persistent id; None if the format has none.

    Returns
    -------
    Dictionaries, lists, numbers, text, and the classes of `pickle_stubs` and `stored_tensors`.

    Raises
    ------
    UnsafeFileError
        It names anything else, or is damaged.
    """
    start = stream.tell()
    scan(stream, limits, what)
    end = stream.tell()
    stream.seek(start)
    try:
        value = _Unpickler(stream, what, storages, _names(nested)).load()
    except _DAMAGE as error:
        raise UnsafeFileError(
            f"{what}: damaged, its pickle cannot be read ({brief(error)})"
        ) from None
    stream.seek(end)
    return value
