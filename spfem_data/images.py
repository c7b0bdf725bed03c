"""Decode JPEG files to tensors in the requested format."""

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

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as in torchvision
_FACTOR: dict[str, tuple[float, float]] = {"0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}


@dataclass(frozen=True)
class ImageFormat:
    """The format of the images of a batch.

    Parameters
    ----------
    order
        RGB, or BGR, which some public ArcFace weights expect.
    size
        Side in pixels; None: as stored. Images are scaled bilinearly with antialiasing.
    values
        `uint8` 0 to 255; float32 `0..1`, `-1..1`, or `imagenet` (normalised by ImageNet's mean and
        standard deviation).
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

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resize and normalise uint8 images (..., 3, h, w) on their device."""
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
    shape = (*pixels.shape[:-2], size, size)
    if not pixels.numel():
        return pixels.new_empty(shape)
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    if flat.device.type != "cpu":  # only the CPU has a kernel for uint8
        flat = flat.float()
    scaled = torch.nn.functional.interpolate(
        flat, size=(size, size), mode="bilinear", antialias=True
    )
    if scaled.dtype != torch.uint8:
        scaled = scaled.round_().clamp_(0, 255).to(torch.uint8)
    return scaled.reshape(shape)


class BufferPool:
    """Memory for batches, reused when a batch is no longer referenced.

    A new block of 6 MB costs a page fault per 4 kB, a tenth of the time to decode its images.
    """

    def __init__(self, kept: int = 16) -> None:
        self.pinned = False
        self._lock = Lock()
        self._kept = kept
        self._buffers: list[NDArray[np.uint8]] = []
        self._unused = self._probe()

    def _probe(self) -> int:
        buffers = [np.empty(1, np.uint8)]
        return sys.getrefcount(buffers[0])

    def take(self, shape: tuple[int, ...]) -> torch.Tensor:
        """An uninitialised uint8 tensor. Its buffer is in use while the tensor or a view exists."""
        if self.pinned:  # torch has its own pool of pinned memory
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return torch.from_numpy(self._buffer(shape))

    def _buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        with self._lock:
            for k in range(len(self._buffers)):
                # more references than the list's own: a batch still uses it
                if (
                    sys.getrefcount(self._buffers[k]) == self._unused
                    and self._buffers[k].shape == shape
                ):
                    return self._buffers[k]
            buffer = np.empty(shape, np.uint8)
            self._buffers.append(buffer)
            del self._buffers[: -self._kept]
            return buffer


MAX_SIDE_PX = 4096
"""Limit for an image in a shard. The pipeline writes at most 1024."""


class InvalidImage(Exception):
    """A file that cannot be decoded into its batch: the problem, and its index in the batch."""

    def __init__(self, problem: str, number: int) -> None:
        super().__init__(problem, number)
        self.problem, self.number = problem, number


class EncodedImages:
    """JPEG files that a device will decode: uint8 tensors, and the shape of the batch."""

    def __init__(self, files: Sequence[bytes], shape: tuple[int, ...]) -> None:
        self.files = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        self.shape = shape

    def decode(self, device: torch.device, order: ColourOrder) -> torch.Tensor:
        """Decode on the device: uint8 (*shape, 3, h, w)."""
        io = import_module("torchvision.io")
        images = io.decode_jpeg(self.files, mode=io.ImageReadMode.RGB, device=device)
        pixels = torch.stack(images)
        pixels = pixels if order == "RGB" else pixels.flip(1)
        return pixels.reshape(*self.shape, *pixels.shape[1:])


def decodes_on(device: torch.device | None) -> bool:
    """Whether torchvision decodes JPEG on this device: on CUDA, if it was built with nvJPEG."""
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
    files: Sequence[bytes], order: ColourOrder, buffers: BufferPool, pool: Executor | None = None
) -> torch.Tensor:
    """Decode JPEG files of one size: uint8 (n, 3, h, w), in memory (n, h, w, 3).

    Raises
    ------
    InvalidImage
        If a file is not a complete JPEG, or its size differs from the first one's.
    """
    if not files:
        return torch.empty(0, 3, 0, 0, dtype=torch.uint8)
    height, width = _size(files[0])
    pixels = buffers.take((len(files), height, width, 3))
    rows = pixels.numpy()

    def decode(number: int) -> None:
        try:
            image = simplejpeg.decode_jpeg(files[number], order, buffer=rows[number])
        except ValueError as error:
            raise InvalidImage(str(error), number) from error
        if image.shape != (height, width, 3):
            problem = f"{image.shape[1]}x{image.shape[0]} px in a batch of {width}x{height} px"
            raise InvalidImage(problem, number)

    jobs = pool.map(decode, range(len(files))) if pool else map(decode, range(len(files)))
    for _ in jobs:  # reading the results raises the errors of the threads
        pass
    return pixels.permute(0, 3, 1, 2)


def _size(file: bytes) -> tuple[int, int]:
    try:
        return image_size(file)
    except ValueError as error:
        raise InvalidImage(str(error), 0) from error


def image_size(file: bytes | NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width in a JPEG's header; memory is allocated for them before decoding.

    Raises
    ------
    ValueError
        If it is not a JPEG, or a side is longer than `MAX_SIDE_PX`.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(file)
    except KeyError as error:
        raise ValueError(f"a JPEG of unknown type {error}") from error
    if max(height, width) > MAX_SIDE_PX:
        raise ValueError(f"{width} x {height} pixels; the limit is {MAX_SIDE_PX} per side")
    return height, width
