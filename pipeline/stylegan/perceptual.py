"""VGG's features (Simonyan, Zisserman 2015), for perceptual similarity (SSERD eq. 8).

Layers are named as in torchvision's files; the classifier is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VggConfig:
    """Channels of the convolutions of each stage; stages are separated by pooling."""

    stages: tuple[tuple[int, ...], ...] = VGG19

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(tuple(stage) for stage in self.stages))
        if not self.stages or min(min(stage, default=0) for stage in self.stages) < 1:
            raise ValueError(f"stages {self.stages}: channel counts of at least one stage")


class Vgg(nn.Module):
    """Feature maps at the end of each stage, before its pooling."""

    def __init__(self, config: VggConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        self.ends: list[int] = []
        before = 3
        for stage in config.stages:
            for channels in stage:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            self.ends.append(len(layers) - 1)
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps, fine to coarse, of RGB images (n, 3, s, s) in [-1, 1]."""
        mean, spread = (
            torch.tensor(v, device=images.device, dtype=images.dtype).reshape(1, 3, 1, 1)
            for v in (_MEAN, _SPREAD)
        )
        x = ((images + 1) / 2 - mean) / spread
        found = []
        for k, layer in enumerate(self.features):
            x = layer(x)
            if k in self.ends:
                found.append(x)
            if k == self.ends[-1]:
                break
        return found
