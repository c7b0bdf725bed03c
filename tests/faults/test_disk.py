"""A disk that fills up, a limit on files, a folder that may no longer be written or read."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import media
from pipeline.errors import StorageError
from pipeline.runtime.run import Run
from pipeline.runtime.store import atomic_path
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from tests.builders.dataset import make_inputs, make_run
from tests.builders.digests import digests
from tests.builders.plain_user import as_plain_user

_MOUNTED_KB = 16384


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB of its own; skips where mounting is not permitted."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_MOUNTED_KB}k", "tmpfs", str(folder)]
    if os.getuid() or shutil.which("mount") is None or subprocess.run(command).returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path, left_kb: int) -> Path:
    """A file that leaves so much room."""
    stat = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(b"\0" * max(0, stat.f_bavail * stat.f_frsize - left_kb * 1024))
    return ballast


def _through(run: Run) -> None:
    pose.run(run)
    shards.run(run)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_a_rerun_gives_the_same_bytes(
    mounted: Path, tmp_path: Path
) -> None:
    whole = make_run(tmp_path / "whole")
    make_inputs(whole)
    _through(whole)
    wanted = digests(whole.data)
    run = replace(whole, data=mounted / "data")
    shutil.copytree(whole.folder("extract"), run.folder("extract"))
    shutil.copytree(whole.folder("align"), run.folder("align"))
    said = []
    for left_kb in (0, 8, 40, 80, 120, 200, 320, 480, 1200):
        ballast = _fill(mounted, left_kb)
        try:
            _through(run)
        except StorageError as error:
            said.append(str(error))
        ballast.unlink()
        assert list(mounted.rglob(".tmp-*")) == []
    stopped = len(said)
    assert all("No space left on device; finished items are kept" in line for line in said)
    assert stopped >= 4
    _through(run)
    assert digests(run.data) == wanted
    print(f"full disk: stopped {stopped} times with one line, then equal bytes")


def _under(limit_bytes: int, work: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python where no file may grow beyond a size."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    command = [sys.executable, "-c", work, str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=limit, timeout=120
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        "write_bytes(folder / 'file', bytes(100_000))",
        "media.write_flac(temporary, np.random.default_rng(0).normal(0, .3, 99_999), 16000)",
        "write_table(folder / 'file', pa.table({'x': [bytes(100_000)]}), plain_columns=['x'])",
    ],
    ids=["bytes", "audio", "table"],
)
def test_a_limit_on_the_size_of_files_is_one_line(tmp_path: Path, work: str) -> None:
    """RLIMIT_FSIZE: what stands in for a full disk where nothing can be mounted."""
    if "temporary" in work:
        work = f"\n    with atomic_path(folder / 'file') as temporary:\n        {work}"
    script = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\nimport pyarrow as pa\n"
        "from pipeline import media\nfrom pipeline.errors import StorageError\n"
        "from pipeline.runtime.store import atomic_path, write_bytes\n"
        "from pipeline.runtime.tables import write_table\nfolder = Path(sys.argv[1])\n"
        f"try:\n    {work}\nexcept StorageError as error:\n    print(error)\n"
    )
    done = _under(20_000, script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "file: File too large; finished items are kept" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_flac_has_the_bytes_that_the_library_writes(tmp_path: Path) -> None:
    import soundfile

    samples = np.random.default_rng(1).normal(0, 0.2, 5000).astype(np.float32)
    soundfile.write(tmp_path / "theirs", samples, 16000, format="FLAC", subtype="PCM_16")
    media.write_flac(tmp_path / "ours", samples, 16000)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


_LOSES = """
import sys
from pathlib import Path
from pipeline.errors import PipelineError
from pipeline.runtime.store import write_bytes
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from tests.builders.digests import digests
from tests.builders.dataset import make_inputs, make_run

folder = Path(sys.argv[1])
run = make_run(folder)
make_inputs(run)
pose.run(run)
shards.run(run)
wanted = digests(folder)

def says(work):
    try:
        work()
    except PipelineError as error:
        print(str(error).replace(str(folder), "DATA"))

items = run.items("pose").folder
items.chmod(0o555)
says(lambda: pose.run(changed(run)))
items.chmod(0o755)
tables = run.folder("pose") / "tables"
tables.chmod(0o555)
says(lambda: pose.run(changed(run)))
tables.chmod(0o755)
frames = run.items("extract").path("S1/S1_happy", ".frames.parquet")
frames.chmod(0)
says(lambda: pose.run(changed(run)))
frames.chmod(0o644)
pose.run(changed(run))
shards.run(run)
assert digests(folder) == wanted
print("equal")
"""


@pytest.mark.slow
def test_permission_lost_in_the_middle_is_one_line_each(tmp_path: Path, repository: Path) -> None:
    work = _LOSES.replace(
        "def says", "from tests.builders.dataset import changed as _changed\n\n"
        "def changed(run):\n    return _changed(run, force=True)\n\ndef says"
    )  # fmt: skip
    done = as_plain_user(work, tmp_path / "data")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "equal"
    assert len(lines) == 4
    assert "cannot write DATA/made/pose/items/S1" in lines[0]
    assert "Permission denied; finished items are kept" in lines[0]
    assert "cannot write DATA/made/pose/tables/" in lines[1]
    assert "DATA/made/extract/items/S1/S1_happy.frames.parquet" in lines[2]


def test_an_error_of_the_block_is_not_taken_for_the_disks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), atomic_path(tmp_path / "file"):
        (tmp_path / "nowhere" / "x").read_bytes()
    assert list(tmp_path.iterdir()) == []
