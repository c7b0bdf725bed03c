"""Forked processes, shared memory and uneven ranks: what made a run wait for ever."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from pipeline.errors import PipelineError
from spfem_data import CcrlTriplets, ImageFormat, Loader, Pairs, Windows, identity_collate
from spfem_data.audio import AudioWindows
from spfem_data.datasets import ColumnReader
from tests.builders.shards import write_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_pairs(folder, ["happy", "sad"])
    return folder


def in_fork(work: Callable[[], object]) -> int:
    """Exit status of a forked child that runs `work`; 142 if it does not end (SIGALRM)."""
    import signal

    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            torch.set_num_threads(1)  # as in torch's workers
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.slow
def test_a_dataset_that_was_used_works_in_a_forked_child(folder: Path) -> None:
    """Its pool has no threads there, and locks may be held by threads that do not exist there."""
    small = ImageFormat(size=16)
    pairs = Pairs(folder, "train", columns=["sample_id", "source"])
    triplets = CcrlTriplets(folder, image_format=small, window_s=0.02)
    wanted, others = pairs[:8], triplets[:8]
    held = [pairs.readers()[0]._media_reader._lock, pairs.readers()[0].buffers._lock,
            triplets._audio._lock, triplets.readers()[1]._media_reader._lock]  # fmt: skip

    def work() -> None:
        assert list(pairs.readers()[0]._columns) == ["sample_id"]  # shared, not loaded again
        assert torch.equal(pairs[:8]["source"], wanted["source"])
        assert torch.equal(triplets[:8]["audio_z"], others["audio_z"])

    for lock in held:
        lock.acquire()
    try:
        assert in_fork(work) == 0
    finally:
        for lock in held:
            lock.release()
    assert pairs[:8]["sample_id"] == wanted["sample_id"]


@pytest.mark.slow
def test_forked_workers_after_a_look_at_the_data(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["sample_id", "source"])
    wanted = pairs[:8]
    loader = DataLoader(
        pairs, batch_size=8, num_workers=2, collate_fn=identity_collate, timeout=60,
        multiprocessing_context="fork",
    )  # fmt: skip
    batch = next(iter(loader))
    assert batch["sample_id"] == wanted["sample_id"]
    assert torch.equal(batch["source"], wanted["source"])


@pytest.mark.slow
def test_too_little_shared_memory_is_noticed_before_workers_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window has 2 x 5 images of 6912 bytes and 5 weights; 16 x (2 x 2 + 1) of them wait."""
    windows = Windows(folder, "train", columns=["sample_id", "source", "target"])
    needed = (2 * 5 * 48 * 48 * 3 + 5 * 4) * 16 * 5
    for free, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        loader = Loader(windows, 16, num_workers=2, context="fork")
        if fits:
            assert len(next(iter(loader))["sample_id"]) == 16
        else:
            with pytest.raises(PipelineError, match=r"may need 6 MB of shared memory, and /dev/shm "
                               r"has 5 MB free; use threads \(num_workers=0\)"):  # fmt: skip
                next(iter(loader))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared memory that is full, in forked workers too."""

    def no_room(self: torch.Tensor) -> None:
        raise RuntimeError("unable to allocate shared memory: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", no_room)


@pytest.mark.slow
@pytest.mark.usefixtures("full")
def test_shared_memory_that_runs_out_ends_the_loop(folder: Path) -> None:
    """torch itself loses the batch, and waits for it for ever."""
    pairs = Pairs(folder, "train", columns=["sample_id", "source"])
    message = "a worker process cannot pass a batch of 1 MB through shared memory: unable to alloc"
    with pytest.raises(PipelineError, match=f"^{message}"):
        next(iter(Loader(pairs, 8, num_workers=2, context="fork")))
    loader = DataLoader(
        pairs, 8, num_workers=1, collate_fn=identity_collate, multiprocessing_context="fork",
        timeout=60,
    )  # fmt: skip
    with pytest.raises(PipelineError, match=message):
        next(iter(loader))


@pytest.mark.slow
def test_errors_of_workers_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise PipelineError("the image is damaged")

    pairs = Pairs(folder, "train", columns=["sample_id"])
    loader = Loader(pairs, 8, num_workers=1, context="fork")
    monkeypatch.setattr(ColumnReader, "scalars", fail)
    with pytest.raises(PipelineError, match=r"^the image is damaged$"):
        next(iter(loader))


@pytest.mark.parametrize(("world_size", "steps"), [(1, 6), (3, 2)])
def test_all_ranks_make_equally_many_steps_by_default(
    folder: Path, world_size: int, steps: int
) -> None:
    """54 rows; with `keep`, the last step of three ranks would have 24."""
    pairs = Pairs(folder, "train", columns=["sample_id"], where=[("frame_a", "<", 3)])
    assert len(pairs) == 54
    ranks = [Loader(pairs, 10, rank=r, world_size=world_size) for r in range(world_size)]
    sizes = [[len(batch["sample_id"]) for batch in loader] for loader in ranks]
    if world_size == 1:
        assert sizes == [[10, 10, 10, 10, 10, 4]]
    else:
        assert sizes == [[10] * steps] * world_size


def test_audio_is_decoded_again_in_a_child(folder: Path) -> None:
    audio = AudioWindows(folder, "train", 0.04)
    take = audio.reader.values("take_id")[0]
    wanted = audio.windows([take], [0.2])
    assert in_fork(lambda: _equal(audio.windows([take], [0.2]), wanted)) == 0


def _equal(a: torch.Tensor, b: torch.Tensor) -> None:
    assert torch.equal(a, b)
