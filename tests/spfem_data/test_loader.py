"""The global order, its parts by rank and worker, and runs that are killed and go on."""

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
from spfem_data.datasets import AS_STORED, Batch, Pairs, Rows, Samples, Windows
from spfem_data.loader import Loader, Plan
from spfem_data.rng import Draws
from tests.spfem_data.made_shards import write_pairs


class Numbered(Samples):
    """Samples that are their own index, with a lot drawn for each."""

    def __init__(self, n: int) -> None:
        super().__init__(AS_STORED, 1)
        self.n = n

    def __len__(self) -> int:
        return self.n

    def rows(self) -> Sequence[Rows]:
        return ()

    def runs(self) -> list[int]:
        return [7] * (self.n // 7) + [self.n % 7]

    def weights(self, column: str) -> Any:
        return np.arange(self.n, dtype=np.float64) if column == "number" else np.zeros(self.n)

    def pictures(self) -> frozenset[str]:
        return frozenset()

    def take(self, indices: Any, draws: Draws, pool: object = None) -> Batch:
        return {"id": indices.tolist(), "lot": draws.bits("lot").tolist()}


Ids = list[tuple[int, int]]


def ids(batch: Batch) -> Ids:
    return list(zip(batch.get("id", []), batch.get("lot", []), strict=True))


def unbroken(n: int, epochs: int, **options: Any) -> Ids:
    """The global order: one rank, batches of one."""
    loader = Loader(Numbered(n), 1, threads=1, ahead=0, rank=0, world=1, **options)
    return [i for _ in range(epochs) for batch in loader for i in ids(batch)]


def steps_of(n: int, batch: int, world: int, state: dict[str, Any] | None, **options: Any) -> Any:
    """One loader a rank, gone through in step; yields the ids of each step and the state after."""
    loaders = [
        Loader(Numbered(n), batch, rank=rank, world=world, threads=1, ahead=1, **options)
        for rank in range(world)
    ]
    for loader in loaders:
        if state is not None:
            loader.load_state_dict(state)
    while True:
        for parts in zip(*loaders, strict=True):
            states = [loader.state_dict() for loader in loaders]
            assert all(found == states[0] for found in states)
            yield [i for part in parts for i in ids(part)], states[0]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 1000),
    shuffle=st.sampled_from(["full", "near", "none"]),
    tail=st.sampled_from(["keep", "join"]),
    lives=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=6
    ),
)
def test_a_run_killed_again_and_again_sees_the_unbroken_order(
    n: int, seed: int, shuffle: str, tail: str, lives: list[tuple[int, int, int]]
) -> None:
    """Each life has its batch size and world size, and dies after some steps."""
    options: dict[str, Any] = {"seed": seed, "shuffle": shuffle}
    seen: Ids = []
    state = None
    for batch, world, steps in lives:
        running = steps_of(n, batch, world, state, tail=tail, **options)
        for _, (found, now) in zip(range(steps), running, strict=False):
            seen += found
            state = now
    epochs = len(seen) // n + 1
    assert seen == unbroken(n, epochs, **options)[: len(seen)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
        for _, (found, now) in zip(range(steps), running, strict=False):
            seen += found
            state = now
    assert seen == unbroken(n, len(seen) // n + 1, seed=seed)[: len(seen)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100), st.integers(1, 9), st.integers(1, 5), st.sampled_from(["keep", "join"]))
def test_an_epoch_gives_each_sample_once(n: int, batch: int, world: int, tail: Any) -> None:
    plans = [Plan(n, batch, rank, world, tail) for rank in range(world)]
    parts = [list(plan.steps(0)) for plan in plans]
    assert len({len(part) for part in parts}) == 1
    places = np.concatenate([p for step in zip(*parts, strict=True) for p, _ in step])
    assert places[:n].tolist() == list(range(n))
    assert len(places) == n if tail == "keep" else n <= len(places) < n + batch * world


def test_dropped_tails_leave_whole_steps() -> None:
    loader = Loader(Numbered(10), 4, tail="drop", shuffle="none", rank=0, world=1)
    epochs = [[batch["id"] for batch in loader] for _ in range(2)]
    assert epochs == [[[0, 1, 2, 3], [4, 5, 6, 7]]] * 2
    assert (len(loader), loader.epoch) == (2, 2)


def test_joined_tails_reach_into_the_next_epoch() -> None:
    loader = Loader(Numbered(10), 4, tail="join", shuffle="none", rank=0, world=1)
    assert [batch["id"] for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert loader.epoch == 1
    assert [batch["id"] for batch in loader] == [[2, 3, 4, 5], [6, 7, 8, 9]]


@pytest.mark.parametrize("shuffle", ["full", "near", "none"])
def test_threads_ahead_and_batch_size_change_nothing(shuffle: str) -> None:
    wanted = unbroken(50, 2, shuffle=shuffle, seed=4)
    for threads, ahead, batch in ((1, 0, 7), (2, 2, 4), (3, 5, 50)):
        loader = Loader(
            Numbered(50), batch, seed=4, shuffle=shuffle, threads=threads, ahead=ahead
        )  # fmt: skip
        assert [i for _ in range(2) for found in loader for i in ids(found)] == wanted


def test_a_loop_that_was_left_goes_on() -> None:
    loader = Loader(Numbered(20), 3, seed=1)
    first = [i for _, batch in zip(range(2), loader, strict=False) for i in ids(batch)]
    rest = [i for batch in loader for i in ids(batch)]
    assert first + rest == unbroken(20, 1, seed=1)
    loader.set_epoch(0)
    assert [i for batch in loader for i in ids(batch)] == unbroken(20, 1, seed=1)


def test_weights_draw_in_proportion() -> None:
    loader = Loader(Numbered(40), 8, weights="number", seed=2)
    found = [number for batch in loader for number in batch["id"]]
    expected = np.arange(40) * 40 / np.arange(40).sum()
    assert np.abs(np.bincount(found, minlength=40) - expected).max() < 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 0}, "batch_size 0: expected at least 1"),
        ({"shuffle": "some"}, "shuffle 'some': expected one of full, near, none"),
        ({"tail": "cut"}, "tail 'cut': expected one of keep, drop, join"),
        ({"tail": "drop", "batch_size": 11}, "leave out all of the 10 samples: a step takes 11"),
        ({"rank": 3, "world": 2}, "rank 3 of 2: expected 0 to 1"),
        ({"rank": 0}, "rank 0 of world None: give both or neither"),
        ({"weights": "zeros"}, "weights='zeros': expected numbers of at least 0"),
        ({"threads": 0}, "threads 0, workers 0, ahead 2"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(PipelineError, match=says):
        Loader(Numbered(10), **{"batch_size": 2, **options})


def test_nothing_to_load_is_said() -> None:
    with pytest.raises(PipelineError, match="no sample meets the conditions"):
        Loader(Numbered(0), 2)


def test_a_state_of_another_run_is_refused() -> None:
    state = Loader(Numbered(10), 2, seed=1).state_dict()
    for other, says in (
        (Loader(Numbered(10), 2, seed=2), "its seed is 1, ours 2"),
        (Loader(Numbered(11), 2, seed=1), "its length is 10, ours 11"),
        (Loader(Numbered(10), 2, seed=1, shuffle="none"), "another run: its data is"),
    ):
        with pytest.raises(PipelineError, match=says):
            other.load_state_dict(state)
    with pytest.raises(PipelineError, match="its version is 0, ours 1"):
        Loader(Numbered(10), 2, seed=1).load_state_dict({**state, "version": 0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_pairs(made, ["happy", "sad"])
    return made


def test_workers_give_the_same_batches_in_the_same_order(folder: Path) -> None:
    """0, 1 and 2 processes, forked or spawned; pixels too."""
    columns = ["sample_id", "target", "confidence"]
    found = []
    for workers, context in ((0, None), (1, "fork"), (2, "fork"), (2, "spawn")):
        data = Pairs(folder, "train", columns=columns, where=[("frame_a", ">", 5)])
        loader = Loader(data, 16, seed=3, workers=workers, context=context)
        found.append([
            (batch["sample_id"], int(batch["target"].sum()), float(batch["confidence"].sum()))
            for batch in loader
        ])  # fmt: skip
    assert len(found[0]) == 7
    assert found[1:] == found[:1] * 3
    names = [name for part, _, _ in found[0] for name in part]
    assert len(set(names)) == len(names) == 18 * 6


def test_a_run_killed_with_workers_goes_on(folder: Path) -> None:
    data = Pairs(folder, "train", columns=["sample_id"])
    wanted = [i for batch in Loader(data, 10, seed=5) for i in batch["sample_id"]]
    first = Loader(data, 10, seed=5, workers=2, context="spawn")
    seen = [i for _, batch in zip(range(4), first, strict=False) for i in batch["sample_id"]]
    second = Loader(data, 7, seed=5, workers=1, context="spawn")
    second.load_state_dict(first.state_dict())
    seen += [i for batch in second for i in batch["sample_id"]]
    assert seen == wanted


def test_batches_are_what_the_dataset_gives(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["sample_id", "source", "target"])
    for batch in Loader(pairs, 20, shuffle="near"):
        rows = Rows(pairs.rows()[0].shards, ["sample_id"])
        names = rows.values("sample_id")
        at = [names.index(name) for name in batch["sample_id"]]
        direct = pairs.__getitems__(at)
        assert torch.equal(batch["source"], direct["source"])
        assert torch.equal(batch["target"], direct["target"])


def test_a_batch_that_is_kept_is_not_written_over(folder: Path) -> None:
    loader = Loader(Pairs(folder, "train", columns=["target"]), 8, threads=2, ahead=2)
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
    loader = Loader(windows, 6, seed=1, tail="drop")
    batch = next(iter(loader))
    assert batch["target"].shape == (6, 3, 3, 48, 48)
    assert torch.equal(batch["weights"], batch["confidence"])
    assert len(windows) == 18 * 10


def test_weights_by_column(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["frame_a", "confidence"])
    found = torch.cat([batch["frame_a"] for batch in Loader(pairs, 50, weights="confidence")])
    counts = torch.bincount(found, minlength=12).double()
    assert counts[0] == 0
    assert counts[11] == pytest.approx(len(pairs) * 11 / 66, abs=18)
    with pytest.raises(PipelineError, match="weights='mouth_agreement': expected numbers"):
        Loader(pairs, 4, weights="mouth_agreement")
