"""Tar and zip files whose bytes depend on their members only."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path


def write_tar(path: Path, members: list[tuple[str, Path]]) -> None:
    """Write a tar of (name, file) in the given order; no owner, no time."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, file in members:
            info = tarfile.TarInfo(name)
            info.size = file.stat().st_size
            info.mode = 0o644
            with file.open("rb") as source:
                tar.addfile(info, source)


def write_zip(path: Path, members: list[tuple[str, Path]]) -> None:
    """Write a zip of (name, file) in the given order, stored without compression."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, file in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, file.read_bytes())
