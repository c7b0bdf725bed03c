"""ArcFace networks: map a face to a unit vector; the cosine is the similarity of two people.

Two published bodies: IR-SE-50, which pSp and e4e train with, and insightface's iresnet50
(Deng et al. 2019). Both read RGB faces of 112 px in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from pipeline.stylegan import irse


@dataclass(frozen=True)
class ArcFaceConfig:
    """The architecture: body, widths, length of the vector, input size."""

    body: Literal["irse", "iresnet"]
    units: tuple[int, ...] = irse.UNITS
    widths: tuple[int, ...] = irse.WIDTHS
    dim: int = 512
    input_px: int = 112

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", tuple(self.units))
        object.__setattr__(self, "widths", tuple(self.widths))
        if self.body not in ("irse", "iresnet"):
            raise ValueError(f"body {self.body!r}: expected irse or iresnet")
        irse.check(self.units, self.widths)
        if self.input_px < 16 or self.input_px % 16 or self.dim < 1:
            raise ValueError(f"input_px {self.input_px}: expected a multiple of 16")

    @property
    def n_flat(self) -> int:
        """Number of features before the last linear layer."""
        return self.widths[3] * (self.input_px // 16) ** 2


def face_of_aligned(images: Tensor, input_px: int = 112) -> Tensor:
    """Crop the input of an identity network from FFHQ-aligned images, like e4e.

    Parameters
    ----------
    images
        (n, 3, s, s) in [-1, 1], aligned as FFHQ; resized to 256 px first.

    Returns
    -------
    (n, 3, input_px, input_px)
    """
    if images.shape[-1] > 256:
        images = functional.adaptive_avg_pool2d(images, 256)
    elif images.shape[-1] < 256:
        images = functional.interpolate(images, (256, 256), mode="bilinear", antialias=True)
    return functional.adaptive_avg_pool2d(images[:, :, 35:223, 32:220], input_px)


class ArcFace(nn.Module):
    """Base of both bodies: the embedding is the normalised output."""

    def __init__(self, config: ArcFaceConfig) -> None:
        super().__init__()
        self.config = config

    def vector(self, faces: Tensor) -> Tensor:
        """The network's own output (n, dim), of any length."""
        raise NotImplementedError

    def forward(self, faces: Tensor) -> Tensor:
        """RGB faces (n, 3, input_px, input_px) in [-1, 1] to unit vectors (n, dim)."""
        px = self.config.input_px
        if faces.shape[1:] != (3, px, px):
            raise ValueError(f"faces are {tuple(faces.shape)}; expected (n, 3, {px}, {px})")
        return functional.normalize(self.vector(faces), dim=1)


class IrSe50(ArcFace):
    """The IR-SE-50 body with its output layer."""

    def __init__(self, config: ArcFaceConfig) -> None:
        super().__init__(config)
        self.input_layer = irse.stem(3, config.widths[0])
        self.body = irse.body(config.units, config.widths)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(config.widths[3]),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(config.n_flat, config.dim),
            nn.BatchNorm1d(config.dim),
        )

    def vector(self, faces: Tensor) -> Tensor:
        """See `ArcFace.vector`."""
        y: Tensor = self.output_layer(self.body(self.input_layer(faces)))
        return y


class _Block(nn.Module):
    """insightface's residual unit; a stage's first unit has a convolution in its shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.prelu = nn.PReLU(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + self.downsample(x)  # type: ignore[no-any-return]


class IResNet50(ArcFace):
    """insightface's iresnet50 (`backbone.pth` of arcface_torch)."""

    def __init__(self, config: ArcFaceConfig) -> None:
        super().__init__(config)
        widths = config.widths
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU(widths[0])
        before = widths[0]
        for i, (count, width) in enumerate(zip(config.units, widths, strict=True), start=1):
            blocks = [_Block(before, width, 2), *(_Block(width, width, 1) for _ in range(1, count))]
            self.add_module(f"layer{i}", nn.Sequential(*blocks))
            before = width
        self.bn2 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(config.n_flat, config.dim)
        self.features = nn.BatchNorm1d(config.dim)

    def vector(self, faces: Tensor) -> Tensor:
        """See `ArcFace.vector`."""
        x = self.prelu(self.bn1(self.conv1(faces)))
        for i in range(1, 5):
            x = self.get_submodule(f"layer{i}")(x)
        y: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return y


def arcface(config: ArcFaceConfig) -> ArcFace:
    """The network of a config."""
    return IrSe50(config) if config.body == "irse" else IResNet50(config)
