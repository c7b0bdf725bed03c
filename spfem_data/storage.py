"""Where a dataset's files are: a local folder, or a URL whose files are kept in a local cache.

URLs go through fsspec (`s3://`, `gs://`, `hf://`, ...), which is asked for only when one is given.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spfem_data.errors import TableError

_AT_ONCE = 4
_FAILURES = (("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"),
             ("aiohttp", "ClientError"), ("google.auth.exceptions", "GoogleAuthError"))  # fmt: skip
"""What libraries below fsspec raise for a store that cannot be reached, and is no OSError."""


@dataclass(frozen=True)
class Place:
    """A dataset's folder.

    Parameters
    ----------
    root
        Path or URL of the folder that holds `data/` and `manifest.json`.
    cache
        Local folder that keeps the files of a URL; needed for a URL, unused otherwise.
    options
        What fsspec needs to open the URL: endpoint, keys, ...
    """

    root: str
    cache: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_url(self) -> bool:
        """Whether the files must be fetched."""
        return "://" in self.root

    def files(self, pattern: str) -> dict[str, Path]:
        """Local files that match a pattern below the folder, by their names below it, in order.

        Those of a URL are fetched into the cache where it does not hold them as they are now.

        Raises
        ------
        TableError
            Where the folder cannot be found or read.
        """
        if self.is_url:
            return self._fetched(pattern)
        root = Path(self.root)
        if not root.is_dir():
            raise TableError(f"{self.root}: no such folder; expected one that holds data/")
        return {path.relative_to(root).as_posix(): path for path in sorted(root.glob(pattern))}

    def _fetched(self, pattern: str) -> dict[str, Path]:
        if self.cache is None:
            raise TableError(f"{self.root} is a URL: say with cache=FOLDER where to keep its files")
        cache = Path(self.cache)
        system, root = self._system()
        try:
            found = sorted(system.glob(f"{root}/{pattern}"))
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                kept = list(pool.map(lambda path: _keep(system, path, cache), found))
        except _failures() as error:
            raise TableError(f"{self.root} cannot be read: {error}") from error
        return {path[len(root) + 1 :]: local for path, local in zip(found, kept, strict=True)}

    def _system(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.root, **self.options)
        except ImportError as error:
            raise TableError(f"{self.root} needs a library: {error}; pip install it") from error
        except ValueError as error:
            raise TableError(f"{self.root} cannot be opened: {error}") from error
        system.invalidate_cache()  # what was listed before may have changed since
        return system, str(root).rstrip("/")


def _failures() -> tuple[type[BaseException], ...]:
    """What says that a store cannot be read, of the libraries that are in use."""
    loaded = ((sys.modules.get(module), name) for module, name in _FAILURES)
    return (OSError, *(getattr(module, name) for module, name in loaded if module))


def _keep(system: Any, path: str, cache: Path) -> Path:
    """The local copy of a file, named after what the store says of its present content."""
    state = hashlib.sha256(f"{path} {system.ukey(path)}".encode()).hexdigest()[:24]
    target = cache / state / Path(path).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        os.close(handle)
        try:
            system.get_file(path, temporary)
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return target
