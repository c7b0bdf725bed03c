"""No telemetry, and no network except for `models fetch`."""

from __future__ import annotations

import configparser
import importlib.util
import sys
from pathlib import Path

import pytest

from tests.builders.small_run import made, run_command
from tests.faults.no_network import guarded, network_namespace, run_without_network


@pytest.mark.slow
def test_a_run_does_not_use_the_network(tmp_path: Path) -> None:
    n, attempts, failed = run_without_network(made(tmp_path), tmp_path)
    assert (n, attempts, failed) == (2, [], [])
    print(f"no network: {n} stages, namespace {' '.join(network_namespace()) or 'not permitted'}")


def test_the_guard_reaches_child_processes(tmp_path: Path) -> None:
    speak = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    below = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {speak!r}]))"
    done, attempts = guarded([sys.executable, "-c", below], tmp_path)
    assert done.returncode == 1
    assert len(attempts) == 1
    assert attempts[0].startswith("getaddrinfo ('192.0.2.1', 9)")


@pytest.mark.slow
def test_models_list_does_not_use_the_network(tmp_path: Path) -> None:
    small = made(tmp_path)
    text = small.params.read_text(encoding="utf-8")
    start = text.index("models:")
    entry = "models:\n  net: {path: '', url: 'https://192.0.2.1/x', sha256: '" + "a" * 64 + "'}\n"
    rest = text[text.index("\n", start) + 1 :]
    while rest.startswith(" "):
        rest = rest[rest.index("\n") + 1 :]
    small.params.write_text(text[:start] + entry + rest, encoding="utf-8")
    command = [
        sys.executable, "-m", "cli.main", "models", "list", "--params", str(small.params),
        "--data", str(small.data),
    ]  # fmt: skip
    done, attempts = guarded(command, tmp_path)
    assert (done.returncode, attempts) == (0, []), done.stderr


def test_telemetry_of_dvc_is_off_in_the_project(repository: Path) -> None:
    config = configparser.ConfigParser()
    config.read(repository / ".dvc" / "config")
    assert config["core"]["analytics"] == "false"
    assert config["core"]["check_update"] == "false"
    shown = run_command(
        [sys.executable, "-c", "from dvc import analytics; print(analytics.is_enabled())"]
    )
    assert shown.stdout.strip() == "False", shown.stderr


def test_every_call_of_dvc_disables_telemetry(repository: Path) -> None:
    for name in (
        "Makefile",
        ".ci/check-lock.sh",
        "cli/dvc_commit.py",
        "pipeline/tools/forget/purge.py",
    ):
        assert "DVC_NO_ANALYTICS" in (repository / name).read_text(encoding="utf-8"), name


def test_telemetry_of_ray_is_off(repository: Path) -> None:
    text = (repository / "pipeline" / "runtime" / "executor" / "ray_cluster.py").read_text(
        encoding="utf-8"
    )
    assert 'os.environ[_NO_TELEMETRY] = "0"' in text or '_NO_TELEMETRY: "0"' in text


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
def test_ray_reports_that_usage_statistics_are_off() -> None:
    asked = (
        "from pipeline.runtime.executor.ray_cluster import cluster\n"
        "with cluster():\n"
        "    from ray._common.usage import usage_lib\n"
        "    print('reports:', usage_lib.usage_stats_enabled())\n"
    )
    done = run_command([sys.executable, "-c", asked], RAY_ADDRESS="local")
    assert "reports: False" in done.stdout.splitlines(), done.stderr
