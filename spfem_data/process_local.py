"""What stays in its process, and what passes between processes.

Locks, thread pools, open files and caches must not leave their process.

A lock that another thread holds during a fork stays locked in the child for ever, and the threads
of a pool do not exist there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

import torch

from spfem_data.errors import PipelineError

_instances: WeakSet[ProcessLocal] = WeakSet()


class ProcessLocal:
    """Base of objects with such state: it is rebuilt after unpickling and in a forked child.

    A subclass names the attributes in `_LOCAL`, sets them in `_reset`, and calls `_start` at the
    end of its `__init__`.
    """

    _LOCAL: ClassVar[tuple[str, ...]]

    def _start(self) -> None:
        self._reset()
        _instances.add(self)

    def _reset(self) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._LOCAL}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()


def _reset_all() -> None:
    for instance in list(_instances):
        instance._reset()


os.register_at_fork(after_in_child=_reset_all)

_SHM = Path("/dev/shm")
_ADVICE = (
    "use threads (num_workers=0), a smaller batch_size, prefetch or num_workers, or a larger "
    "/dev/shm (docker run --shm-size=2g)"
)


def share(batch: Mapping[str, Any]) -> None:
    """Move the tensors of a batch of a worker process into shared memory.

    torch would copy them there in a background thread of the worker. If that fails, the batch is
    lost and the main process waits for it for ever. So the batch is copied earlier, where an error
    can be reported.

    Raises
    ------
    PipelineError
        If there is no room.
    """
    try:
        for value in batch.values():
            for tensor in _tensors(value):
                tensor.share_memory_()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:
        raise PipelineError(
            f"a worker process cannot pass a batch of {_mb(batch)} MB through shared memory: "
            f"{error}; {_ADVICE}"
        ) from error


def check_room(sample: Mapping[str, Any], samples: int) -> None:
    """Check that the batches of all workers fit into /dev/shm.

    Parameters
    ----------
    sample
        A batch of one sample.
    samples
        Number of samples that may be in shared memory at a time.

    Raises
    ------
    PipelineError
        If they do not fit.
    """
    if not _SHM.is_dir():
        return
    needed, free = _bytes(sample) * samples, shutil.disk_usage(_SHM).free
    if needed > free:
        raise PipelineError(
            f"the batches of the worker processes may need {-(-needed >> 20)} MB of shared memory, "
            f"and /dev/shm has {free >> 20} MB free; {_ADVICE}"
        )


def _tensors(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else getattr(value, "files", [])


def _bytes(batch: Mapping[str, Any]) -> int:
    return sum(tensor.nbytes for value in batch.values() for tensor in _tensors(value))


def _mb(batch: Mapping[str, Any]) -> int:
    return -(-_bytes(batch) >> 20)
