"""Pictures as open_clip's own preprocessing gives them, made in threads and normalised in batches.

Resampling is Pillow's, as there: torch's uint8 kernel takes a quarter of its time and is off by a
level in one value of two hundred, which moves probabilities of a small network by 1e-4. It runs
without the interpreter's lock, and not at all where a picture already has the network's side.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.clip.network import PictureSettings

U8 = NDArray[np.uint8]
_FILTERS = {"bilinear": Image.Resampling.BILINEAR}
"""Anything else open_clip takes for bicubic."""


def resized(picture: U8, settings: PictureSettings) -> U8:
    """A square picture (h, h, 3) at the network's side (s, s, 3).

    For square pictures open_clip's resize modes (shortest and crop, longest, squash) are one.
    """
    height, width = picture.shape[:2]
    size = settings.size_px
    if height != width:
        raise ValueError(f"a picture of {width}x{height} is not square")
    if height == size:
        return picture
    how = _FILTERS.get(settings.interpolation, Image.Resampling.BICUBIC)
    return np.asarray(Image.fromarray(picture).resize((size, size), how))


class Normalise:
    """(x / 255 - mean) / std of pixels in 0..255, on the network's device."""

    def __init__(self, settings: PictureSettings, device: torch.device) -> None:
        mean = torch.tensor(settings.mean, dtype=torch.float64)
        std = torch.tensor(settings.std, dtype=torch.float64)
        shape = (1, 3, 1, 1)
        self._factor = (1 / (255 * std)).to(device, torch.float32).reshape(shape)
        self._offset = (-mean / std).to(device, torch.float32).reshape(shape)
        self._device = device

    def __call__(self, batch: Tensor) -> Tensor:
        """(n, 3, s, s) float32 in the layout of `batch`; from pinned memory nothing waits.

        Pictures come with their channels last, in which convolutions are twice as fast on a CPU.
        """
        pixels = batch.to(self._device, non_blocking=True).float()
        return torch.addcmul(self._offset, pixels, self._factor)
