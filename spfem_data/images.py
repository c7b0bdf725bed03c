"""From JPEG files to the tensor that training reads, in the form asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from typing import Any, Literal

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray

from spfem_data.errors import PipelineError

ColourOrder = Literal["RGB", "BGR"]
Values = Literal["uint8", "0..1", "-1..1", "imagenet"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision has them
_FACTOR: dict[str, tuple[float, float]] = {"0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}


@dataclass(frozen=True)
class ImageFormat:
    """What a picture looks like in a batch.

    Parameters
    ----------
    order
        Of the colours: RGB, or BGR as ArcFace's public weights of some sources want it.
    size
        Side in pixels; None leaves it as stored. Scaled bilinearly without aliasing.
    values
        `uint8` 0 to 255; float32 `0..1`, `-1..1`, or `imagenet` (less its mean, over its spread).
    """

    order: ColourOrder = "RGB"
    size: int | None = None
    values: Values = "uint8"

    def __post_init__(self) -> None:
        if self.order not in ("RGB", "BGR"):
            raise PipelineError(f"order {self.order!r}: expected RGB or BGR")
        if self.values not in ("uint8", "0..1", "-1..1", "imagenet"):
            raise PipelineError(
                f"values {self.values!r}: expected 'uint8', '0..1', '-1..1' or 'imagenet'"
            )
        if self.size is not None and self.size < 1:
            raise PipelineError(f"size {self.size}: expected at least 1 pixel")

    def finish(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scale uint8 (..., 3, h, w) and map its values, on the device where it lies."""
        if self.size is not None and pixels.shape[-2:] != (self.size, self.size):
            pixels = _scaled(pixels, self.size)
        if self.values == "uint8":
            return pixels
        if self.values == "imagenet":
            step = 1 if self.order == "RGB" else -1
            mean, std = (
                torch.tensor(v[::step], device=pixels.device).reshape(3, 1, 1)
                for v in (_MEAN, _STD)
            )
            return pixels.float().div_(255).sub_(mean).div_(std)
        factor, offset = _FACTOR[self.values]
        return pixels.float().mul_(factor).add_(offset)


def _scaled(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Float in between where the device has no kernel for whole numbers."""
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    whole = flat if flat.device.type == "cpu" else flat.float()
    found = torch.nn.functional.interpolate(
        whole, size=(size, size), mode="bilinear", antialias=True
    )
    if found.dtype != torch.uint8:
        found = found.round_().clamp_(0, 255).to(torch.uint8)
    return found.reshape(*pixels.shape[:-2], size, size)


class Blocks:
    """Memory for batches, used again when nobody holds the batch any more.

    A fresh block of 6 MB costs a page fault every 4 kB, a tenth of the decoding that goes into it.
    """

    def __init__(self, kept: int = 16) -> None:
        self.pinned = False
        self._lock = Lock()
        self._kept = kept
        self._blocks: list[NDArray[np.uint8]] = []
        self._alone = self._probe()

    def _probe(self) -> int:
        blocks = [np.empty(1, np.uint8)]
        return sys.getrefcount(blocks[0])

    def take(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Uninitialised uint8; the block is in use as long as the tensor or a view of it lives."""
        if self.pinned:  # torch keeps and reuses page-locked memory itself
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return torch.from_numpy(self._block(shape))

    def _block(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        with self._lock:
            for k in range(len(self._blocks)):
                # a count above that of the list's own reference: a batch still holds it
                if (
                    sys.getrefcount(self._blocks[k]) == self._alone
                    and self._blocks[k].shape == shape
                ):
                    return self._blocks[k]
            block = np.empty(shape, np.uint8)
            self._blocks.append(block)
            del self._blocks[: -self._kept]
            return block


MAX_SIDE_PX = 4096
"""Of a picture in a shard; those that are written have at most 1024."""


class BadPicture(Exception):
    """A file that cannot be decoded into its batch: what is wrong, and its number there."""

    def __init__(self, problem: str, number: int) -> None:
        super().__init__(problem, number)
        self.problem, self.number = problem, number


class Encoded:
    """Pictures that a device will decode: JPEG files as uint8 tensors, in the shape of a batch."""

    def __init__(self, files: Sequence[bytes], shape: tuple[int, ...]) -> None:
        self.files = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        self.shape = shape

    def decode(self, device: torch.device, order: ColourOrder) -> torch.Tensor:
        """Decoded on the device: uint8 (*shape, 3, h, w)."""
        io = import_module("torchvision.io")
        found = io.decode_jpeg(self.files, mode=io.ImageReadMode.RGB, device=device)
        pixels = torch.stack(found)
        pixels = pixels if order == "RGB" else pixels.flip(1)
        return pixels.reshape(*self.shape, *pixels.shape[1:])


def decodes_on(device: torch.device | None) -> bool:
    """Whether torchvision decodes JPEG on this device: it does on CUDA, where it was built so."""
    if device is None or device.type != "cuda":
        return False
    try:
        io: Any = import_module("torchvision.io")
        sample = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
        io.decode_jpeg([torch.frombuffer(bytearray(sample), dtype=torch.uint8)], device=device)
    except (ImportError, RuntimeError, AttributeError):
        return False
    return True


def decode_into(
    files: Sequence[bytes], order: ColourOrder, blocks: Blocks, pool: Executor | None = None
) -> torch.Tensor:
    """JPEG files of one size as uint8 (n, 3, h, w); the memory lies as (n, h, w, 3).

    Raises
    ------
    BadPicture
        Where a file is not a whole JPEG, or not of the first one's size.
    """
    height, width = _size(files[0])
    pixels = blocks.take((len(files), height, width, 3))
    rows = pixels.numpy()

    def decode(number: int) -> None:
        try:
            found = simplejpeg.decode_jpeg(files[number], order, buffer=rows[number])
        except ValueError as error:
            raise BadPicture(str(error), number) from error
        if found.shape != (height, width, 3):
            problem = f"{found.shape[1]}x{found.shape[0]} px beside {width}x{height}"
            raise BadPicture(problem, number)

    jobs = pool.map(decode, range(len(files))) if pool else map(decode, range(len(files)))
    for _ in jobs:  # drawing the results raises what a thread raised
        pass
    return pixels.permute(0, 3, 1, 2)


def _size(file: bytes) -> tuple[int, int]:
    try:
        return picture_size(file)
    except ValueError as error:
        raise BadPicture(str(error), 0) from error


def picture_size(file: bytes | NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width that a JPEG's head claims: memory is taken for them before it is decoded.

    Raises
    ------
    ValueError
        Where it is no JPEG, or of a side beyond `MAX_SIDE_PX`.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(file)
    except KeyError as error:
        raise ValueError(f"a JPEG of the unknown kind {error}") from error
    if max(height, width) > MAX_SIDE_PX:
        raise ValueError(f"{width} x {height} pixels; at most {MAX_SIDE_PX} a side")
    return height, width
