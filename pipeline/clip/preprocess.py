"""open_clip's image preprocessing, in threads and batches.

Resampling is Pillow's, as in open_clip: torch's uint8 kernel takes a quarter of the time, but one
of 200 values differs by one level, which changes a small network's probabilities by 1e-4. Pillow
releases the GIL. Images of the network's size are not resampled.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.clip.network import ImageSettings

U8 = NDArray[np.uint8]
_FILTERS = {"bilinear": Image.Resampling.BILINEAR}
"""open_clip treats any other value as bicubic."""


def resized(image: U8, settings: ImageSettings) -> U8:
    """A square image (h, h, 3) at the network's size (s, s, 3).

    For square images, open_clip's resize modes (shortest and crop, longest, squash) are equal.
    """
    height, width = image.shape[:2]
    size = settings.size_px
    if height != width:
        raise ValueError(f"an image of {width}x{height} is not square")
    if height == size:
        return image
    how = _FILTERS.get(settings.interpolation, Image.Resampling.BICUBIC)
    return np.asarray(Image.fromarray(image).resize((size, size), how))


class Normalise:
    """(x / 255 - mean) / std of pixels in 0..255, on the network's device."""

    def __init__(self, settings: ImageSettings, device: torch.device) -> None:
        mean = torch.tensor(settings.mean, dtype=torch.float64)
        std = torch.tensor(settings.std, dtype=torch.float64)
        shape = (1, 3, 1, 1)
        self._factor = (1 / (255 * std)).to(device, torch.float32).reshape(shape)
        self._offset = (-mean / std).to(device, torch.float32).reshape(shape)
        self._device = device

    def __call__(self, batch: Tensor) -> Tensor:
        """(n, 3, s, s) float32 in the layout of `batch`; asynchronous from pinned memory.

        Batches are channels-last, which makes convolutions on a CPU twice as fast.
        """
        pixels = batch.to(self._device, non_blocking=True).float()
        return torch.addcmul(self._offset, pixels, self._factor)
