"""`doctor` on broken set-ups: it names the cause and the fix, and runs with any library broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.tools.doctor import libraries, machine, probes
from pipeline.tools.doctor.check import Check

Checks = dict[str, dict[str, str]]


@pytest.fixture
def params(repository: Path, tmp_path: Path) -> Callable[..., Path]:
    """The default params.yaml in the working folder, with texts replaced."""

    def write(*changes: tuple[str, str]) -> Path:
        text = (repository / "params.yaml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A RAVDESS of two takes whose files are empty: nothing decodes them."""
    root = tmp_path / "ravdess" / "Actor_01"
    root.mkdir(parents=True)
    for name in ("01-01-01-01-01-01-01.mp4", "01-01-03-01-01-01-01.mp4"):
        (root / name).touch()
    return root.parent


def _corpus(root: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("corpus: demo  ", "corpus: ravdess  "), ("data/demo/corpus ", f"{root} ")


def _examine(call: Callable[..., tuple[int, str, str]], *options: object) -> tuple[int, Checks]:
    code, out, _ = call("doctor", "--json", *options)
    found = json.loads(out)
    assert found["audio"] == (code == 0)
    return code, {check["name"]: check for check in found["checks"]}


def test_no_weights(call, params) -> None:
    params(("path: pipeline/weights/demo-clip.safetensors", "path: weights/clip.safetensors"))
    code, checks = _examine(call, "--fast")
    assert code == 1
    found = checks["weights demo-clip"]
    assert found["state"] == "fail"
    assert found["detail"] == "not found at weights/clip.safetensors (score.weights)"
    assert found["fix"] == "copy it there, or set models.demo-clip.path in params.yaml"


def test_weights_to_be_fetched(call, params) -> None:
    params(
        ("path: pipeline/weights/demo-clip.safetensors", 'path: ""'),
        ('url: ""', "url: https://example.org/clip.safetensors"),
    )
    _, checks = _examine(call, "--fast")
    assert checks["weights demo-clip"]["fix"] == "spfem-data models fetch demo-clip"


def test_other_weights_than_stated(call, params, repository: Path) -> None:
    text = (repository / "params.yaml").read_text(encoding="utf-8")
    stated = text.partition('sha256: "')[2][:64]
    params((stated, "0" * 64))
    code, checks = _examine(call, "--fast")
    assert code == 1
    assert "params.yaml expects 000000000000..." in checks["weights demo-clip"]["detail"]
    assert checks["weights demo-clip"]["fix"].endswith(f"set models.demo-clip.sha256 to {stated}")


def test_weights_that_nobody_lists(call, params) -> None:
    params(("weights: demo-clip", "weights: vit"))
    code, checks = _examine(call, "--fast")
    assert code == 1
    assert checks["weights vit"]["detail"] == "set in score.weights, but not listed under models"


def test_missing_corpus(call, params, tmp_path: Path) -> None:
    params(*_corpus(tmp_path / "nowhere"))
    code, checks = _examine(call, "--fast")
    assert code == 1
    assert checks["corpus demo"]["detail"] == f"{tmp_path}/nowhere does not exist"
    assert checks["corpus demo"]["fix"].startswith("set datasets.demo.root in params.yaml")


def test_a_corpus_of_another_layout(call, params, takes: Path, without_probes) -> None:
    params(("corpus: demo  ", "corpus: mead  "), ("data/demo/corpus ", f"{takes} "))
    code, checks = _examine(call)
    assert code == 1
    assert "holds no take of mead" in checks["corpus demo"]["detail"]
    assert "datasets.demo.corpus" in checks["corpus demo"]["fix"]


def test_a_split_that_admits_nobody(call, params, takes: Path, without_probes) -> None:
    params(*_corpus(takes), ("split: by_speaker            #", "split: asccl36 #"))
    code, checks = _examine(call)
    assert code == 1
    assert checks["corpus demo"]["detail"] == "its split asccl36 admits none of its 1 speakers"


@pytest.fixture
def without_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes: they are tried by themselves."""
    monkeypatch.setattr(probes, "PROBES", {})


def test_a_corpus_that_is_there(call, params, takes: Path, without_probes) -> None:
    params(*_corpus(takes))
    code, checks = _examine(call)
    assert code == 0
    assert checks["corpus demo"]["detail"].startswith(f"{takes}: 2 takes of 1 speakers")
    need = 2 * machine.TAKE_FRAMES * machine.FRAME_BYTES
    assert f"about {need / 1e6:.0f} MB more for 2 takes" in checks["disk demo"]["detail"]


def test_no_disk(call, params, takes: Path, without_probes, monkeypatch) -> None:
    params(*_corpus(takes))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    code, checks = _examine(call)
    assert code == 1
    found = checks["disk demo"]
    assert found["state"] == "fail"
    assert found["detail"] == "5 MB free, about 21 MB more for 2 takes"
    assert found["fix"].startswith("free 16 MB at ")
    assert "--data" in found["fix"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where this user may mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_indeed(call, params, takes: Path, without_probes, tiny_disk) -> None:
    params(*_corpus(takes))
    code, checks = _examine(call, "--data", tiny_disk / "data")
    assert code == 1
    assert checks["disk demo"]["state"] == "fail"
    assert f"at {tiny_disk}, choose another disk" in checks["disk demo"]["fix"]
    (tiny_disk / "filler").write_bytes(bytes(1 << 20))
    _, checks = _examine(call, "--fast", "--data", tiny_disk / "data")
    assert checks["outputs"]["state"] == "fail"
    assert "No space left" in checks["outputs"]["detail"]


def test_outputs_below_a_file(call, params, tmp_path: Path) -> None:
    params()
    (tmp_path / "file").touch()
    code, checks = _examine(call, "--fast", "--data", tmp_path / "file")
    assert code == 1
    assert checks["outputs"]["fix"] == "choose another: --data"


def _doctor(tmp_path: Path, repository: Path, **environment: str) -> tuple[int, Checks]:
    """The command in a process of its own, its PYTHONPATH before everything else."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "doctor", "--json", "--fast"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {c["name"]: c for c in json.loads(done.stdout)["checks"]}


def _fake(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_wrong_numpy(params, tmp_path: Path, repository: Path) -> None:
    params()
    _fake(tmp_path / "site", "numpy", "2.1.0")
    path = os.pathsep.join([str(tmp_path / "site"), str(repository)])
    code, checks = _doctor(tmp_path, repository, PYTHONPATH=path)
    assert code == 1
    found = checks["version"]
    assert found["detail"] == "numpy 2.1.0; the extra build needs >=1.26.4,<2"
    assert "-m pip install" in found["fix"]
    assert found["fix"].endswith("'numpy>=1.26.4,<2'")


def test_two_opencvs(params, tmp_path: Path, repository: Path) -> None:
    params()
    _fake(tmp_path / "site", "opencv-python", "4.10.0.84")
    path = os.pathsep.join([str(tmp_path / "site"), str(repository)])
    code, checks = _doctor(tmp_path, repository, PYTHONPATH=path)
    assert code == 1
    assert (
        checks["opencv"]["detail"]
        == "opencv-python conflicts with opencv-contrib-python: both install cv2"
    )
    assert "uninstall -y opencv-python &&" in checks["opencv"]["fix"]


_HIDE = """
import sys
from importlib import metadata

HIDDEN = {names!r}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
version = metadata.version
def told(name):
    if name.lower().replace("-", "_") in HIDDEN:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = told
"""


@pytest.mark.parametrize(
    ("hidden", "lacks"),
    [
        ({"mediapipe", "librosa"}, "not installed: librosa, mediapipe; the pipeline needs them"),
        ({"ruamel", "ruamel.yaml"}, "not installed: ruamel.yaml; the pipeline needs them"),
    ],
)
def test_missing_extra(
    params, tmp_path: Path, repository: Path, hidden: set[str], lacks: str
) -> None:
    params()
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_HIDE.format(names=hidden))
    path = os.pathsep.join([str(site), str(repository)])
    code, checks = _doctor(tmp_path, repository, PYTHONPATH=path)
    assert code == 1
    assert checks["extra build"]["state"] == "fail"
    assert checks["extra build"]["detail"] == lacks
    assert "[build]" in checks["extra build"]["fix"]
    if "ruamel" in hidden:  # params.yaml cannot be read, all else is told
        assert "No module named 'ruamel" in checks["params.yaml"]["detail"]
        assert checks["dvc"]["state"] == "ok"


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 13), "warn"), ((3, 14), "fail")]
)
def test_pythons(version: tuple[int, int], state: str) -> None:
    assert libraries.python(version).state == state


