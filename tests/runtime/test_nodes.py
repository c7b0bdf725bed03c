"""Many machines: Ray with a node that goes, and parts of a run before `dvc repro`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline import params
from pipeline.digests import digest
from pipeline.errors import ParameterError, PartDone, PipelineError
from pipeline.runtime.executor import ray_cluster as joining
from pipeline.runtime.executor.local import share
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore, write_bytes
from pipeline.runtime.units import Unit, UnitResult, run_units

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray")


def _work(state: str, store: ItemStore, unit: str, item: tuple[int, float]) -> UnitResult:
    """A file whose bytes say what it is made of."""
    number, nap_s = item
    time.sleep(nap_s)
    content = hashlib.sha256(f"{state}-{number}".encode()).digest() * 2000
    write_bytes(store.path(unit, ".bin"), content)
    return UnitResult([".bin"], {"rows": [{"n": number}]})


def _state() -> str:
    return "weights"


def _up_to_date(run: Run, nap_s: float = 0.0, n: int = 30) -> Any:
    units = [Unit(f"S{k % 3}/{k:03}", digest(["made", k]), (k, nap_s)) for k in range(n)]
    return run_units(run, "align", "take", units, _work, _state)


def _files(run: Run) -> dict[str, bytes]:
    folder = run.items("align").folder
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.glob("*/*")}


@pytest.mark.slow
def test_parts_made_apart_join(tmp_path: Path) -> None:
    """Each part in a folder of its own, as on machines without a shared one; then all copied."""
    whole = Run("demo", params.load(None), tmp_path / "whole", Options("serial"))
    joined = Run("demo", params.load(None), tmp_path / "joined", Options("serial"))
    _up_to_date(whole)
    for part in (1, 2, 3):
        own = Run("demo", params.load(None), tmp_path / str(part), Options("serial"))
        own = replace(own, options=replace(own.options, shard=(part, 3)))
        with pytest.raises(PartDone, match=f"align: part {part}/3 is done; .* takes are left"):
            _up_to_date(own)
        shutil.copytree(own.items("align").folder, joined.items("align").folder, dirs_exist_ok=True)
    batch = _up_to_date(joined)
    assert (batch.done, batch.reused, batch.removed) == (0, 30, 0)
    assert _files(joined) == _files(whole)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster of two nodes with a core each, on this machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@needs_ray
@pytest.mark.slow
def test_a_node_that_goes_takes_nothing_along(cluster: Any, tmp_path: Path) -> None:
    serial = Run("demo", params.load(None), tmp_path / "serial", Options("serial"))
    spread = Run("demo", params.load(None), tmp_path / "ray", Options("ray", 0))
    _up_to_date(serial)
    second = next(iter(cluster.worker_nodes))
    removal = threading.Thread(target=partial(_remove, cluster, second, spread.items("align")))
    removal.start()
    batch = _up_to_date(spread, nap_s=0.3)
    removal.join()
    assert second not in cluster.worker_nodes
    assert (batch.done, batch.reused, batch.rejects()) == (30, 0, [])
    assert _files(spread) == _files(serial)


def _remove(cluster: Any, node: Any, store: ItemStore) -> None:
    deadline = time.monotonic() + 200
    while len(store.units()) < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    cluster.remove_node(node, allow_graceful=False)


@needs_ray
def test_ray_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray._common.usage import usage_lib

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with joining.cluster() as found:
        assert not usage_lib.usage_stats_enabled()
        assert found == joining.Cluster(2.0, 0.0)


def test_workers_are_as_many_as_there_is_room_for() -> None:
    assert joining.Cluster(64.0, 4.0).room(0.0) == 64
    assert joining.Cluster(64.0, 4.0).room(0.5) == 8
    assert joining.Cluster(2.0, 4.0).room(1.0) == 2
    with pytest.raises(PipelineError, match=r"2 cores and 0 GPUs.*1 core and 1 GPUs"):
        joining.Cluster(2.0, 0.0).room(1.0)


def test_gpus_of_one_machine_are_shared_out() -> None:
    assert share(["0", "1"], 1.0) == ["0", "1"]
    assert share(["0", "1"], 0.5) == ["0", "1", "0", "1"]
    assert share(["0", "1", "2", "3", "4"], 2.0) == ["0,1", "2,3"]
    with pytest.raises(ParameterError, match=r"--gpus-per-worker 2: this process sees 1 GPUs"):
        share(["0"], 2.0)


@pytest.mark.slow
def test_parts_then_dvc_repro_redoes_nothing(tmp_path: Path, repository: Path) -> None:
    """`--shard 1/3`, `2/3`, `3/3` of three stages, then DVC: it reuses every item."""
    project = _project(tmp_path, repository)
    _command(project, "spfem-data", "demo")
    for stage in ("extract", "sync", "align"):
        for part in (1, 2, 3):
            _command(project, "spfem-data", stage, "--shard", f"{part}/3", "--no-lock")
        if stage != "align":  # the tables, which the next stage reads
            _command(project, "spfem-data", stage, "--no-lock")
    said = _command(project, "dvc", "repro", "align@demo")
    counts = re.findall(r"(\d+) redone, (\d+) reused", said)
    assert [int(redone) for redone, _ in counts] == [0] * len(counts)
    assert len(counts) == 3, said
    assert "up to date" in _command(project, "dvc", "status", "align@demo")


def _project(folder: Path, repository: Path) -> Path:
    """A DVC project of this repository's code on a demo corpus of one small speaker."""
    shutil.copytree(
        repository / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(repository / "dvc.yaml", folder / "dvc.yaml")
    yaml = YAML()
    settings = yaml.load(repository / "params.yaml")
    settings["datasets"] = {"demo": settings["datasets"]["demo"]}
    settings["datasets"]["demo"]["select"]["emotions"] = ["neutral", "happy"]
    settings["demo"].update(speakers=["25"], frame_px=256)
    yaml.dump(settings, folder / "params.yaml")
    _command(folder, "dvc", "init", "--no-scm", "--quiet")
    return folder


def _command(folder: Path, program: str, *words: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
    ended = subprocess.run(
        [program, *words], cwd=folder, env={**environment, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
