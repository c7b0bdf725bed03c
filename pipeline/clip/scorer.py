"""Score images in batches; the next batches are prepared while one is in the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.clip.network import ClipNetwork
from pipeline.clip.preprocess import U8, Normalise, resized

Made = TypeVar("Made")
F32 = NDArray[np.float32]
Source = Callable[[], U8]
"""Returns one square image (h, h, 3) RGB when called, in any thread."""
_AHEAD = 2  # prepared batches while one is in the network


def text_anchors(network: ClipNetwork, prompts: Sequence[Sequence[str]]) -> Tensor:
    """Unit anchors (k, d), float32, of k classes with one or more prompts each.

    Each prompt's embedding is normalised before averaging, and the mean is normalised again:
    the ensembling of Radford et al. 2021, 3.1.4.
    """
    counts = [len(own) for own in prompts]
    if not counts or min(counts) < 1:
        raise ValueError("every class needs at least one prompt")
    with torch.inference_mode():
        texts = network.encode_texts([text for own in prompts for text in own])
        means = torch.stack([own.mean(dim=0) for own in torch.split(texts, counts)])
        return nn.functional.normalize(means, dim=-1)


def probabilities(embeddings: Tensor, anchors: Tensor, scale: Tensor) -> Tensor:
    """Softmax (n, k) over cosines times the network's own logit scale (CDRL 3.2).

    A logit bias, as in sigmoid-trained networks, is the same for all classes and has no effect.
    """
    return (scale * embeddings @ anchors.T).softmax(dim=-1)


@dataclass(frozen=True)
class Scores:
    """Scores of n images: probabilities (n, k), unit embeddings (n, d)."""

    p: F32
    embedding: F32


class Scorer:
    """A network, the anchors of its classes, and preprocessing threads.

    Parameters
    ----------
    network
        In fp32 on the CPU, where the anchors are computed.
    prompts
        One or more prompts per class.
    batch
        Images per forward pass.
    threads
        Number of threads that decode and resample; both release the GIL.
    """

    def __init__(
        self,
        network: ClipNetwork,
        prompts: Sequence[Sequence[str]],
        *,
        device: str,
        precision: str,
        batch: int,
        threads: int,
    ) -> None:
        anchors, scale = text_anchors(network, prompts), network.scale
        self.network = network.to(device, precision)
        self._anchors, self._scale = anchors.to(device), scale.to(device)
        self._normalise = Normalise(network.images, self.network.device)
        self._pool = ThreadPoolExecutor(threads)
        self._batch = batch

    @property
    def size_px(self) -> int:
        """Side of the network's input."""
        return self.network.images.size_px

    def score(self, sources: Iterable[Source]) -> Scores | None:
        """The scores of images in order, None for no images; sources are read as needed."""
        # a GPU is waited for after the last batch only
        done = [self._forward(batch) for batch in self._ready(sources)]
        if not done:
            return None
        p, embedding = (torch.cat(parts).float() for parts in zip(*done, strict=True))
        return Scores(p.cpu().numpy(), embedding.cpu().numpy())

    def probabilities(self, images: Sequence[U8]) -> F32:
        """Probabilities (n, k) of images in memory."""
        scores = self.score(partial(np.asarray, image) for image in images)
        return np.empty((0, len(self._anchors)), np.float32) if scores is None else scores.p

    def _forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and embeddings on the device, without synchronising a GPU."""
        with torch.inference_mode():
            found = self.network.encode_images(self._normalise(batch))
            return probabilities(found, self._anchors, self._scale), found

    def _ready(self, sources: Iterable[Source]) -> Iterator[Tensor]:
        """Preprocessed batches; the next ones are prepared while the caller has one."""
        todo = iter(sources)
        waiting: list[list[Future[U8]]] = []
        while some := list(islice(todo, self._batch)):
            waiting.append([self._pool.submit(self._image, source) for source in some])
            if len(waiting) > _AHEAD:
                yield self._stacked(waiting.pop(0))
        for futures in waiting:
            yield self._stacked(futures)

    def _image(self, source: Source) -> U8:
        return resized(source(), self.network.images)

    def _stacked(self, futures: Sequence[Future[U8]]) -> Tensor:
        """One uint8 batch (n, 3, s, s), in pinned memory for a GPU."""
        size, on_gpu = self.size_px, self.network.device.type == "cuda"
        batch = torch.empty((len(futures), size, size, 3), dtype=torch.uint8, pin_memory=on_gpu)
        rows = batch.numpy()
        for k, future in enumerate(futures):
            rows[k] = future.result()
        return batch.permute(0, 3, 1, 2)
