"""WebDataset tars of a config: one tar per file of the shards. The same rows give the same bytes.

A sample is `<key>.<column>.jpg` (or .flac) and `<key>.json` with all other columns. The key
consists of the split and the numbers of file and row, because ids contain characters at which
WebDataset splits names.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from pipeline.runtime.store import atomic_path
from pipeline.tools.export.samples import Sample, samples, splits_of
from spfem_data.reader import Shards


def write_tars(
    folder: Path, config: str, out: Path, step: Callable[[], None] = lambda: None
) -> int:
    """Write `<out>/<config>-<split>-00000.tar`, ... and return the number of samples."""
    count = 0
    for split in splits_of(folder, config):
        shards = Shards(folder, config, split)
        for number in range(len(shards.files)):
            with atomic_path(out / f"{config}-{split}-{number:05d}.tar") as temporary:
                count += _write_tar(temporary, shards, number)
            step()
    return count


def _write_tar(path: Path, shards: Shards, number: int) -> int:
    count = 0
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples(shards, number):
            _add(tar, f"{shards.split}-{number:05d}-{count:07d}", sample)
            count += 1
    return count


def _add(tar: tarfile.TarFile, key: str, sample: Sample) -> None:
    text = json.dumps(sample.values, sort_keys=True, ensure_ascii=False, allow_nan=True)
    for name, content in (*sample.media.items(), ("json", text.encode())):
        member = tarfile.TarInfo(f"{key}.{name}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
