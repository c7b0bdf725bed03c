"""Library probes, each in a process of its own, because broken libraries may crash.

`python -m pipeline.tools.doctor.probes NAME` imports the libraries of one probe, does the little
that an import does not, and prints one line, which may end in ` => ` and a suggested improvement.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from pipeline.install_hints import pip_install
from pipeline.tools.doctor.check import Check
from pipeline.tools.doctor.libraries import requirements

_LIMIT_S = 180
_AT_A_TIME = 2
_SYSTEM_LIBRARY = re.compile(r"(lib(?:GL|gthread|glib|EGL|sndfile)[\w.+-]*): cannot open")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
PROBES = {
    "tables": {"numpy": "numpy", "pyarrow": "pyarrow.parquet"},
    "images": {"numpy": "numpy", "simplejpeg": "simplejpeg", "soundfile": "soundfile"},
    "decoder": {"av": "av", "ffmpeg-python": "ffmpeg", "imageio-ffmpeg": "imageio_ffmpeg",
                "soxr": "soxr"},
    "faces": {"numpy": "numpy", "mediapipe": "mediapipe", "opencv-contrib-python": "cv2"},
    "alignment": {"librosa": "librosa.feature", "dtw-python": "dtw", "numba": "numba",
                  "scipy": "scipy.linalg"},
    "networks": {"torch": "torch", "torchvision": "torchvision", "open_clip_torch": "open_clip",
                 "safetensors": "safetensors.torch", "scikit-learn": "sklearn.svm"},
}  # fmt: skip
"""For each probe, its distributions with the module that is imported of each."""


def probe(name: str) -> str:
    """Import the libraries of a probe; the line that says what works."""
    for module in PROBES[name].values():
        importlib.import_module(module)
    versions = ", ".join(f"{each} {metadata.version(each)}" for each in PROBES[name])
    if name == "decoder":
        ffmpeg = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
        subprocess.run([ffmpeg, "-version"], check=True, capture_output=True)
    if name == "faces":
        mesh = importlib.import_module("pipeline.faces.mesh")
        mesh.MeshTracker()
        mesh.FaceFinder()
    return versions + (_device() if name == "networks" else "")


def _device() -> str:
    cuda = importlib.import_module("torch").cuda
    if cuda.is_available():
        return f", GPU {cuda.get_device_name(0)}"
    smi = shutil.which("nvidia-smi")
    if smi and not subprocess.run([smi], stdout=subprocess.DEVNULL, check=False).returncode:
        return ", on the CPU, although a GPU is present => rm .venv/.stamp && make setup TORCH=cuda"
    return ", on the CPU"


def all_of(missing: set[str]) -> Iterator[Check]:
    """Run every probe whose libraries are installed; the survey reports missing libraries."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from pool.map(attempt, [name for name in PROBES if not missing & set(PROBES[name])])


def attempt(name: str) -> Check:
    """Run one probe in a process that may crash."""
    command = [sys.executable, "-m", __name__, name]
    roots = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).parents[3])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        fix = f"run it directly: {' '.join(command)}"
        return Check(name, "fail", f"no result within {_LIMIT_S} s", fix)
    if done.returncode or not done.stdout.strip():
        return failed(name, done.returncode, done.stderr)
    detail, _, fix = done.stdout.strip().splitlines()[-1].partition(" => ")
    return Check(name, "warn" if fix else "ok", detail, fix)


def failed(name: str, code: int, stderr: str) -> Check:
    """The check of a probe that ended with that exit status and message."""
    reason = (stderr.strip().splitlines() or [f"exit status {code}"])[-1].strip()
    if code < 0:
        reason = f"the process was killed by signal {-code}"
    return Check(name, "fail", reason, _fix(name, reason, stderr))


def _fix(name: str, reason: str, stderr: str) -> str:
    if _SYSTEM_LIBRARY.search(stderr):
        return "apt-get install libgl1 libglib2.0-0 (Debian, Ubuntu; elsewhere, its package)"
    texts = {r.name: r.text for r in requirements() if r.extra in ("", "build")}
    if module := _NO_MODULE.search(reason):
        for distribution, imported in PROBES[name].items():
            if imported.partition(".")[0] == module[1].partition(".")[0]:
                return pip_install(texts[distribution])
        return pip_install(module[1].partition(".")[0].replace("_", "-"))
    if "numpy" in reason.lower() or "_ARRAY_API" in stderr or "NumPy 1.x" in stderr:
        return pip_install(texts["numpy"])
    return pip_install("--force-reinstall", "--no-deps", *PROBES[name])


if __name__ == "__main__":
    print(probe(sys.argv[1]))
