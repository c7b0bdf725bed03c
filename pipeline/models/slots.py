"""The settings that name networks: the only list of what each adds and where weights are.

`docs/howto/real-weights.md` shows the same list; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GUIDE = "docs/howto/real-weights.md"


@dataclass(frozen=True)
class Slot:
    """A setting that names a network.

    `adds` says what the network adds to a dataset, `sources` are (name, address) of weights, `yaml`
    the lines of params.yaml to complete.
    """

    setting: str
    network: str
    adds: str
    sources: Sequence[tuple[str, str]]
    yaml: str

    @property
    def stage(self) -> str:
        """The stage that needs the network."""
        return self.setting.split(".")[0]

    def lines(self) -> list[str]:
        """What it adds, where weights are, and the lines of params.yaml, as text."""
        sources = " ".join(address for _, address in self.sources)
        yaml = [f"    {line}" for line in self.yaml.splitlines()]
        return [f"{self.network} ({self.setting}): {self.adds}", f"  {sources}", *yaml]


def _yaml(name: str, file: str, *lines: str) -> str:
    entry = f'  {name}: {{path: weights/{file}, url: "", sha256: "..."}}'
    return "\n".join(["models:", entry, *lines])


SLOTS = (
    Slot(
        "score.weights",
        "CLIP",
        "probabilities of seven emotions and an embedding per frame, clear frames (config "
        "`emotions`), a check for mislabelled takes",
        (
            ("OpenAI's CLIP", "https://github.com/openai/CLIP"),
            ("open_clip", "https://github.com/mlfoundations/open_clip"),
            ("LAION's on the hub", "https://huggingface.co/laion"),
        ),
        _yaml("vit-b-32", "ViT-B-32.safetensors", "score:", "  network: ViT-B-32::openai",
              "  weights: vit-b-32"),
    ),
    Slot(
        "invert.generator",
        "StyleGAN2 generator",
        "with an encoder: W+ codes, directions, synthetic families (config `families`)",
        (
            ("NVIDIA's stylegan2-ada-pytorch", "https://github.com/NVlabs/stylegan2-ada-pytorch"),
            ("rosinality's stylegan2-pytorch", "https://github.com/rosinality/stylegan2-pytorch"),
        ),
        _yaml("generator", "generator.safetensors", "invert:", "  generator: generator"),
    ),
    Slot(
        "invert.encoder",
        "W+ encoder for it",
        "as above",
        (
            ("e4e", "https://github.com/omertov/encoder4editing"),
            ("pSp", "https://github.com/eladrich/pixel2style2pixel"),
        ),
        _yaml("e4e", "e4e.safetensors", "invert:", "  encoder: e4e"),
    ),
    Slot(
        "invert.identity",
        "ArcFace (optional)",
        "identity similarity of reconstructions and families",
        (
            ("InsightFace", "https://github.com/deepinsight/insightface"),
            ("IR-SE-50", "https://github.com/TreB1eN/InsightFace_Pytorch"),
        ),
        _yaml("arcface", "arcface.safetensors", "invert:", "  identity: arcface"),
    ),
    Slot(
        "invert.perceptual",
        "VGG19 (optional)",
        "perceptual error of reconstructions",
        (("torchvision", "https://pytorch.org/vision/stable/models/vgg.html"),),
        _yaml("vgg19", "vgg19.safetensors", "invert:", "  perceptual: vgg19"),
    ),
)  # fmt: skip
