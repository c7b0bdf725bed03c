"""Batches for a training loop, in an order that does not depend on the number of ranks or workers.

    loader = Loader(Pairs("data/demo/shards", "train"), batch_size=32, seed=1)
    for epoch in range(loader.epoch, 50):
        for batch in loader:
            ...                                 # loader.state_dict() is the state after this batch
            torch.save({"loader": loader.state_dict(), ...}, "last.pt")

The state of a run is one number, the position in the global order, because the order is computed
(`spfem_data.shuffle`) and there is no shuffle buffer.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from spfem_data.datasets import Batch, BatchDataset
from spfem_data.errors import PipelineError
from spfem_data.images import decodes_on
from spfem_data.process_local import check_room, share
from spfem_data.rng import I64, KeyedRng
from spfem_data.shuffle import FullShuffle, InFileOrder, NearShuffle, Order, Shuffle, Weighted

Remainder = Literal["keep", "drop", "join"]
"""How to handle the last samples of an epoch, too few for a full step. keep: a smaller step, split
among the ranks, some of which may get none. drop: leave them out. join: fill the step up with the
first samples of the next epoch, so that all ranks make the same number of full steps, and no sample
is left out or repeated."""

STATE_VERSION = 2
_CHUNK = 2048
"""Number of positions whose order is computed at a time."""


@dataclass(frozen=True)
class StepPlan:
    """The positions that each rank takes in each step.

    Positions continue over the epochs: epoch = position // length. A step takes the next
    `batch * world_size` of them: the first `batch` for rank 0, and so on. So the concatenated
    batches of the ranks are the global order, for any number of ranks.
    """

    length: int
    batch: int
    rank: int
    world_size: int
    remainder: Remainder

    def __post_init__(self) -> None:
        if self.length < 1:
            raise PipelineError("no sample meets the conditions: there is nothing to load")
        if self.batch < 1:
            raise PipelineError(f"batch_size {self.batch}: expected at least 1")
        if not 0 <= self.rank < self.world_size:
            raise PipelineError(
                f"rank {self.rank} of {self.world_size}: expected 0 to {self.world_size - 1}"
            )
        if self.remainder not in get_args(Remainder):
            raise PipelineError(
                f"remainder {self.remainder!r}: expected one of {', '.join(get_args(Remainder))}"
            )
        if self.remainder == "drop" and self.length < self.step:
            raise PipelineError(
                f"remainder='drop' would leave out all of the {self.length} samples: a step takes "
                f"{self.step}"
            )

    @property
    def step(self) -> int:
        """Samples of a full step of all ranks."""
        return self.batch * self.world_size

    def steps(self, position: int) -> Iterator[tuple[I64, int]]:
        """For this rank, until the end of the epoch: positions, and where the next step begins."""
        end = (position // self.length + 1) * self.length
        while position < end:
            n = self.step if self.remainder == "join" else min(self.step, end - position)
            ranks = range(self.world_size)
            sizes = [n // self.world_size + (r < n % self.world_size) for r in ranks]
            first = position + sum(sizes[: self.rank])
            position = self.after(position + n)
            yield np.arange(first, first + sizes[self.rank]), position

    def after(self, position: int) -> int:
        """The position, or the next epoch if the rest of this one is dropped."""
        left = -position % self.length
        return position + left if self.remainder == "drop" and left < self.step else position


class BatchStream(IterableDataset[tuple[int, Batch | PipelineError]]):
    """The batches of one rank until the end of the epoch, each with the next position.

    The workers of a `DataLoader` (`batch_size=None`) share them and keep their order.
    """

    def __init__(self, data: BatchDataset, order: Order, seed: int, plan: StepPlan) -> None:
        self.data, self.order, self.seed, self.plan = data, order, seed, plan
        self.position = 0
        self._chunks: dict[tuple[int, int], I64] = {}

    def __iter__(self) -> Iterator[tuple[int, Batch | PipelineError]]:
        """In a worker process. An error is returned, because torch would add a traceback to it."""
        worker = get_worker_info()
        assert worker is not None
        for number, (positions, after) in enumerate(self.plan.steps(self.position)):
            if number % worker.num_workers == worker.id:
                try:
                    batch = self.batch(positions)
                    share(batch)
                    yield after, batch
                except PipelineError as error:
                    yield after, error

    def batch(self, positions: I64) -> Batch:
        """The samples at global positions; an empty dictionary if there are none."""
        if not len(positions):
            return {}
        epochs, places = np.divmod(positions, self.plan.length)
        indices = np.empty_like(places)
        chunks = epochs * self.plan.length + places // _CHUNK
        for chunk in np.unique(chunks).tolist():
            here = chunks == chunk
            epoch, number = divmod(chunk, self.plan.length)
            indices[here] = self._chunk(epoch, number)[places[here] % _CHUNK]
        return self.data.read_batch(indices, KeyedRng(self.seed, epochs, places))

    def _chunk(self, epoch: int, number: int) -> I64:
        """A part of the order, computed once for many small batches."""
        chunks = self._chunks  # threads replace this dictionary and never modify it
        if (epoch, number) not in chunks:
            first = number * _CHUNK
            last = min(first + _CHUNK, self.plan.length)
            indices = self.order.at(epoch, np.arange(first, last))
            self._chunks = {**dict(list(chunks.items())[-3:]), (epoch, number): indices}
            return indices
        return chunks[epoch, number]


class Loader:
    """Yields this rank's batches of the current epoch; the next `for` yields the next epoch's.

    After a `break`, the next `for` continues from there. Batches are read and decoded in advance,
    by threads (decoding releases the interpreter lock) or, with `num_workers`, by processes.

    Parameters
    ----------
    data
        A dataset of `spfem_data`: Pairs, Windows, a sampler.
    batch_size
        Samples per rank and step.
    seed
        Seed of the order and of the samplers' random choices.
    shuffle
        full, near or none: see `spfem_data.shuffle`.
    weights
        Name of a column: rows are drawn in proportion to it. None: each row once.
    rank, world_size
        This process's part of each step. None: from `torch.distributed`, or 0 of 1.
    remainder
        keep, drop or join the last samples of an epoch. None: join if there are several ranks,
        because each rank must make the same number of steps with DDP; keep otherwise.
    threads
        Threads of this process that make batches, each a whole batch at a time.
    num_workers
        Processes that make batches instead.
    prefetch
        Finished batches that may wait, in addition to those in work; with processes, per process.
    device
        Device of the batches. With CUDA, they are transferred from pinned memory, and images are
        resized and normalised on the device.
    decode
        `cpu`, or `device` to decode images there if torchvision can. The two differ by rounding.
    context
        Start method of worker processes: fork, spawn or forkserver; None: torch's default. If other
        libraries run threads in this process, a forked worker may wait for one of their locks for
        ever: use spawn or forkserver then.
    """

    def __init__(
        self,
        data: BatchDataset,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: Shuffle = "full",
        weights: str | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        remainder: Remainder | None = None,
        threads: int = 2,
        num_workers: int = 0,
        prefetch: int = 2,
        device: str | torch.device | None = None,
        decode: Literal["cpu", "device"] = "cpu",
        context: str | None = None,
    ) -> None:
        if not isinstance(data, BatchDataset):
            raise PipelineError(
                f"Loader reads a dataset of spfem_data, not {type(data).__name__}: select rows "
                "with where=, or use torch's DataLoader with collate_fn=identity_collate"
            )
        if threads < 1 or num_workers < 0 or prefetch < 0:
            raise PipelineError(
                f"threads {threads}, num_workers {num_workers}, prefetch {prefetch}: expected at "
                "least 1, 0, 0"
            )
        self.data, self.seed, self.threads, self.context = data, seed, threads, context
        self.num_workers, self.prefetch = num_workers, prefetch
        self.device = None if device is None else torch.device(device)
        data.encoded = decode == "device" and decodes_on(self.device)
        self.pinned = self.device is not None and self.device.type == "cuda"
        for reader in data.readers():
            reader.buffers.pinned = self.pinned and not num_workers
        order = _order(data, seed, shuffle, weights)
        rank, world_size = _place(rank, world_size)
        remainder = remainder or ("join" if world_size > 1 else "keep")
        plan = StepPlan(len(order), batch_size, rank, world_size, remainder)
        self._stream = BatchStream(data, order, seed, plan)
        self._settings = [shuffle, weights]
        self._position = 0

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._position // self._stream.plan.length

    def __len__(self) -> int:
        """Steps of an epoch that begins with a full step."""
        plan = self._stream.plan
        return (
            plan.length // plan.step if plan.remainder == "drop" else -(-plan.length // plan.step)
        )

    def __iter__(self) -> Iterator[Batch]:
        for after, batch in self._by_workers() if self.num_workers else self._by_threads():
            if self.device is not None:
                batch = {
                    name: value.to(self.device, non_blocking=True)
                    if isinstance(value, torch.Tensor)
                    else value
                    for name, value in batch.items()
                }
            batch = self.data.finish(batch, self.device)
            self._position = after  # now, because a state saved in the loop includes this batch
            yield batch

    def _by_workers(self) -> Iterator[tuple[int, Batch]]:
        prefetch = max(self.prefetch, 1)
        plan = self._stream.plan
        # each worker's batches, and the one that the loop holds
        samples = plan.batch * (self.num_workers * prefetch + 1)
        check_room(self._stream.batch(np.array([self._position])), samples)
        self._stream.position = self._position
        batches = DataLoader(
            self._stream, batch_size=None, collate_fn=_unchanged, num_workers=self.num_workers,
            prefetch_factor=prefetch, pin_memory=self.pinned, multiprocessing_context=self.context,
        )  # fmt: skip
        for after, batch in batches:
            if isinstance(batch, PipelineError):
                raise batch
            yield after, batch

    def _by_threads(self) -> Iterator[tuple[int, Batch]]:
        steps = self._stream.plan.steps(self._position)
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for positions, after in steps:
                    waiting.append((after, pool.submit(self._stream.batch, positions)))
                    if len(waiting) >= self.threads + self.prefetch:
                        done, batch = waiting.popleft()
                        yield done, batch.result()
                for done, batch in waiting:
                    yield done, batch.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """The state after the last returned batch: plain values, the same on every rank."""
        facts = [*self.data.identity(), *self._settings]
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "position": self._position,
            "length": self._stream.plan.length,
            "data": hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from another loader's state, with any number of ranks and workers and batch size.

        Raises
        ------
        PipelineError
            If the state belongs to other files or rows, another order or seed, or another version.
        """
        own = self.state_dict()
        for name in ("version", "seed", "length", "data"):
            if state.get(name) != own[name]:
                raise PipelineError(
                    f"the saved state belongs to another run: its {name} is {state.get(name)!r}, "
                    f"ours {own[name]!r}; resume with the same shards, rows, shuffle and seed"
                )
        # with another number of ranks, other samples may be dropped
        self._position = self._stream.plan.after(int(state["position"]))

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch."""
        self._position = epoch * self._stream.plan.length


def _order(data: BatchDataset, seed: int, shuffle: Shuffle, weights: str | None) -> Order:
    if shuffle not in get_args(Shuffle):
        raise PipelineError(f"shuffle {shuffle!r}: expected one of {', '.join(get_args(Shuffle))}")
    if weights is not None:
        values = data.weights(weights)
        if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
            raise PipelineError(
                f"weights={weights!r}: expected numbers of at least 0 in all rows, and one "
                "above 0; exclude other rows with where="
            )
        return Weighted(values, len(values), seed)
    if shuffle == "full":
        return FullShuffle(len(data), seed)
    return NearShuffle(data.runs(), seed) if shuffle == "near" else InFileOrder(len(data))


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise PipelineError(f"rank {rank}, world_size {world_size}: give both or neither")
    if rank is not None and world_size is not None:
        return rank, world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _unchanged(item: Any) -> Any:
    """Batches are collated; torch's own conversion would iterate over all their strings."""
    return item