@pytest.mark.parametrize(
    ("stderr", "fix"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file", "apt-get install libgl1"),
        ("ModuleNotFoundError: No module named 'cv2'", "'opencv-contrib-python>=4.11,<4.12'"),
        ("ImportError: numpy.core.multiarray failed to import", "'numpy>=1.26.4,<2'"),
        (
            "OSError: something else",
            "--no-deps numpy mediapipe opencv-contrib-python",
        ),
    ],
)
def test_failed_probes_have_a_fix(stderr: str, fix: str) -> None:
    found = probes.failed("faces", 1, f"Traceback\n{stderr}\n")
    assert found.state == "fail"
    assert found.detail == stderr
    assert fix in found.fix


def test_a_probe_that_crashes_is_reported(monkeypatch, tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    found = probes.attempt("faces")
    assert found.detail == "the process was killed by signal 11"


@pytest.mark.parametrize("name", ["tables", "images", "decoder"])
def test_probes_pass_here(name: str) -> None:
    found = probes.attempt(name)
    assert found.state == "ok", found


def test_probes_whose_libraries_are_missing_are_skipped() -> None:
    assert list(probes.all_of({next(iter(needs)) for needs in probes.PROBES.values()})) == []


def test_dvc_that_reports_home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("DVC_NO_ANALYTICS", raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / ".dvc").mkdir()
    found = {check.name: check for check in machine.versioning(tmp_path)}
    assert found["dvc analytics"].fix == "dvc config core.analytics false"
    assert found["git"].state == "warn"
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitattributes").write_text("*.mp4 filter=lfs diff=lfs\n")
    found = {check.name: check for check in machine.versioning(tmp_path)}
    assert found["dvc analytics"].state == "ok"
    assert "Git LFS" in found["git"].detail


def test_dvc_not_on_path(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("PATH", "/nowhere")
    found = {check.name: check for check in machine.versioning(tmp_path)}
    for name in ("dvc", "command"):
        assert found[name].fix == f'export PATH="{Path(sys.executable).parent}:$PATH"'


def test_a_check_that_is_not_ok_has_a_fix() -> None:
    with pytest.raises(AssertionError, match="needs a fix"):
        Check("x", "fail", "y")


def test_for_people(call, params) -> None:
    params(("path: pipeline/weights/demo-clip.safetensors", "path: weights/clip.safetensors"))
    code, out, _ = call("doctor", "--fast")
    assert code == 1
    lines = out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("fail  weights demo-clip"))
    assert lines[at + 1] == "      fix: copy it there, or set models.demo-clip.path in params.yaml"
    assert lines[-1].startswith("1 to fix, ")
    assert call("-q", "doctor", "--fast")[:2] == (1, "")
