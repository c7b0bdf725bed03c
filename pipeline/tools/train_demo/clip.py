"""Trains the demo's CLIP: a small open_clip network that reads the expressions of drawn faces.

Contrast of pictures with captions alone collapses where there are seven kinds of captions. So each
tower also learns to name the emotion by anchors of its own; the shipped file has the towers alone,
and judges as every CLIP does, by prompts.
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

from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import ClipNetwork, build_network
from pipeline.clip.preprocess import Normalise
from pipeline.clip.prompts import text_anchors
from pipeline.models.registry import DRAWN, TRAINED_ON, write_weights
from pipeline.runtime.store import write_bytes, write_json
from pipeline.tools.train_demo.augmented_views import Changes, changed, plain
from pipeline.tools.train_demo.captions import (
    N_BYTES,
    N_SPECIAL,
    captions,
    merges,
    merges_file,
    vocabulary,
)
from pipeline.tools.train_demo.drawn_faces import U8, FaceSet
from pipeline.tools.train_encoder.order import Order
from spfem_data.labels import EMOTIONS

F64 = NDArray[np.float64]
NAME = "demo-clip"
SIZE_PX = 96
VIEW_PX = 124
"""Side of a stored view: a pixel of it is a pixel of the network's picture."""
_NEUTRAL = EMOTIONS.index("neutral")
_MERGES = 1000


@dataclass(frozen=True)
class Recipe:
    """How the network is trained.

    Attributes
    ----------
    steps, batch, rate
        AdamW's steps of so many pictures; the rate rises over a twentieth and falls as a cosine.
    faint, plain_from
        An emotion of `faint` intensity or less is labelled neutral, from `plain_from` on it is
        labelled as itself, and in between by shares: what is half there shall look half clear.
    scale
        Factor on cosines in all losses, and the network's logit scale at the end.
    texts
        Captions of each emotion in a step.
    threads
        Of torch; sums are ordered by them, so the same count gives the same bytes.
    bf16
        Whether the picture tower's layers run in bfloat16 (of use where the processor has it).
    width, layers
        Of the residual network. A ViT of patch 8 learned far less in the same time, see
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
"""What the shipped network was trained by."""


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
    """Write the config and the tokenizer's merges; the path of the config."""
    pairs = merges(vocabulary(), _MERGES)
    write_bytes(folder / f"{NAME}.merges.gz", merges_file(pairs))
    path = folder / f"{NAME}.json"
    write_json(path, config(recipe, N_BYTES + len(pairs) + N_SPECIAL))
    return path


def labels(emotions: Sequence[str] | NDArray[np.str_], intensities: F64, recipe: Recipe) -> F64:
    """Shares (n, 7) of the seven emotions that a face is labelled with; see `Recipe`."""
    shares = np.zeros((len(emotions), len(EMOTIONS)))
    ramp = (intensities - recipe.faint) / (recipe.plain_from - recipe.faint)
    own = np.clip(ramp, 0, 1)
    rows = np.arange(len(emotions))
    shares[rows, [EMOTIONS.index(name) for name in emotions]] = own
    shares[rows, _NEUTRAL] += 1 - shares.sum(axis=1)
    return shares


