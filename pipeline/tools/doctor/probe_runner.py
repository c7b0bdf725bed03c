"""Trials: does each library do its work? Each in a process of its own, for some die when broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.tools.doctor.check import Check, checkout, extra_install, pip_install
from pipeline.tools.doctor.requirements import requirements

_LIMIT_S = 180
_AT_A_TIME = 2
_SYSTEM_LIBRARY = re.compile(r"(lib(?:GL|gthread|glib|EGL|sndfile)[\w.+-]*): cannot open")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_DISTRIBUTIONS = {
    "cv2": "opencv-contrib-python", "sklearn": "scikit-learn", "open_clip": "open_clip_torch",
    "dtw": "dtw-python", "PIL": "pillow", "ruamel": "ruamel.yaml", "ffmpeg": "ffmpeg-python",
    "imageio_ffmpeg": "imageio-ffmpeg",
}  # fmt: skip
"""Distributions whose import name is another."""


@dataclass(frozen=True)
class Trial:
    """A function of `pipeline.tools.doctor.probes`, and the distributions that it needs."""

    name: str
    needs: tuple[str, ...]


TRIALS = (
    Trial("tables", ("numpy", "pyarrow")),
    Trial("pictures", ("numpy", "simplejpeg", "soundfile")),
    Trial("decoder", ("numpy", "av", "imageio-ffmpeg", "ffmpeg-python", "soxr")),
    Trial("faces", ("numpy", "mediapipe", "opencv-contrib-python")),
    Trial("alignment", ("numpy", "librosa", "dtw-python", "numba", "scipy")),
    Trial("networks", ("torch", "torchvision", "open_clip_torch", "safetensors", "scikit-learn")),
)


def all_of(missing: set[str]) -> Iterator[Check]:
    """Every trial whose libraries are installed; the others are told by the survey already."""
    ready = [trial for trial in TRIALS if not missing & set(trial.needs)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from pool.map(attempt, ready)


def attempt(trial: Trial) -> Check:
    """One trial, as a process that may die."""
    command = [sys.executable, "-m", "pipeline.tools.doctor.probes", trial.name]
    roots = [str(Path(__file__).resolve().parents[3])]
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *roots])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        again = " ".join(command)
        return Check(trial.name, "fail", f"no answer in {_LIMIT_S} s", f"see what it does: {again}")
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return _worked(trial, lines[-1])
    return _failed(trial, done.returncode, done.stderr)


def _worked(trial: Trial, said: str) -> Check:
    found, _, mend = said.partition(" => ")
    return Check(trial.name, "warn" if mend else "ok", found, mend)


def _failed(trial: Trial, code: int, stderr: str) -> Check:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    said = lines[-1].strip() if lines else f"ended with {code}"
    if code < 0:
        said = f"the process died of signal {-code}"
    return Check(trial.name, "fail", said, _mend(trial, said, stderr))


def _mend(trial: Trial, said: str, stderr: str) -> str:
    system = _SYSTEM_LIBRARY.search(stderr)
    if system:
        return "apt-get install libgl1 libglib2.0-0 (Debian, Ubuntu; else what holds it)"
    module = _NO_MODULE.search(said)
    if module:
        name = module[1].partition(".")[0]
        return _install(_DISTRIBUTIONS.get(name, name.replace("_", "-")))
    if "numpy" in said.lower() or "_ARRAY_API" in stderr or "NumPy 1.x" in stderr:
        return _install("numpy")
    return pip_install("--force-reinstall", "--no-deps", *trial.needs)


def _install(name: str) -> str:
    asked = [r for r in requirements() if r.name.lower() == name.lower()]
    strict = [r for r in asked if r.extra == "build"] or asked
    if strict:
        return pip_install(strict[0].text)
    return extra_install("build") if checkout() else pip_install(name)
