"""Where a dataset's files are: a local folder, or a URL whose files are kept in a local cache.

URLs (`s3://`, `gs://`, `hf://`, ...) are opened by fsspec, which is imported only for them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from spfem_data.errors import TableError, unreadable

_DOWNLOADS = 4
_FAILURES = (("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"),
             ("aiohttp", "ClientError"), ("google.auth.exceptions", "GoogleAuthError"))  # fmt: skip
"""Errors of fsspec's backends that are not an OSError."""


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset's folder.

    Parameters
    ----------
    root
        Path or URL of the folder that contains `data/` and `manifest.json`.
    cache
        Local folder for the files of a URL; required for a URL, otherwise unused.
    options
        Arguments for fsspec to open the URL: endpoint, keys, ...
    """

    root: str
    cache: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def files(self, pattern: str) -> dict[str, Path]:
        """Local files that match a pattern below the folder, by relative name, sorted.

        The files of a URL are downloaded unless the cache has their current version.

        Raises
        ------
        TableError
            If the folder does not exist or cannot be read.
        """
        return self._downloaded(pattern) if "://" in self.root else self._local(pattern)

    def _local(self, pattern: str) -> dict[str, Path]:
        root = Path(self.root)
        for folder in (root, (root / pattern).parent):
            try:
                os.listdir(folder)  # glob skips folders that it may not read
            except PermissionError as error:
                raise unreadable(folder, error) from error
            except OSError:
                break
        if not root.is_dir():
            raise TableError(f"{self.root}: no such folder; expected one that contains data/")
        return {path.relative_to(root).as_posix(): path for path in sorted(root.glob(pattern))}

    def _downloaded(self, pattern: str) -> dict[str, Path]:
        if self.cache is None:
            raise TableError(f"{self.root} is a URL: pass cache=FOLDER, where to keep its files")
        cache = Path(self.cache)
        system, root = self._system()
        try:
            remote = sorted(system.glob(f"{root}/{pattern}"))
            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                local = list(pool.map(lambda path: _download(system, path, cache), remote))
        except _failures() as error:
            raise TableError(f"{self.root} cannot be read: {error}") from error
        return {path[len(root) + 1 :]: file for path, file in zip(remote, local, strict=True)}

    def _system(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.root, **self.options)
        except ImportError as error:
            raise TableError(f"{self.root} needs a library: {error}; pip install it") from error
        except ValueError as error:
            raise TableError(f"{self.root} cannot be opened: {error}") from error
        system.invalidate_cache()  # an earlier listing may be outdated
        return system, str(root).rstrip("/")


def _failures() -> tuple[type[BaseException], ...]:
    """The errors by which the libraries in use report a store that cannot be read."""
    loaded = ((sys.modules.get(module), name) for module, name in _FAILURES)
    return (OSError, *(getattr(module, name) for module, name in loaded if module))


def _download(system: Any, path: str, cache: Path) -> Path:
    """The local copy of a file, in a folder named after the store's id of its content."""
    state = hashlib.sha256(f"{path} {system.ukey(path)}".encode()).hexdigest()[:24]
    target = cache / state / Path(path).name
    try:
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise _no_access(cache) from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise _no_access(cache)
    # The download creates this file, so that its mode follows the umask: others may share a cache.
    temporary = target.parent / f".part-{uuid4().hex}"
    try:
        system.get_file(path, str(temporary))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _no_access(cache: Path) -> TableError:
    return TableError(
        f"{cache} cannot be used as cache: permission denied; choose another cache=FOLDER, or ask "
        f"its owner (chmod -R a+rwX {cache})"
    )
