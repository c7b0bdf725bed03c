"""Train the demo's CLIP: a small open_clip network that classifies expressions of rendered faces.

A contrastive loss between images and captions alone collapses with only seven kinds of captions.
Each tower therefore also learns to classify the emotion with anchors of its own. The published file
contains only the towers and is used with prompts like any CLIP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.demo_networks.augmented_views import Changes, changed, plain
from benchmarks.demo_networks.captions import (
    N_BYTES,
    N_SPECIAL,
    captions,
    merges,
    merges_file,
    vocabulary,
)
from benchmarks.demo_networks.drawn_faces import U8, FaceSet
from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import ClipNetwork, build_network
from pipeline.clip.preprocess import Normalise
from pipeline.clip.scorer import text_anchors
from pipeline.models.registry import DRAWN, TRAINED_ON, write_weights
from pipeline.runtime.store import write_bytes, write_json
from pipeline.tools.train_encoder.order import Order
from spfem_data.labels import EMOTIONS

F64 = NDArray[np.float64]
NAME = "demo-clip"
SIZE_PX = 96
VIEW_PX = 124
"""Side of a stored view, at the resolution of the network's input."""
_NEUTRAL = EMOTIONS.index("neutral")
_MERGES = 1000


@dataclass(frozen=True)
class Recipe:
    """The training settings.

    Attributes
    ----------
    steps, batch, rate
        Steps, batch size and learning rate of AdamW; 5 % linear warm-up, then cosine decay.
    faint, plain_from
        Intensities up to `faint` are labelled neutral, from `plain_from` on as the emotion, in
        between with soft labels.
    scale
        Scale of the cosines in all losses, and the final logit scale of the network.
    texts
        Captions per emotion and step.
    threads
        Threads of torch; they determine the order of summation and therefore the bytes.
    bf16
        Whether the image tower runs in bfloat16 (useful if the processor supports it).
    width, layers
        Size of the residual network. A ViT with patch size 8 learned far less in the same time; see
        docs/emotions.md.
    """

    seed: int
    steps: int
    batch: int
    rate: float = 2e-3
    weight_decay: float = 0.05
    faint: float = 0.2
    plain_from: float = 0.5
    scale: float = 14.0
    texts: int = 4
    threads: int = 1
    bf16: bool = False
    width: int = 16
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    changes: Changes = field(default_factory=Changes)


SHIPPED = Recipe(seed=7, steps=600, batch=128, bf16=True)
"""The settings of the published network."""


def config(recipe: Recipe, vocabulary_size: int) -> dict[str, Any]:
    """The network as open_clip's config: CLIP's residual network, and a text tower of width 64."""
    return {
        "embed_dim": 64,
        "vision_cfg": {
            "image_size": SIZE_PX, "layers": list(recipe.layers), "width": recipe.width,
            "head_width": 64,
        },
        "text_cfg": {
            "context_length": 40, "vocab_size": vocabulary_size, "width": 64, "heads": 2,
            "layers": 2, "tokenizer_kwargs": {"bpe_path": f"{NAME}.merges.gz"},
        },
    }  # fmt: skip


def write_architecture(folder: Path, recipe: Recipe) -> Path:
    """Write the config and the tokenizer's merges, and return the path of the config."""
    pairs = merges(vocabulary(), _MERGES)
    write_bytes(folder / f"{NAME}.merges.gz", merges_file(pairs))
    path = folder / f"{NAME}.json"
    write_json(path, config(recipe, N_BYTES + len(pairs) + N_SPECIAL))
    return path


def labels(emotions: Sequence[str] | NDArray[np.str_], intensities: F64, recipe: Recipe) -> F64:
    """Soft labels (n, 7) over the seven emotions; see `Recipe`."""
    shares = np.zeros((len(emotions), len(EMOTIONS)))
    ramp = (intensities - recipe.faint) / (recipe.plain_from - recipe.faint)
    own = np.clip(ramp, 0, 1)
    rows = np.arange(len(emotions))
    shares[rows, [EMOTIONS.index(name) for name in emotions]] = own
    shares[rows, _NEUTRAL] += 1 - shares.sum(axis=1)
    return shares


