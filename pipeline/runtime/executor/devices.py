"""Assign the GPUs of this machine to workers."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.errors import ParameterError


def visible() -> list[str]:
    """The GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(n) for n in range(torch.cuda.device_count())]


def share(devices: Sequence[str], per_worker: float) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each worker, for as many workers as the devices have room for.

    Parameters
    ----------
    per_worker
        A whole number of devices, or a fraction of one: 0.5 puts two workers on each.

    Raises
    ------
    ParameterError
        There are too few devices for one worker.

    Examples
    --------
    >>> share(["0", "1"], 0.5)
    ['0', '1', '0', '1']
    """
    if per_worker < 1:
        return [*devices] * int(1 / per_worker)
    each = int(per_worker)
    if len(devices) < each:
        raise ParameterError(
            f"--gpus-per-worker {per_worker:g}: this process sees {len(devices)} GPUs"
        )
    return [",".join(devices[k : k + each]) for k in range(0, len(devices) - each + 1, each)]