class _Anchors(nn.Module):
    """A direction an emotion for each tower; they train the towers and are thrown away."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pictures = nn.Parameter(torch.randn(len(EMOTIONS), dim))
        self.texts = nn.Parameter(torch.randn(len(EMOTIONS), dim))


def loss_of(
    pictures: Tensor, texts: Tensor, shares: Tensor, anchors: _Anchors, scale: float
) -> Tensor:
    """Cross-entropy of pictures by their anchors, of texts by theirs, of pictures by texts.

    Parameters
    ----------
    pictures, texts
        Embeddings (n, d) and (7 * k, d), k texts of each emotion in order.
    shares
        (n, 7) labels of the pictures.
    """
    pictures, texts = (functional.normalize(x, dim=-1) for x in (pictures, texts))
    seven = len(EMOTIONS)
    means = functional.normalize(texts.reshape(seven, -1, texts.shape[1]).mean(dim=1), dim=-1)
    kinds = torch.arange(seven).repeat_interleave(len(texts) // seven)
    by_anchor = _entropy(pictures, anchors.pictures, shares, scale)
    by_text = functional.cross_entropy(scale * pictures @ means.T, shares)
    of_texts = _entropy(texts, anchors.texts, functional.one_hot(kinds, seven).float(), scale)
    return by_anchor + by_text + 0.5 * of_texts


def _entropy(embeddings: Tensor, anchors: Tensor, shares: Tensor, scale: float) -> Tensor:
    logits = scale * embeddings @ functional.normalize(anchors, dim=-1).T
    return functional.cross_entropy(logits, shares)


@dataclass(frozen=True)
class Trained:
    """What a training gave: the files, and how well held-out people are read."""

    weights: Path
    config: Path
    accuracy: float
    neutral_recall: float


def train(
    faces: FaceSet,
    pictures: U8,
    folder: Path,
    recipe: Recipe,
    prompts: Sequence[Sequence[str]],
    *,
    done: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Trained:
    """Train on the people that are not held out, write the files, and judge those that are.

    Parameters
    ----------
    pictures
        `views.views` of the faces, `VIEW_PX` a side.
    prompts
        Of the seven emotions; nothing is learned from them, they judge.
    done
        Told the steps made, the steps to make, and the step's loss.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    path = write_architecture(folder, recipe)
    network = build_network(read_architecture(str(path)), None)
    chosen = np.flatnonzero(~faces.held_out)
    shares = labels(faces.emotion[chosen], faces.intensity[chosen], recipe)
    _fit(network, pictures[chosen], shares, recipe, done)
    weights = folder / f"{NAME}.safetensors"
    notes = {
        "kind": "open_clip",
        "config": path.name,
        "recipe": asdict(recipe),
        "people": len(set(faces.person[chosen].tolist())),
        TRAINED_ON: f"{DRAWN} (spfem-data demo train)",
    }
    write_weights(weights, network.model.state_dict(), notes)
    judged = judge(network, pictures[faces.held_out], prompts)
    right, neutral = accuracy(
        judged, faces.emotion[faces.held_out], faces.intensity[faces.held_out]
    )
    return Trained(weights, path, right, neutral)


def _fit(
    network: ClipNetwork,
    pictures: U8,
    shares: F64,
    recipe: Recipe,
    done: Callable[[int, int, float], None],
) -> None:
    model = network.model.train().requires_grad_(True)
    model.logit_scale.requires_grad_(False).fill_(np.log(recipe.scale))
    anchors = _Anchors(model.text_projection.shape[1])
    normalise = Normalise(network.pictures, network.device)
    optimiser = torch.optim.AdamW(
        _groups(model, anchors, recipe.weight_decay), recipe.rate, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.05, cycle_momentum=False
    )
    order = Order(len(pictures), recipe.batch, recipe.seed)
    for step in range(recipe.steps):
        some, rng = order.at(step), np.random.default_rng([recipe.seed, step, 51])
        batch = changed(pictures[some], SIZE_PX, recipe.changes, rng)
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
    """Matrices decay, biases, norms and embeddings do not."""
    own = [p for p in (*model.parameters(), *anchors.parameters()) if p.requires_grad]
    return [
        {"params": [p for p in own if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in own if p.ndim < 2], "weight_decay": 0.0},
    ]


def judge(network: ClipNetwork, pictures: U8, prompts: Sequence[Sequence[str]]) -> F64:
    """Probabilities (n, 7) of views as the stage would frame them."""
    anchors, scale = text_anchors(network, prompts), network.scale
    normalise = Normalise(network.pictures, network.device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 256):
            batch = normalise(plain(pictures[start : start + 256], SIZE_PX) * 255)
            logits = scale * network.encode_pictures(batch) @ anchors.T
            parts.append(logits.softmax(dim=-1).double().numpy())
    return np.concatenate([np.empty((0, len(EMOTIONS))), *parts])


def accuracy(p: F64, emotions: NDArray[np.str_], intensities: F64) -> tuple[float, float]:
    """Shares read right: of faces that are neutral or at least half an emotion, of the neutral."""
    seen = np.array(EMOTIONS)[p.argmax(axis=1)]
    neutral = emotions == "neutral"
    clear = neutral | (intensities >= 0.5)
    right = seen == emotions
    return float(right[clear].mean()), float(right[neutral].mean())
