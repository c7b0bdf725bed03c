"""Batches for a training loop, in one order at any number of ranks and workers, resumed exactly.

    loader = Loader(Pairs("data/demo/shards", "train"), batch_size=32, seed=1)
    for epoch in range(loader.epoch, 50):
        for batch in loader:
            ...                                   # loader.state_dict() is that of this batch
            torch.save({"loader": loader.state_dict(), ...}, "last.pt")

Where a run stands is one number, the position in the global order, because the order is computed
(`shards.order`) and no buffer holds rows back.
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

from spfem_data.datasets import Batch, Samples
from spfem_data.errors import PipelineError
from spfem_data.images import decodes_on
from spfem_data.rng import I64, Draws
from spfem_data.shuffle import FullShuffle, InFileOrder, NearShuffle, Order, Shuffle, Weighted

Tail = Literal["keep", "drop", "join"]
"""What becomes of an epoch's last samples, too few for a whole step. keep: a smaller step, split
among the ranks (one may get nothing). drop: left out. join: the next epoch's first fill it up, so
that all ranks make equally many whole steps and nothing is left out or repeated."""

STATE_VERSION = 1
_ORDERED_AT_ONCE = 2048


@dataclass(frozen=True)
class Plan:
    """Which positions each rank takes in each step.

    Positions count on over the epochs: epoch = position // length. A step takes the next
    `batch * world` of them, the first `batch` for rank 0, and so on; hence the ranks' batches, laid
    end to end, are the global order whatever their number.
    """

    length: int
    batch: int
    rank: int
    world: int
    tail: Tail

    def __post_init__(self) -> None:
        if self.length < 1:
            raise PipelineError("no sample meets the conditions: there is nothing to load")
        if self.batch < 1:
            raise PipelineError(f"batch_size {self.batch}: expected at least 1")
        if not 0 <= self.rank < self.world:
            raise PipelineError(f"rank {self.rank} of {self.world}: expected 0 to {self.world - 1}")
        if self.tail not in get_args(Tail):
            raise PipelineError(f"tail {self.tail!r}: expected one of {', '.join(get_args(Tail))}")
        if self.tail == "drop" and self.length < self.batch * self.world:
            raise PipelineError(
                f"tail='drop' would leave out all of the {self.length} samples: a step takes "
                f"{self.batch * self.world}"
            )

    def steps(self, position: int) -> Iterator[tuple[I64, int]]:
        """Of this rank, to the end of the epoch: its positions, and where the next step begins."""
        end = (position // self.length + 1) * self.length
        while position < end:
            taken = self.batch * self.world
            if self.tail != "join":
                taken = min(taken, end - position)
            sizes = [taken // self.world + (r < taken % self.world) for r in range(self.world)]
            first = position + sum(sizes[: self.rank])
            position = self.after(position + taken)
            yield np.arange(first, first + sizes[self.rank]), position

    def after(self, position: int) -> int:
        """Past the samples that a dropped tail leaves out."""
        left = -position % self.length
        drop = self.tail == "drop" and 0 < left < self.batch * self.world
        return position + left if drop else position


class Stream(IterableDataset[tuple[int, Batch]]):
    """The batches of one rank from a position to the end of its epoch, each with where the next
    one begins. In a DataLoader (`batch_size=None`) the workers share them and keep their order.
    """

    def __init__(self, data: Samples, order: Order, seed: int, plan: Plan) -> None:
        self.data, self.order, self.seed, self.plan = data, order, seed, plan
        self.position = 0
        self._pieces: dict[tuple[int, int], I64] = {}

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        info = get_worker_info()
        mine, workers = (info.id, info.num_workers) if info else (0, 1)
        for number, (positions, after) in enumerate(self.plan.steps(self.position)):
            if number % workers == mine:
                yield after, self.batch(positions)

    def batch(self, positions: I64) -> Batch:
        """The samples at global positions; an empty dictionary where there are none."""
        if not len(positions):
            return {}
        epochs, places = np.divmod(positions, self.plan.length)
        indices = np.empty_like(places)
        pieces = epochs * self.plan.length + places // _ORDERED_AT_ONCE
        for piece in np.unique(pieces).tolist():
            here = pieces == piece
            epoch, number = divmod(piece, self.plan.length)
            indices[here] = self._piece(epoch, number)[places[here] % _ORDERED_AT_ONCE]
        return self.data.take(indices, Draws(self.seed, epochs, places))

    def _piece(self, epoch: int, number: int) -> I64:
        """A stretch of the order, computed once for many small batches."""
        pieces = self._pieces  # threads put another dictionary in its place and never change one
        if (epoch, number) not in pieces:
            first = number * _ORDERED_AT_ONCE
            last = min(first + _ORDERED_AT_ONCE, self.plan.length)
            found = self.order.at(epoch, np.arange(first, last))
            self._pieces = {**dict(list(pieces.items())[-3:]), (epoch, number): found}
            return found
        return pieces[epoch, number]


class Loader:
    """Yields this rank's batches of the current epoch; the next `for` yields those of the next one.

    A loop that was left goes on where it was left. Batches are read and decoded ahead, by threads
    of this process (decoding holds no lock of the interpreter) or, with `workers`, by processes.

    Parameters
    ----------
    data
        Pairs, Windows, or a sampler of `shards.samplers`.
    batch_size
        Samples of a rank in a step.
    seed
        Of the order and of whatever a sampler draws.
    shuffle
        full, near or none: see `shards.order`.
    weights
        Name of a column in whose proportion samples are drawn, or None for each once.
    rank, world
        Which part of each step is ours; None asks `torch.distributed`, and is 0 of 1 without it.
    tail
        keep, drop or join the last samples of an epoch.
    threads
        That make batches in this process, each a whole batch at a time.
    workers
        Processes that make batches instead.
    ahead
        Batches that wait, finished, beyond those in work.
    device
        Where batches go; on CUDA from page-locked memory, and pictures are scaled and mapped there.
    decode
        `cpu`, or `device`: pictures are decoded there where torchvision can, else on the CPU. The
        two differ by rounding, so it is not chosen for you.
    context
        How worker processes start: fork, spawn or forkserver; None leaves it to torch. Where other
        threads are at work, such as those of a second loader, a forked worker may wait for ever for
        a lock that one of them held: take spawn or forkserver there.
    """

    def __init__(
        self,
        data: Samples,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: Shuffle = "full",
        weights: str | None = None,
        rank: int | None = None,
        world: int | None = None,
        tail: Tail = "keep",
        threads: int = 2,
        workers: int = 0,
        ahead: int = 2,
        device: str | torch.device | None = None,
        decode: Literal["cpu", "device"] = "cpu",
        context: str | None = None,
    ) -> None:
        if threads < 1 or workers < 0 or ahead < 0:
            raise PipelineError(
                f"threads {threads}, workers {workers}, ahead {ahead}: expected at least 1, 0, 0"
            )
        self.data, self.seed = data, seed
        self.threads, self.workers, self.ahead, self.context = threads, workers, ahead, context
        self.device = None if device is None else torch.device(device)
        data.encoded = decode == "device" and decodes_on(self.device)
        self.pinned = self.device is not None and self.device.type == "cuda"
        for rows in data.rows():
            rows.blocks.pinned = self.pinned and not workers
        order = _order(data, seed, shuffle, weights)
        plan = Plan(len(order), batch_size, *_place(rank, world), tail)
        self._stream = Stream(data, order, seed, plan)
        self._settings = [shuffle, weights]
        self._position = 0

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0 on."""
        return self._position // self._stream.plan.length

    def __len__(self) -> int:
        """Steps of an epoch that begins with a whole one."""
        plan = self._stream.plan
        step = plan.batch * plan.world
        return plan.length // step if plan.tail == "drop" else -(-plan.length // step)

    def __iter__(self) -> Iterator[Batch]:
        made = self._by_workers() if self.workers else self._by_threads()
        for after, batch in made:
            if self.device is not None:
                batch = {name: _moved(value, self.device) for name, value in batch.items()}
            batch = self.data.finish(batch, self.device)
            self._position = after  # before the batch is used: a state saved in the loop counts it
            yield batch

    def _by_workers(self) -> Iterator[tuple[int, Batch]]:
        self._stream.position = self._position
        yield from DataLoader(
            self._stream, batch_size=None, collate_fn=_same, num_workers=self.workers,
            prefetch_factor=max(self.ahead, 1), pin_memory=self.pinned,
            multiprocessing_context=self.context,
        )  # fmt: skip

    def _by_threads(self) -> Iterator[tuple[int, Batch]]:
        steps = self._stream.plan.steps(self._position)
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for positions, after in steps:
                    waiting.append((after, pool.submit(self._stream.batch, positions)))
                    if len(waiting) >= self.threads + self.ahead:
                        done, batch = waiting.popleft()
                        yield done, batch.result()
                for done, batch in waiting:
                    yield done, batch.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands after the last batch given; plain values, valid on every rank."""
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "position": self._position,
            "length": self._stream.plan.length,
            "data": _digest([*self.data.identity(), *self._settings]),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another loader stood, at any number of ranks, workers, and any batch size.

        Raises
        ------
        PipelineError
            Where the state is of other data, another order or seed, or another version.
        """
        own = self.state_dict()
        for name in ("version", "seed", "length", "data"):
            if state.get(name) != own[name]:
                raise PipelineError(
                    f"the saved state is of another run: its {name} is {state.get(name)!r}, ours "
                    f"{own[name]!r}; a run goes on with the same shards, choice, order and seed"
                )
        # another number of ranks may leave other samples out
        self._position = self._stream.plan.after(int(state["position"]))

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, whatever was left of the current one."""
        self._position = epoch * self._stream.plan.length


def _order(data: Samples, seed: int, shuffle: Shuffle, weights: str | None) -> Order:
    if shuffle not in get_args(Shuffle):
        raise PipelineError(f"shuffle {shuffle!r}: expected one of {', '.join(get_args(Shuffle))}")
    if weights is not None:
        found = data.weights(weights)
        if not (np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0):
            raise PipelineError(
                f"weights={weights!r}: expected numbers of at least 0 in all rows and one above; "
                "add a condition that leaves the others out"
            )
        return Weighted(found, len(found), seed)
    if shuffle == "full":
        return FullShuffle(len(data), seed)
    return NearShuffle(data.runs(), seed) if shuffle == "near" else InFileOrder(len(data))


def _place(rank: int | None, world: int | None) -> tuple[int, int]:
    if (rank is None) != (world is None):
        raise PipelineError(f"rank {rank} of world {world}: give both or neither")
    if rank is not None and world is not None:
        return rank, world
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _same(item: Any) -> Any:
    """Batches are collated already; torch's own conversion would walk through all their texts."""
    return item


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    return value


def _digest(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]
