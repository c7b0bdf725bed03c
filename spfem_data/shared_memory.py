"""Batches of worker processes: torch passes their tensors through shared memory (/dev/shm).

torch copies a batch there in a background thread of the worker. If the copy fails, the batch is
lost and the main process waits for it for ever. So the batch is copied earlier, where an error can
be reported.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from spfem_data.errors import PipelineError

_SHM = Path("/dev/shm")
_ADVICE = (
    "use threads (num_workers=0), a smaller batch_size, prefetch or num_workers, or a larger "
    "/dev/shm (docker run --shm-size=2g)"
)


def share(batch: Mapping[str, Any]) -> None:
    """Move the tensors of a batch into shared memory.

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
