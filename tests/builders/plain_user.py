"""Python as one for whom permissions hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search",
                "--inh-caps=-dac_override,-dac_read_search")  # fmt: skip


def as_plain_user(work: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as one for whom permissions hold: root itself without the right to pass by."""
    head = list(_NO_OVERRIDE) if os.getuid() == 0 else []
    if head and shutil.which(head[0]) is None:
        pytest.skip("root, and no setpriv to give its rights away")
    command = [*head, sys.executable, "-c", work, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
