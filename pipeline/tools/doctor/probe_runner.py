"""Run each library probe in a process of its own, because broken libraries may crash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.install_hints import checkout, extra_install, pip_install
from pipeline.tools.doctor.check import Check
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
"""Distribution names that differ from the import name."""


@dataclass(frozen=True)
class Probe:
    """A function of `pipeline.tools.doctor.probes` and the distributions that it needs."""

    name: str
    needs: tuple[str, ...]


PROBES = (
    Probe("tables", ("numpy", "pyarrow")),
    Probe("images", ("numpy", "simplejpeg", "soundfile")),
    Probe("decoder", ("numpy", "av", "imageio-ffmpeg", "ffmpeg-python", "soxr")),
    Probe("faces", ("numpy", "mediapipe", "opencv-contrib-python")),
    Probe("alignment", ("numpy", "librosa", "dtw-python", "numba", "scipy")),
    Probe("networks", ("torch", "torchvision", "open_clip_torch", "safetensors", "scikit-learn")),
)


def all_of(missing: set[str]) -> Iterator[Check]:
    """Run every probe whose libraries are installed; the survey reports missing libraries."""
    ready = [probe for probe in PROBES if not missing & set(probe.needs)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from pool.map(attempt, ready)


def attempt(probe: Probe) -> Check:
    """Run one probe in a process that may crash."""
    command = [sys.executable, "-m", "pipeline.tools.doctor.probes", probe.name]
    roots = [str(Path(__file__).resolve().parents[3])]
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), *roots])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        again = " ".join(command)
        return Check(
            probe.name, "fail", f"no result within {_LIMIT_S} s", f"run it directly: {again}"
        )
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return _worked(probe, lines[-1])
    return _failed(probe, done.returncode, done.stderr)


def _worked(probe: Probe, line: str) -> Check:
    detail, _, fix = line.partition(" => ")
    return Check(probe.name, "warn" if fix else "ok", detail, fix)


def _failed(probe: Probe, code: int, stderr: str) -> Check:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else f"exit status {code}"
    if code < 0:
        reason = f"the process was killed by signal {-code}"
    return Check(probe.name, "fail", reason, _fix(probe, reason, stderr))


def _fix(probe: Probe, reason: str, stderr: str) -> str:
    system = _SYSTEM_LIBRARY.search(stderr)
    if system:
        return "apt-get install libgl1 libglib2.0-0 (Debian, Ubuntu; elsewhere, its package)"
    module = _NO_MODULE.search(reason)
    if module:
        name = module[1].partition(".")[0]
        return _install(_DISTRIBUTIONS.get(name, name.replace("_", "-")))
    if "numpy" in reason.lower() or "_ARRAY_API" in stderr or "NumPy 1.x" in stderr:
        return _install("numpy")
    return pip_install("--force-reinstall", "--no-deps", *probe.needs)


def _install(name: str) -> str:
    asked = [r for r in requirements() if r.name.lower() == name.lower()]
    strict = [r for r in asked if r.extra == "build"] or asked
    if strict:
        return pip_install(strict[0].text)
    return extra_install("build") if checkout() else pip_install(name)
