"""Numerics modes: `portable` gives the same bytes on any x86-64 processor with AVX2.

Numerical libraries select their code by processor, and read the settings that restrict the choice
when they are imported. `assign` must therefore run before: the command line calls it first, and the
executor calls it for every worker. This module imports no library.

`portable` pins every library to one instruction set, whatever the caller's environment says.
`native` leaves the choice to the libraries: faster on some processors, with different rounding.
"""

from __future__ import annotations

import os
import platform
import pwd
import stat
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.errors import ParameterError

Mode = Literal["portable", "native"]
MODES: tuple[Mode, ...] = get_args(Mode)
_MODE = "SPFEM_NUMERICS"
"""Passes the mode to child processes."""

_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
        "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)  # fmt: skip
"""Sums over several threads are rounded in another order. Work is spread over processes."""
_PINNED = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+avx,+sse4.2,+fma",
    "NPY_DISABLE_CPU_FEATURES": (
        "AVX512F AVX512CD AVX512_KNL AVX512_KNM AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
    ),
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # OpenCV resizes with Intel's IPP, which rounds differently on each instruction set.
    "OPENCV_IPP": "avx2",
    # By default MKL has different code for Intel and AMD, and rounding depends on alignment.
    "MKL_CBWR": "COMPATIBLE",
    "NUMBA_DISABLE_INTEL_SVML": "1",
}
"""The instruction set of Haswell (2013) and Zen (2017)."""
_CLEARED = (
    "DNNL_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "GLIBC_TUNABLES", "MKL_DOMAIN_NUM_THREADS",
    "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS", "NPY_ENABLE_CPU_FEATURES", "OMP_DYNAMIC",
    "ONEDNN_DEFAULT_FPMATH_MODE", "OPENBLAS_BLOCK_FACTOR", "OPENBLAS_L2_SIZE",
    "OPENCV_CPU_DISABLE", "SOXR_USE_SIMD", "SOXR_USE_SIMD32", "SOXR_USE_SIMD64",
)  # fmt: skip
"""Variables that would select other code."""
_LIBRARIES = (
    "av", "dtw-python", "librosa", "llvmlite", "mediapipe", "numba", "numpy", "open_clip_torch",
    "opencv-contrib-python", "pyarrow", "scikit-learn", "scipy", "simplejpeg", "soxr", "torch",
)  # fmt: skip
"""Libraries whose version may change outputs."""


def settings(mode: Mode) -> dict[str, str]:
    """The environment variables that a mode assigns in this process and its children."""
    assigned = {**_ONE_THREAD, _MODE: mode, "NUMBA_CACHE_DIR": str(_numba_cache(mode)), **_home()}
    if mode == "native" or platform.machine() not in ("x86_64", "AMD64"):
        return assigned
    return {**assigned, **_PINNED}


def cleared(mode: Mode) -> tuple[str, ...]:
    """The environment variables that a mode removes."""
    return _CLEARED if mode == "portable" else ()


def assign(mode: Mode) -> None:
    """Set the mode of this process and its children; call before importing libraries."""
    for name in cleared(mode):
        os.environ.pop(name, None)
    os.environ.update(settings(mode))


def assigned() -> Mode:
    """The mode last assigned in this process or a parent process."""
    return "native" if os.environ.get(_MODE) == "native" else "portable"


def computing() -> Mode:
    """The mode that this process computes in: native where nothing was ever assigned."""
    return "portable" if os.environ.get(_MODE) == "portable" else "native"


_BEFORE: dict[str, str] = {}
"""The program's environment before `begin` changed it."""


def begin() -> None:
    """Start a program in portable mode, unless `insist` restarted it in native mode."""
    _BEFORE.update(os.environ)
    assign(assigned())


def insist(mode: Mode) -> None:
    """Continue in a mode; restarts the program if it began in the other one.

    Libraries that have been imported since have already read their settings.

    Raises
    ------
    ParameterError
        The mode differs and the program did not start with `begin`.
    """
    if mode == assigned():
        return
    if not _BEFORE:
        raise ParameterError(
            f"numerics: {mode} must be assigned before libraries are imported: call "
            f"pipeline.runtime.numerics.assign({mode!r}) first, or run spfem-data"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**_BEFORE, _MODE: mode})


@cache
def fingerprint(mode: Mode, device: str = "cpu") -> Mapping[str, Any]:
    """What the bytes of an output may depend on besides its inputs, parameters and code.

    The processor is included only in native mode: portable outputs do not depend on it.
    """
    facts: dict[str, Any] = {
        "mode": mode,
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "device": device,
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }
    return facts if mode == "portable" else {**facts, "processor": _processor()}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    """The processor's name, from /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _home() -> dict[str, str]:
    """A home folder for a user without HOME and without an entry in passwd, as in a container.

    Libraries look for `~/.cache` when they are imported, and fail if there is no home.
    """
    if os.environ.get("HOME"):
        return {}
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return {"HOME": str(_private_folder())}
    return {}


def _numba_cache(mode: Mode) -> Path:
    """A writable folder for the code that numba compiles in a mode.

    The modes have separate folders, because numba takes what it finds for compiled for the
    processor that it runs on. Without a writable folder, importing a cached function fails; next to
    the source, numba's own choice, is not writable in most containers.
    """
    name = f"numba-{mode}"
    given, base = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    home = os.environ.get("HOME")
    folders = []
    if given:  # by the caller, or by `assign` in a parent process
        own = Path(given).name in {f"numba-{known}" for known in MODES}
        folders.append(Path(given).parent if own else Path(given))
    if base or home:
        folders.append((Path(base) if base else Path(str(home), ".cache")) / "spfem-data")
    for folder in folders:
        if _may_write(folder / name):
            return folder / name
    return _private_folder() / name


def _may_write(folder: Path) -> bool:
    """Whether a folder is writable, or can be made if it does not exist."""
    places = (folder, *folder.parents)  # `Path.exists` raises below a folder that is not readable
    nearest = next((place for place in places if os.path.exists(place)), None)
    return nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _private_folder() -> Path:
    """A temporary folder that only this user can write: numba executes what it reads there."""
    folder = Path(tempfile.gettempdir()) / f"spfem-data-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="spfem-data-"))
