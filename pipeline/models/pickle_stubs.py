"""Inert stand-ins for everything that a pickle may name.

All calls of a pickle end here. Attributes cannot be set on these objects, and no value of the
pickle reaches torch, numpy or the standard library before it is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.models.pickle_scan import UnsafeFileError
from pipeline.models.stored_tensors import Storage, StoredTensor


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


class Ignored(metaclass=_Sealed):
    """A value that no weights are made of, such as a path, a device or an array of numpy.

    Whatever the pickle passes is dropped, so that no size that it claims is believed.
    """

    def __init__(self, *values: object) -> None:
        """Drop the values."""

    def __setstate__(self, state: object) -> None:
        """Drop the state."""


class TfNetwork(Ignored):
    """A network of the TensorFlow version, recognised for its error message."""


class PersistentObject(NamedTuple):
    """An object of NVIDIA's pickles: class name and state; its source text is dropped, not run."""

    class_name: str
    state: dict[str, Any]


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


def as_shape(shape: object) -> tuple[Any, ...]:
    """A shape, of numbers that are not checked yet."""
    if not isinstance(shape, tuple | list):
        raise UnsafeFileError("a shape that is no list of numbers is refused")
    return tuple(shape)
