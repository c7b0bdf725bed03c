"""Check the opcodes of a pickle before reading it, without building anything.

A pickle can make its reader allocate any amount of memory (a memo slot numbered four billion, a
million nested tuples). Scanning the opcodes is cheap and detects that.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass
from typing import IO, Protocol, cast

from pipeline.errors import PipelineError


class UnsafeFileError(PipelineError):
    """A file that is unsafe to read; nothing in it was run or kept."""


@dataclass(frozen=True)
class Limits:
    """Limits of a weights file; larger ones are refused before memory is allocated.

    The largest published file of the kinds known here has 5 GB (an encoder with its optimiser) and
    some 3000 tensors.
    """

    file_bytes: int = 8 << 30
    opcodes: int = 5_000_000
    depth: int = 400
    tensors: int = 50_000


class Stream(Protocol):
    """The source of a pickle."""

    def read(self, n: int = -1, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, position: int, /) -> object: ...


def brief(error: Exception) -> str:
    """An error as one short line."""
    return " ".join(str(error).split())[:100] or type(error).__name__


_GROWS_FIRST = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Opcodes that add to the first object that they take and leave it on the stack."""
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_MARK = -1


class _Depths:
    """The nesting depth of each object on the unpickler's stack and in its memo."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.memo: dict[int, int] = {}

    def apply(self, opcode: pickletools.OpcodeInfo, arg: object) -> int:
        """Apply one opcode; returns the depth of the object on top."""
        name = opcode.name
        if name in _PUTS or name == "MEMOIZE":
            slot = arg if isinstance(arg, int) else len(self.memo)
            self.memo[slot] = max(self.stack[-1], 0)
            return 0
        if name in _GETS:
            self.stack.append(self.memo[int(str(arg))])
            return 0
        taken = self._take(opcode)
        if name in _GROWS_FIRST:
            made = max(taken[0], 1 + max(taken[1:], default=0))
        else:
            made = max(taken, default=0) + (name != "DUP")
        for after in opcode.stack_after:
            self.stack.append(_MARK if after is pickletools.markobject else made)
        return made

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[int]:
        before = list(opcode.stack_before)
        tail: list[int] = []
        if pickletools.markobject in before or (opcode.name == "POP" and self.stack[-1] == _MARK):
            while (top := self.stack.pop()) != _MARK:
                tail.append(top)
            kept = pickletools.markobject in before
            before = before[: before.index(pickletools.markobject)] if kept else []
        head = [self.stack.pop() for _ in before][::-1]
        return [max(depth, 0) for depth in head + tail[::-1]]


def scan(stream: Stream, limits: Limits, what: str) -> None:
    """Scan the opcodes of one pickle, leaving the stream after its end.

    Raises
    ------
    UnsafeFileError
        It is damaged, nested too deep, or numbers more objects than it has.
    """
    depths = _Depths()
    try:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(cast(IO[bytes], stream))):
            if count > limits.opcodes or (opcode.name in _PUTS and int(str(arg)) > limits.opcodes):
                raise UnsafeFileError(
                    f"{what}: a pickle of more than {limits.opcodes} objects is refused"
                )
            if depths.apply(opcode, arg) > limits.depth:
                raise UnsafeFileError(
                    f"{what}: a pickle nested deeper than {limits.depth} is refused"
                )
    except (ValueError, IndexError, KeyError, EOFError, struct.error) as error:
        raise UnsafeFileError(
            f"{what}: damaged, its pickle cannot be read ({brief(error)})"
        ) from None
