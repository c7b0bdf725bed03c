"""The global order, its parts by rank and worker, and how killed runs resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from spfem_data.datasets import AS_STORED, Batch, BatchDataset, ColumnReader, Pairs, Windows
from spfem_data.loader import Loader, StepPlan
from spfem_data.rng import KeyedRng
from tests.builders.shards import write_pairs


class Numbered(BatchDataset):
    """Samples that are their own index, with a random number each."""

    def __init__(self, n: int) -> None:
        super().__init__(AS_STORED, 1)
        self.n = n

    def __len__(self) -> int:
        return self.n

    def readers(self) -> Sequence[ColumnReader]:
        return ()

    def runs(self) -> list[int]:
        return [7] * (self.n // 7) + [self.n % 7]

    def weights(self, column: str) -> Any:
        return np.arange(self.n, dtype=np.float64) if column == "number" else np.zeros(self.n)

    def image_keys(self) -> frozenset[str]:
        return frozenset()

    def read_batch(self, indices: Any, rng: KeyedRng, pool: object = None) -> Batch:
        return {"id": indices.tolist(), "random": rng.bits("test").tolist()}


Ids = list[tuple[int, int]]


def ids(batch: Batch) -> Ids:
    return list(zip(batch.get("id", []), batch.get("random", []), strict=True))


def unbroken(n: int, epochs: int, **options: Any) -> Ids:
    """The global order: one rank, batches of one."""
    loader = Loader(Numbered(n), 1, threads=1, prefetch=0, rank=0, world_size=1, **options)
    return [i for _ in range(epochs) for batch in loader for i in ids(batch)]


def steps_of(n: int, batch: int, world: int, state: dict[str, Any] | None, **options: Any) -> Any:
    """One loader per rank, in step; yields the ids of each step and the state after it."""
    loaders = [
        Loader(Numbered(n), batch, rank=rank, world_size=world, threads=1, prefetch=1, **options)
        for rank in range(world)
    ]
    for loader in loaders:
        if state is not None:
            loader.load_state_dict(state)
    while True:
        for parts in zip(*loaders, strict=True):
            states = [loader.state_dict() for loader in loaders]
            assert all(state == states[0] for state in states)
            yield [i for part in parts for i in ids(part)], states[0]


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 1000),
    shuffle=st.sampled_from(["full", "near", "none"]),
    remainder=st.sampled_from(["keep", "join"]),
    runs=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=6
    ),
)
def test_a_run_killed_repeatedly_sees_the_unbroken_order(
    n: int, seed: int, shuffle: str, remainder: str, runs: list[tuple[int, int, int]]
) -> None:
    """Each run has its own batch size and world size and stops after some steps."""
    options: dict[str, Any] = {"seed": seed, "shuffle": shuffle}
    seen: Ids = []
    state = None
    for batch, world, steps in runs:
        running = steps_of(n, batch, world, state, remainder=remainder, **options)
        for _, (step_ids, now) in zip(range(steps), running, strict=False):
            seen += step_ids
            state = now
    epochs = len(seen) // n + 1
    assert seen == unbroken(n, epochs, **options)[: len(seen)]


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(20, 200),
    batch=st.integers(1, 6),
    kills=st.lists(st.integers(1, 7), min_size=4, max_size=4),
    seed=st.integers(0, 10**9),
)
def test_world_sizes_1_2_4_3(n: int, batch: int, kills: list[int], seed: int) -> None:
    seen: Ids = []
    state = None
    for world, steps in zip((1, 2, 4, 3), kills, strict=True):
        running = steps_of(n, batch, world, state, seed=seed)
        for _, (step_ids, now) in zip(range(steps), running, strict=False):
            seen += step_ids
            state = now
    assert seen == unbroken(n, len(seen) // n + 1, seed=seed)[: len(seen)]


@settings(max_examples=50)
@given(st.integers(1, 100), st.integers(1, 9), st.integers(1, 5), st.sampled_from(["keep", "join"]))
def test_an_epoch_has_each_sample_once(n: int, batch: int, world: int, remainder: Any) -> None:
    plans = [StepPlan(n, batch, rank, world, remainder) for rank in range(world)]
    parts = [list(plan.steps(0)) for plan in plans]
    assert len({len(part) for part in parts}) == 1
    places = np.concatenate([p for step in zip(*parts, strict=True) for p, _ in step])
    assert places[:n].tolist() == list(range(n))
    assert len(places) == n if remainder == "keep" else n <= len(places) < n + batch * world


def test_drop_leaves_full_steps() -> None:
    loader = Loader(Numbered(10), 4, remainder="drop", shuffle="none", rank=0, world_size=1)
    epochs = [[batch["id"] for batch in loader] for _ in range(2)]
    assert epochs == [[[0, 1, 2, 3], [4, 5, 6, 7]]] * 2
    assert (len(loader), loader.epoch) == (2, 2)


def test_join_reaches_into_the_next_epoch() -> None:
    loader = Loader(Numbered(10), 4, remainder="join", shuffle="none", rank=0, world_size=1)
    assert [batch["id"] for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert loader.epoch == 1
    assert [batch["id"] for batch in loader] == [[2, 3, 4, 5], [6, 7, 8, 9]]


@pytest.mark.parametrize("shuffle", ["full", "near", "none"])
def test_threads_prefetch_and_batch_size_change_nothing(shuffle: str) -> None:
    wanted = unbroken(50, 2, shuffle=shuffle, seed=4)
    for threads, prefetch, batch in ((1, 0, 7), (2, 2, 4), (3, 5, 50)):
        loader = Loader(
            Numbered(50), batch, seed=4, shuffle=shuffle, threads=threads, prefetch=prefetch
        )  # fmt: skip
        assert [i for _ in range(2) for part in loader for i in ids(part)] == wanted


def test_a_loop_continues_after_a_break() -> None:
    loader = Loader(Numbered(20), 3, seed=1)
    first = [i for _, batch in zip(range(2), loader, strict=False) for i in ids(batch)]
    rest = [i for batch in loader for i in ids(batch)]
    assert first + rest == unbroken(20, 1, seed=1)
    loader.set_epoch(0)
    assert [i for batch in loader for i in ids(batch)] == unbroken(20, 1, seed=1)


def test_weights_draw_in_proportion() -> None:
    loader = Loader(Numbered(40), 8, weights="number", seed=2)
    numbers = [number for batch in loader for number in batch["id"]]
    expected = np.arange(40) * 40 / np.arange(40).sum()
    assert np.abs(np.bincount(numbers, minlength=40) - expected).max() < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size 0: expected at least 1"),
        ({"shuffle": "some"}, "shuffle 'some': expected one of full, near, none"),
        ({"remainder": "cut"}, "remainder 'cut': expected one of keep, drop, join"),
        (
            {"remainder": "drop", "batch_size": 11},
            "all of the 10 samples: a step takes 11",
        ),
        ({"rank": 3, "world_size": 2}, "rank 3 of 2: expected 0 to 1"),
        ({"rank": 0}, "rank 0, world_size None: give both or neither"),
        ({"weights": "zeros"}, "weights='zeros': expected numbers of at least 0"),
        ({"threads": 0}, "threads 0, num_workers 0, prefetch 2"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Loader(Numbered(10), **{"batch_size": 2, **options})


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(PipelineError, match="no sample meets the conditions"):
        Loader(Numbered(0), 2)


def test_a_state_of_another_run_is_refused() -> None:
    state = Loader(Numbered(10), 2, seed=1).state_dict()
    for other, message in (
        (Loader(Numbered(10), 2, seed=2), "its seed is 1, ours 2"),
        (Loader(Numbered(11), 2, seed=1), "its length is 10, ours 11"),
        (Loader(Numbered(10), 2, seed=1, shuffle="none"), "another run: its data is"),
    ):
        with pytest.raises(PipelineError, match=message):
            other.load_state_dict(state)
    with pytest.raises(PipelineError, match="its version is 0, ours 2"):
        Loader(Numbered(10), 2, seed=1).load_state_dict({**state, "version": 0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_pairs(made, ["happy", "sad"])
    return made


@pytest.mark.slow
def test_workers_give_the_same_batches_in_the_same_order(folder: Path) -> None:
    """With 0, 1 and 2 processes, forked or spawned; the same pixels too."""
    columns = ["sample_id", "target", "confidence"]
    epochs = []
    for workers, context in ((0, None), (1, "fork"), (2, "fork"), (2, "spawn")):
        data = Pairs(folder, "train", columns=columns, where=[("frame_a", ">", 5)])
        loader = Loader(data, 16, seed=3, num_workers=workers, context=context)
        epochs.append([
            (batch["sample_id"], int(batch["target"].sum()), float(batch["confidence"].sum()))
            for batch in loader
        ])  # fmt: skip
    assert len(epochs[0]) == 7
    assert epochs[1:] == epochs[:1] * 3
    names = [name for part, _, _ in epochs[0] for name in part]
    assert len(set(names)) == len(names) == 18 * 6


@pytest.mark.slow
def test_a_run_killed_with_workers_resumes(folder: Path) -> None:
    data = Pairs(folder, "train", columns=["sample_id"])
    wanted = [i for batch in Loader(data, 10, seed=5) for i in batch["sample_id"]]
    first = Loader(data, 10, seed=5, num_workers=2, context="spawn")
    seen = [i for _, batch in zip(range(4), first, strict=False) for i in batch["sample_id"]]
    second = Loader(data, 7, seed=5, num_workers=1, context="spawn")
    second.load_state_dict(first.state_dict())
    seen += [i for batch in second for i in batch["sample_id"]]
    assert seen == wanted


def test_batches_equal_those_of_the_dataset(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["sample_id", "source", "target"])
    for batch in Loader(pairs, 20, shuffle="near"):
        reader = ColumnReader(pairs.readers()[0].shards, ["sample_id"])
        names = reader.values("sample_id")
        at = [names.index(name) for name in batch["sample_id"]]
        direct = pairs.__getitems__(at)
        assert torch.equal(batch["source"], direct["source"])
        assert torch.equal(batch["target"], direct["target"])


def test_a_referenced_batch_is_not_overwritten(folder: Path) -> None:
    loader = Loader(Pairs(folder, "train", columns=["target"]), 8, threads=2, prefetch=2)
    kept = [(batch["target"], batch["target"].clone()) for batch in loader]
    assert len(kept) == 27
    assert all(torch.equal(given, copy) for given, copy in kept)
    part = next(iter(loader))["target"][3, :, ::2]
    copy = part.clone()
    for _ in loader:
        pass
    assert torch.equal(part, copy)


def test_windows_go_through_the_loader(folder: Path) -> None:
    windows = Windows(folder, "train", columns=["sample_id", "target", "confidence"], length=3)
    loader = Loader(windows, 6, seed=1, remainder="drop")
    batch = next(iter(loader))
    assert batch["target"].shape == (6, 3, 3, 48, 48)
    assert torch.equal(batch["weights"], batch["confidence"])
    assert len(windows) == 18 * 10


def test_weights_by_column(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["frame_a", "confidence"])
    frames = torch.cat([batch["frame_a"] for batch in Loader(pairs, 50, weights="confidence")])
    counts = torch.bincount(frames, minlength=12).double()
    assert counts[0] == 0
    assert counts[11] == pytest.approx(len(pairs) * 11 / 66, abs=18)
    with pytest.raises(PipelineError, match="weights='mouth_agreement': expected numbers"):
        Loader(pairs, 4, weights="mouth_agreement")
