"""Connect to the Ray cluster of RAY_ADDRESS or of this machine, or start one for the run."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.errors import MissingExtraError, PipelineError
from pipeline.runtime import numerics

_NO_TELEMETRY = "RAY_USAGE_STATS_ENABLED"
_HIDDEN = "RAY_DEDUP_LOGS_SKIP_REGEX"
_ADDRESS = "RAY_ADDRESS"
_AUTH_MODE = "RAY_AUTH_MODE"
_REFUSED = "InvalidAuthToken"
"""Ray's reply to a missing or wrong token."""
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Cluster:
    """The resources of a cluster."""

    cpus: float
    gpus: float

    def room(self, gpus: float) -> int:
        """How many workers fit, each with one core and `gpus` GPUs.

        Raises
        ------
        PipelineError
            No worker fits.
        """
        n = int(self.cpus if gpus == 0 else min(self.cpus, self.gpus / gpus))
        if n < 1:
            raise PipelineError(
                f"the Ray cluster has {self.cpus:g} cores and {self.gpus:g} GPUs, and a worker of "
                f"this stage needs 1 core and {gpus:g} GPUs: start more nodes, or lower "
                "--gpus-per-worker"
            )
        return n


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Connect for the block; a cluster that was connected before stays connected.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    PipelineError
        The cluster of RAY_ADDRESS does not answer, or requires another token.
    """
    os.environ[_NO_TELEMETRY] = "0"  # before the import: no telemetry from a cluster we start
    os.environ.setdefault(_HIDDEN, ".*")  # else Ray prints its nodes' messages to our stdout
    numerics.assign(numerics.assigned())  # inherited by the workers of a cluster we start
    ray = the_ray()
    ours = not ray.is_initialized()
    if ours:
        _join(ray, os.environ.get(_ADDRESS, ""))
    try:
        total = ray.cluster_resources()
        yield Cluster(total.get("CPU", 0.0), total.get("GPU", 0.0))
    finally:
        if ours:
            ray.shutdown()


def the_ray() -> Any:
    """The library, imported on demand.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError("ray", "ray") from None
    return ray


def _join(ray: Any, address: str) -> None:
    _check_address(address)
    lacks_token: type[Exception] = getattr(ray.exceptions, "AuthenticationError", ConnectionError)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (lacks_token, ConnectionError) as error:
        raise _refused(address, error) from None


def _check_address(address: str) -> None:
    """Fail at once if nothing listens there: Ray would try for minutes, then end the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():  # none, `auto`, `local`: Ray finds it
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise PipelineError(f"the Ray cluster {address} does not answer: {error}") from None


def _refused(address: str, error: Exception) -> PipelineError:
    """The error for a refused connection; a token problem shows in its type or its cause."""
    place = f"the Ray cluster {address or 'of this machine'}"
    needs_token = not isinstance(error, ConnectionError) or _REFUSED in f"{error} {error.__cause__}"
    if not needs_token:
        return PipelineError(f"{place} does not answer: {error}")
    if os.environ.get(_AUTH_MODE, "").lower() != "token":
        return PipelineError(
            f"{place} requires a token: export {_AUTH_MODE}=token here and on every node, with the "
            "head's ~/.ray/auth_token"
        )
    return PipelineError(
        f"{place} requires a token, and the one here is missing or wrong: copy the head's "
        "~/.ray/auth_token, or set RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN"
    )
