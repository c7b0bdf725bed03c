"""Inert stand-ins for everything that a pickle may name.

All calls of a pickle end here. Attributes cannot be set on these objects, and no value of the
pickle reaches torch, numpy or the standard library before it is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from pipeline.models.pickle_scan import UnsafeFileError
from pipeline.models.stored_tensors import Storage, StoredTensor, sensible


class _Sealed(type):
    """Metaclass of classes that a pickle may name; it cannot set their attributes."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError(f"{cls.__name__} cannot be changed")


class Bag(dict[Any, Any], metaclass=_Sealed):
    """Any dictionary class; attributes set by the pickle are dropped."""

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""


class Attributes(Bag):
    """An object that only has attributes (argparse.Namespace), as a dictionary."""

    def __setstate__(self, state: object) -> None:
        """Keep the attributes."""
        if isinstance(state, dict):
            self.update(state)


class TfNetwork(metaclass=_Sealed):
    """A network of the TensorFlow version, recognised for its error message."""

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""


class PersistentObject(NamedTuple):
    """An object of NVIDIA's pickles: class name and state; its source text is dropped, not run."""

    class_name: str
    state: dict[str, Any]


class NumpyType:
    """A little-endian numpy number type."""

    __slots__ = ("code",)

    def __init__(self, code: object) -> None:
        if not isinstance(code, str) or code not in _NUMPY_CODES:
            raise UnsafeFileError("an array of other things than numbers is refused")
        self.code = code

    def __setstate__(self, state: object) -> None:
        """The byte order is what matters of the state; records and objects are refused."""
        order = state[1] if isinstance(state, tuple) and len(state) > 4 else None
        if order not in ("<", "|", "=") or state[2:5] != (None, None, None):  # type: ignore[index]
            raise UnsafeFileError("an array that is not plain little-endian numbers is refused")

    def array(self, raw: object, shape: tuple[int, ...], order: str = "C") -> np.ndarray[Any, Any]:
        """An array over bytes, after its size was checked."""
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        dtype = np.dtype("<" + self.code)
        if not isinstance(raw, bytes) or not sensible(shape):
            raise UnsafeFileError("an array without a sensible shape is refused")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise UnsafeFileError(f"an array of shape {shape} claims other than its bytes: refused")
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C")


_NUMPY_CODES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class NumpyArray:
    """A numpy array, empty until its state is set."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = np.zeros(0, np.float32)

    def __setstate__(self, state: object) -> None:
        """Version, shape, type, whether columns come first, bytes."""
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], NumpyType):
            raise UnsafeFileError("an array without a sensible state is refused")
        self.value = state[2].array(state[4], state[1], "F" if state[3] else "C")


class Call:
    """A function that a pickle may call, without settable attributes."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: object) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("this cannot be changed")


def of_persistent(meta: object) -> PersistentObject:
    """A module of NVIDIA's pickles."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise UnsafeFileError("a network without its class name is refused")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise UnsafeFileError("a network without its state is refused")
    return PersistentObject(name, state)


def encode_latin1(text: object, encoding: object = "latin1") -> bytes:
    """Bytes in the encoding of older pickles."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UnsafeFileError("text in another encoding than latin1 is refused")
    return text.encode("latin1")


def of_tensor(storage: object, offset: Any, shape: Any, stride: Any, *_: object) -> StoredTensor:
    """A tensor over a storage; checked when it is read."""
    if not isinstance(storage, Storage):
        raise UnsafeFileError("a tensor without a storage is refused")
    return StoredTensor(storage, offset, as_shape(shape), as_shape(stride))


def of_parameter(tensor: object, *_: object) -> StoredTensor:
    """A parameter: its tensor."""
    if not isinstance(tensor, StoredTensor):
        raise UnsafeFileError("a parameter that is no tensor is refused")
    return tensor


def make_set(items: Iterable[Any] = ()) -> set[Any]:
    """A set."""
    return set(items)


def join_parts(*parts: object) -> str:
    """A path or a device, as text."""
    # Not str() of anything else: a few nested lists can be made to print without end.
    return "/".join(str(p) for p in parts if isinstance(p, str | int)).replace("//", "/")


def as_shape(shape: object) -> tuple[Any, ...]:
    """A shape, of numbers that are not checked yet."""
    if not isinstance(shape, tuple | list):
        raise UnsafeFileError("a shape that is no list of numbers is refused")
    return tuple(shape)


def of_scalar(kind: object, raw: object = None) -> Any:
    """One number of numpy."""
    if not isinstance(kind, NumpyType):
        raise UnsafeFileError("a number without its type is refused")
    return kind.array(raw, ()).item()


def of_flat(raw: object, kind: object, shape: Any, order: object = "C") -> NumpyArray:
    """An array of numpy, as protocol 5 writes it."""
    if not isinstance(kind, NumpyType):
        raise UnsafeFileError("an array without its type is refused")
    array, order = NumpyArray(), "F" if order == "F" else "C"
    array.value = kind.array(bytes(raw) if isinstance(raw, bytearray) else raw, shape, order)
    return array
