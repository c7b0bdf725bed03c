"""The Ray cluster that a run works on: the one named, one of this machine, or one of its own."""

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
"""What Ray's head says to one whose token is missing or another."""
_KNOCK_S = 10.0


@dataclass(frozen=True)
class Cluster:
    """What there is to work on."""

    cpus: float
    gpus: float

    def room(self, gpus: float) -> int:
        """How many workers there is room for, each one core and `gpus`.

        Raises
        ------
        PipelineError
            When there is room for none.
        """
        n = int(self.cpus if gpus == 0 else min(self.cpus, self.gpus / gpus))
        if n < 1:
            raise PipelineError(
                f"the Ray cluster has {self.cpus:g} cores and {self.gpus:g} GPUs, and a worker of "
                f"this stage takes 1 core and {gpus:g} GPUs: start more nodes, or lower "
                "--gpus-per-worker"
            )
        return n


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Connect for the block; a cluster that was connected before stays connected.

    Raises
    ------
    MissingExtraError
        Without Ray.
    PipelineError
        When the cluster that RAY_ADDRESS names does not answer, or asks for another token.
    """
    os.environ[_NO_TELEMETRY] = "0"  # before the import: a cluster of our own tells nobody
    os.environ.setdefault(_HIDDEN, ".*")  # Ray would write its nodes' woes to our standard output
    numerics.assign(numerics.assigned())  # a cluster of our own hands it down to its workers
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
    """The library.

    Raises
    ------
    MissingExtraError
        Without it.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError("ray", "ray") from None
    return ray


def _join(ray: Any, address: str) -> None:
    _knock(address)
    lacks_token: type[Exception] = getattr(ray.exceptions, "AuthenticationError", ConnectionError)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (lacks_token, ConnectionError) as error:
        raise _not_let_in(address, error) from None


def _knock(address: str) -> None:
    """Refuse at once where nobody listens: Ray itself tries for minutes, then ends the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():  # none, `auto`, `local`: Ray looks for itself
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
    except OSError as error:
        raise PipelineError(f"the Ray cluster {address} does not answer: {error}") from None


def _not_let_in(address: str, error: Exception) -> PipelineError:
    """What to say where Ray did not let us in; it tells of tokens in the cause, or by its type."""
    place = f"the Ray cluster {address or 'of this machine'}"
    asks = not isinstance(error, ConnectionError) or _REFUSED in f"{error} {error.__cause__}"
    if not asks:
        return PipelineError(f"{place} does not answer: {error}")
    if os.environ.get(_AUTH_MODE, "").lower() != "token":
        return PipelineError(
            f"{place} asks for a token: export {_AUTH_MODE}=token here and on every node, with the "
            "head's ~/.ray/auth_token"
        )
    return PipelineError(
        f"{place} asks for a token, and the one here is missing or another: copy the head's "
        "~/.ray/auth_token, or name it by RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN"
    )
