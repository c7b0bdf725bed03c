"""The networks of the synthetic stages: images to codes, codes to images, identity.

A worker loads them once. Images are (s, s, 3) uint8 RGB outside, tensors in [-1, 1] inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.stylegan.arcface import ArcFace, face_of_aligned
from pipeline.stylegan.encoders import WPlusEncoder
from pipeline.stylegan.generator import Generator

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


Clarity = Callable[[Sequence[U8]], F32]
"""Probabilities (n, 7) of images in the order of `spfem_data.labels.EMOTIONS`."""
Features = Callable[[Tensor], Sequence[Tensor]]
"""Feature maps of images (n, 3, s, s) in [-1, 1], for perceptual differences."""


@dataclass(frozen=True)
class Networks:
    """Loaded networks on one device.

    `encoder`, `identity`, `features` and `clarity` are None if not needed or not given.
    """

    generator: Generator
    encoder: WPlusEncoder | None
    identity: ArcFace | None
    features: Features | None
    clarity: Clarity | None
    device: str
    precision: str
    batch: int

    @property
    def n_latent(self) -> int:
        """Rows of a code."""
        return self.generator.config.n_latent

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self.generator.config.style_dim

    @property
    def size_px(self) -> int:
        """Side of the generator's images."""
        return self.generator.config.size

    @property
    def input_px(self) -> int:
        """Side of the encoder's input."""
        assert self.encoder is not None
        return self.encoder.config.input_px

    def encode(self, images: Sequence[U8]) -> F32:
        """W+ codes (n, n_latent, dim) of aligned images at the encoder's input size."""
        assert self.encoder is not None
        return self._mapped(self.encoder, images)

    def generate(self, codes: F32 | F64) -> list[U8]:
        """Images (size, size, 3) of W+ codes (n, n_latent, dim), all with the stored noise."""
        made: list[U8] = []
        with torch.inference_mode(), self._autocast():
            for start in range(0, len(codes), self.batch):
                some = torch.from_numpy(codes[start : start + self.batch].astype(np.float32))
                made.extend(to_images(self.generator(some.to(self.device))))
        return made

    def embed(self, images: Sequence[U8]) -> F32 | None:
        """ArcFace embeddings (n, d) of FFHQ-aligned images; None without a network."""
        identity = self.identity
        if identity is None:
            return None
        return self._mapped(
            lambda x: identity(face_of_aligned(x, identity.config.input_px)), images
        )

    def _mapped(self, network: Callable[[Tensor], Tensor], images: Sequence[U8]) -> F32:
        """The network's output for images, batch by batch."""
        with torch.inference_mode(), self._autocast():
            parts = [
                network(self.tensor(some)).float().cpu().numpy()
                for some in _batches(images, self.batch)
            ]
        return np.asarray(np.concatenate(parts), np.float32)

    def unlike(self, sources: Sequence[U8], made: Sequence[U8]) -> F32 | None:
        """Mean squared difference (n,) of the feature maps of images of one size (eq. 8)."""
        if self.features is None:
            return None
        parts = []
        with torch.inference_mode(), self._autocast():
            for a, b in zip(_batches(sources, self.batch), _batches(made, self.batch), strict=True):
                maps = zip(
                    self.features(self.tensor(a)), self.features(self.tensor(b)), strict=True
                )
                gaps = [(one - two).float().square().mean(dim=(1, 2, 3)) for one, two in maps]
                parts.append(torch.stack(gaps).mean(dim=0).cpu().numpy())
        return np.asarray(np.concatenate(parts), np.float32)

    def tensor(self, images: Sequence[U8]) -> Tensor:
        """Images of one size as (n, 3, s, s) in [-1, 1] on the device."""
        stacked = torch.from_numpy(np.stack(list(images))).to(self.device)
        return stacked.permute(0, 3, 1, 2).float() / 127.5 - 1.0

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bf16")


def to_images(tensor: Tensor) -> list[U8]:
    """(n, 3, s, s) in [-1, 1] as images: x * 127.5 + 128, clamped and truncated, as NVIDIA does."""
    levels = (tensor.float() * 127.5 + 128.0).clamp(0, 255).to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def brought_to(images: Sequence[U8], size_px: int) -> list[U8]:
    """Images at another size: area averages to shrink (as pSp pools), bicubic to enlarge."""
    if not images or images[0].shape[0] == size_px:
        return list(images)
    stacked = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float()
    if images[0].shape[0] > size_px:
        sized = functional.adaptive_avg_pool2d(stacked, size_px)
    else:
        sized = functional.interpolate(stacked, (size_px, size_px), mode="bicubic")
    levels = sized.round().clamp(0, 255).to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).contiguous().numpy())


def pixel_errors(sources: Sequence[U8], made: Sequence[U8]) -> F32:
    """Root mean square difference (n,) of images of one size, in units of a pixel's range."""
    gaps = [
        np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)) / 255
        for a, b in zip(sources, made, strict=True)
    ]
    return np.array(gaps, dtype=np.float32)


def cosines(a: F32, b: F32) -> F32:
    """Cosine (n,) of unit vectors (n, d)."""
    return np.asarray((a * b).sum(axis=1), dtype=np.float32)


def _batches(items: Sequence[U8], size: int) -> Iterator[Sequence[U8]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