class _Anchors(nn.Module):
    """One direction per emotion and tower; used in training only."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.images = nn.Parameter(torch.randn(len(EMOTIONS), dim))
        self.texts = nn.Parameter(torch.randn(len(EMOTIONS), dim))


def loss_of(
    images: Tensor, texts: Tensor, shares: Tensor, anchors: _Anchors, scale: float
) -> Tensor:
    """Cross-entropy of images and of texts with their anchors, and of images with texts.

    Parameters
    ----------
    images, texts
        Embeddings (n, d) and (7 * k, d), k texts of each emotion in order.
    shares
        (n, 7) soft labels of the images.
    """
    images, texts = (functional.normalize(x, dim=-1) for x in (images, texts))
    seven = len(EMOTIONS)
    means = functional.normalize(texts.reshape(seven, -1, texts.shape[1]).mean(dim=1), dim=-1)
    kinds = torch.arange(seven).repeat_interleave(len(texts) // seven)
    by_anchor = _entropy(images, anchors.images, shares, scale)
    by_text = functional.cross_entropy(scale * images @ means.T, shares)
    of_texts = _entropy(texts, anchors.texts, functional.one_hot(kinds, seven).float(), scale)
    return by_anchor + by_text + 0.5 * of_texts


def _entropy(embeddings: Tensor, anchors: Tensor, shares: Tensor, scale: float) -> Tensor:
    logits = scale * embeddings @ functional.normalize(anchors, dim=-1).T
    return functional.cross_entropy(logits, shares)


@dataclass(frozen=True)
class Trained:
    """The result of a training: the files, and the accuracy on held-out identities."""

    weights: Path
    config: Path
    accuracy: float
    neutral_recall: float


def train(
    faces: FaceSet,
    images: U8,
    folder: Path,
    recipe: Recipe,
    prompts: Sequence[Sequence[str]],
    *,
    done: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Trained:
    """Train on all but the held-out identities, write the files, and evaluate on the held-out ones.

    Parameters
    ----------
    images
        `views.views` of the faces, `VIEW_PX` a side.
    prompts
        Prompts of the seven emotions, used for evaluation only.
    done
        Called with the steps done, the total number of steps, and the loss of the step.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    path = write_architecture(folder, recipe)
    network = build_network(read_architecture(str(path)), None)
    chosen = np.flatnonzero(~faces.held_out)
    shares = labels(faces.emotion[chosen], faces.intensity[chosen], recipe)
    _fit(network, images[chosen], shares, recipe, done)
    weights = folder / f"{NAME}.safetensors"
    notes = {
        "kind": "open_clip",
        "config": path.name,
        "recipe": asdict(recipe),
        "people": len(set(faces.person[chosen].tolist())),
        TRAINED_ON: f"{DRAWN} (python -m benchmarks.demo_networks)",
    }
    write_weights(weights, network.model.state_dict(), notes)
    judged = judge(network, images[faces.held_out], prompts)
    right, neutral = accuracy(
        judged, faces.emotion[faces.held_out], faces.intensity[faces.held_out]
    )
    return Trained(weights, path, right, neutral)


def _fit(
    network: ClipNetwork,
    images: U8,
    shares: F64,
    recipe: Recipe,
    done: Callable[[int, int, float], None],
) -> None:
    model = network.model.train().requires_grad_(True)
    model.logit_scale.requires_grad_(False).fill_(np.log(recipe.scale))
    anchors = _Anchors(model.text_projection.shape[1])
    normalise = Normalise(network.images, network.device)
    optimiser = torch.optim.AdamW(
        _groups(model, anchors, recipe.weight_decay), recipe.rate, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.05, cycle_momentum=False
    )
    order = Order(len(images), recipe.batch, recipe.seed)
    for step in range(recipe.steps):
        some, rng = order.at(step), np.random.default_rng([recipe.seed, step, 51])
        batch = changed(images[some], SIZE_PX, recipe.changes, rng)
        tokens = network.tokenizer(captions(rng, recipe.texts))
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            seen = model.encode_image(normalise(batch * 255))
        found = seen.float(), model.encode_text(tokens)
        target = torch.from_numpy(shares[some]).float()
        loss = loss_of(*found, target, anchors, recipe.scale)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        done(step + 1, recipe.steps, float(loss.detach()))
    model.eval().requires_grad_(False)


def _groups(model: nn.Module, anchors: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weight decay for matrices, none for biases, norms and embeddings."""
    own = [p for p in (*model.parameters(), *anchors.parameters()) if p.requires_grad]
    return [
        {"params": [p for p in own if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in own if p.ndim < 2], "weight_decay": 0.0},
    ]


def judge(network: ClipNetwork, images: U8, prompts: Sequence[Sequence[str]]) -> F64:
    """Probabilities (n, 7) of views in the framing of the stage."""
    anchors, scale = text_anchors(network, prompts), network.scale
    normalise = Normalise(network.images, network.device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            batch = normalise(plain(images[start : start + 256], SIZE_PX) * 255)
            logits = scale * network.encode_images(batch) @ anchors.T
            parts.append(logits.softmax(dim=-1).double().numpy())
    return np.concatenate([np.empty((0, len(EMOTIONS))), *parts])


def accuracy(p: F64, emotions: NDArray[np.str_], intensities: F64) -> tuple[float, float]:
    """Accuracy on neutral faces and faces of at least half intensity, and on neutral faces."""
    seen = np.array(EMOTIONS)[p.argmax(axis=1)]
    neutral = emotions == "neutral"
    clear = neutral | (intensities >= 0.5)
    right = seen == emotions
    return float(right[clear].mean()), float(right[neutral].mean())
