"""Joining a Ray cluster: one clear line where it does not answer, or asks for another token."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.runtime.executor import ray_cluster as joining

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray")
_HEAD = "127.0.0.1:6398"


class _NoTokenError(Exception):
    """As `ray.exceptions.AuthenticationError`."""


def _ray_that_raises(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def init(**_: Any) -> None:
        raise error

    kinds = SimpleNamespace(AuthenticationError=_NoTokenError)
    ray = SimpleNamespace(is_initialized=lambda: False, init=init, exceptions=kinds)
    monkeypatch.setattr(joining, "the_ray", lambda: ray)
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)


def _refused() -> ConnectionError:
    """What Ray 2.60 raises: the head's word is in the cause alone."""
    error = ConnectionError("Failed to connect to Ray cluster at 127.0.0.1:6379")
    error.__cause__ = RuntimeError("Unauthenticated: RPC error: InvalidAuthToken: missing or")
    return error


def _joined() -> None:
    with joining.cluster():
        pass


@pytest.mark.parametrize("error", [_refused(), _NoTokenError("no token was found")])
def test_a_missing_token_is_told_with_what_to_export(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _ray_that_raises(monkeypatch, error)
    with pytest.raises(PipelineError, match=r"requires a token: export RAY_AUTH_MODE=token here"):
        _joined()


@pytest.mark.parametrize("error", [_refused(), _NoTokenError("no token was found")])
def test_another_token_is_told_with_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _ray_that_raises(monkeypatch, error)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(PipelineError, match=r"missing or wrong: copy the head's ~/.ray/auth_tok"):
        _joined()


def test_what_is_no_matter_of_tokens_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _ray_that_raises(monkeypatch, ConnectionError("version mismatch"))
    with pytest.raises(PipelineError, match=r"of this machine does not answer: version mismatch"):
        _joined()


def test_an_address_where_nobody_listens_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _ray_that_raises(monkeypatch, AssertionError("Ray was asked"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(PipelineError, match=rf"{address} does not answer: .*refused"):
            _joined()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The recipe of docs/cluster.md, two nodes on this machine with a token; the environment."""
    own = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **own}
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        environment.pop(name, None)
    _ray(environment, "get-auth-token", "--generate")
    started = []
    with TemporaryDirectory(prefix="r") as short:  # the names of sockets are short
        head = ["--head", "--port", _HEAD.split(":")[1], "--temp-dir", short]
        try:
            for how in (head, ["--address", _HEAD]):
                started.append(_start(environment, *how))
            yield {**environment, "RAY_ADDRESS": _HEAD}
        finally:
            for node in started:
                with suppress(ProcessLookupError):
                    os.killpg(node.pid, signal.SIGTERM)
                node.communicate(timeout=60)


def _ray(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "ray.scripts.scripts", *words]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)


def _start(environment: dict[str, str], *how: str) -> subprocess.Popen[str]:
    """A node that lives as long as its command, once it has said that it is there."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *how, "--num-cpus", "1"]
    command += ["--disable-usage-stats", "--block"]
    node = subprocess.Popen(
        command, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert node.stdout is not None
    said = []
    for line in node.stdout:
        said.append(line)
        if "Ray runtime started" in line:
            return node
    raise AssertionError("".join(said))


_ASK = """
from pipeline.runtime.executor import ray_cluster
from pipeline.errors import PipelineError

try:
    with ray_cluster.cluster() as found:
        print(found.cpus)
except PipelineError as error:
    print(error)
"""


def _asked(environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", _ASK]
    ended = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    return ended.stdout


@needs_ray
@pytest.mark.slow
def test_the_recipe_and_its_token(nodes: dict[str, str]) -> None:
    """The right token sees both nodes' cores; none, and another, are one line each."""
    assert float(_asked(nodes)) == 2.0
    assert "wrong: copy the head's" in _asked({**nodes, "RAY_AUTH_TOKEN": "0" * 64})
    assert "export RAY_AUTH_MODE=token" in _asked({**nodes, "RAY_AUTH_MODE": "disabled"})
