"""Which settings a mode assigns, whatever the caller's environment says, and what is recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import params
from pipeline.digests import digest
from pipeline.errors import ParameterError
from pipeline.runtime import executor, numerics
from pipeline.runtime.units import Unit, keyed, no_setup
from tests.builders.dataset import make_run

HOSTILE = {
    "OPENBLAS_CORETYPE": "Nehalem", "ATEN_CPU_CAPABILITY": "default", "MKL_NUM_THREADS": "8",
    "OMP_NUM_THREADS": "8", "NUMBA_CPU_NAME": "generic", "MKL_CBWR": "AUTO",
    "OPENBLAS_L2_SIZE": "256", "SPFEM_NUMERICS": "native",
}  # fmt: skip


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that is put back, with a caller's wishes in it."""
    for name in (*numerics.settings("portable"), *numerics.cleared("portable")):
        monkeypatch.setenv(name, "x")
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_portable_overrides_the_caller(environment: pytest.MonkeyPatch) -> None:
    numerics.assign("portable")
    wanted = numerics.settings("portable")
    assert {name: os.environ[name] for name in wanted} == wanted
    assert wanted["OPENBLAS_CORETYPE"] == "Haswell"
    assert wanted["MKL_NUM_THREADS"] == wanted["OMP_NUM_THREADS"] == "1"
    assert not set(numerics.cleared("portable")) & set(os.environ)
    assert numerics.assigned() == "portable"


def test_native_pins_threads_alone(environment: pytest.MonkeyPatch) -> None:
    numerics.assign("native")
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_CORETYPE"] == "Nehalem"
    assert numerics.assigned() == "native"


def test_code_for_the_pinned_target_has_a_folder_of_its_own(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first = numerics.settings("portable")["NUMBA_CACHE_DIR"]
    assert first == str(tmp_path / "numba-portable")
    environment.setenv("NUMBA_CACHE_DIR", first)  # as a child sees it
    assert numerics.settings("portable")["NUMBA_CACHE_DIR"] == first
    environment.delenv("NUMBA_CACHE_DIR")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = tmp_path / "cache" / "spfem-data" / "numba-portable"
    assert numerics.settings("portable")["NUMBA_CACHE_DIR"] == str(wanted)


@pytest.mark.parametrize("mode", numerics.MODES)
def test_without_a_home_the_folder_is_of_this_user_alone(
    environment: pytest.MonkeyPatch, tmp_path: Path, mode: numerics.Mode
) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        environment.delenv(name, raising=False)
    environment.setattr("tempfile.tempdir", str(tmp_path))
    folder = Path(numerics.settings(mode)["NUMBA_CACHE_DIR"]).parent
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)  # another user could put code there
    other = Path(numerics.settings(mode)["NUMBA_CACHE_DIR"]).parent
    assert other != folder
    assert other.stat().st_mode & 0o777 == 0o700


def test_the_modes_have_separate_folders(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba-portable"))  # of a parent process
    assert numerics.settings("native")["NUMBA_CACHE_DIR"] == str(tmp_path / "numba-native")


AS_ANOTHER_USER = """
import os, sys, tempfile
from pipeline.runtime import numerics
tempfile.tempdir = sys.argv[1]
if os.getuid() == 0:
    os.setgid(12345)
    os.setuid(12345)
for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
    os.environ.pop(name, None)
for changes in ({}, {"HOME": "/nonexistent"}, {"HOME": "/"}, {"HOME": sys.argv[2]},
                {"XDG_CACHE_HOME": sys.argv[2]}, {"NUMBA_CACHE_DIR": sys.argv[2]}):
    os.environ.update(changes)
    for mode in numerics.MODES:
        values = numerics.settings(mode)
        folder = values["NUMBA_CACHE_DIR"]
        os.makedirs(folder, exist_ok=True)
        assert os.access(folder, os.W_OK), folder
        print(os.path.relpath(folder, sys.argv[1]), values.get("HOME", os.environ.get("HOME")))
    for name in changes:
        del os.environ[name]
"""


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that other users may read; pytest's own they may not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_container_s_user_without_a_writable_home(for_all: Path, repository: Path) -> None:
    """As with `docker run -u 12345`; one of the homes cannot even be read."""
    private, temporary = for_all / "private", for_all / "tmp"
    private.mkdir(mode=0o700 if os.getuid() == 0 else 0o500)
    temporary.mkdir()
    temporary.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, str(temporary), str(private)],
        env={**os.environ, "PYTHONPATH": str(repository)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    user = os.getuid() or 12345
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 12
    for folder, _ in lines:
        assert folder in {f"spfem-data-{user}/numba-{mode}" for mode in numerics.MODES}
    if os.getuid() == 0:  # that user has no entry in passwd, so libraries need some home
        assert lines[0][1] == str(temporary / "spfem-data-12345")


def seen(state: None, name: str) -> str | None:
    """What a worker's environment says."""
    return os.environ.get(name)


@pytest.mark.slow
def test_workers_have_the_settings(environment: pytest.MonkeyPatch) -> None:
    numerics.assign("portable")
    environment.setenv("OPENBLAS_CORETYPE", "Nehalem")  # set since
    environment.setenv("MKL_CBWR", "AUTO")
    names = ["OPENBLAS_CORETYPE", "MKL_CBWR", "NUMBA_CPU_NAME", "OPENBLAS_L2_SIZE"]
    found = dict(
        executor.run(seen, {n: n for n in names}, setup=no_setup, engine="processes", workers=1)
    )
    assert found == {
        "OPENBLAS_CORETYPE": "Haswell", "MKL_CBWR": "COMPATIBLE", "NUMBA_CPU_NAME": "haswell",
        "OPENBLAS_L2_SIZE": None,
    }  # fmt: skip


def nothing() -> None:
    """A worker's state."""


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "core"), [("portable", "Haswell"), ("native", "Nehalem")])
def test_the_command_line_computes_in_the_mode_of_params(
    tmp_path: Path, repository: Path, mode: str, core: str
) -> None:
    """`insist` starts the program again with the caller's environment where the mode is native."""
    text = params.default_text().replace("numerics: portable", f"numerics: {mode}")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    code = (
        "import os; from cli import options as settings; from pipeline.runtime import numerics\n"
        "numerics.begin(); settings.load_params(None)\n"
        "print(os.environ['OPENBLAS_CORETYPE'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, **HOSTILE, "PYTHONPATH": str(repository)},
    )  # fmt: skip
    assert done.stdout.split() == [core], done.stderr


def test_a_mode_that_comes_too_late_is_one_line(environment: pytest.MonkeyPatch) -> None:
    numerics.assign("portable")
    environment.setattr(numerics, "_BEFORE", {})
    with pytest.raises(ParameterError, match="must be assigned before libraries are imported"):
        numerics.insist("native")
    numerics.insist("portable")


def test_the_fingerprint_names_the_processor_in_native_mode_alone() -> None:
    portable, native = (numerics.fingerprint(mode) for mode in numerics.MODES)
    assert "processor" not in portable
    assert native["processor"]
    assert portable["libraries"]["numpy"] == __import__("numpy").__version__
    assert portable["device"] == "cpu"
    json.dumps(dict(native))


def test_native_units_have_keys_of_their_own(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    unit = Unit("u", "key", None)
    assert keyed(run, [unit]) == [unit]
    native = replace(run, params=run.params.model_copy(update={"numerics": "native"}))
    assert keyed(native, [unit]) == [replace(unit, key=digest(["key", "native"]))]
