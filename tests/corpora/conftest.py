"""Corpora of small files: only names and bytes matter, nothing is decoded."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.corpora import Listing, list_takes
from pipeline.params import Dataset

Lister = Callable[..., Listing]


@pytest.fixture
def takes_of() -> Lister:
    """List a root: takes_of("mead", root, views=["front"])."""

    def lister(corpus: str, root: Path, **select: Any) -> Listing:
        chosen = {"speakers": [], "emotions": [], "levels": [], "views": [], **select}
        entry = Dataset.model_validate(
            {"corpus": corpus, "root": str(root), "select": chosen, "split": "by_speaker"}
        )
        return list_takes("set", entry, root)

    return lister


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """Files below a root, each holding its own path."""

    def make(paths: Iterable[str]) -> Path:
        root = tmp_path / "corpus"
        for path in paths:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.encode())
        root.mkdir(exist_ok=True)
        return root

    return make


@pytest.fixture
def make_tar() -> Callable[..., Path]:
    """A tar of members; a TarInfo takes the place of a name where a member is odd."""

    def make(path: Path, members: Mapping[str, bytes] | Iterable[Any], **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pairs: Iterable[Any] = members.items() if isinstance(members, Mapping) else members
        with tarfile.open(path, "w", **options) as archive:
            for name, content in pairs:
                info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    return make


@pytest.fixture
def make_zip() -> Callable[..., Path]:
    """A zip of members."""

    def make(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return make


@pytest.fixture
def reasons() -> Callable[[Listing], dict[str, str]]:
    """Rejects as {item: reason}."""
    return lambda listing: {row.item: row.reason for row in listing.rejected}


@pytest.fixture
def holes() -> Callable[[Listing], dict[tuple[str, str, str], tuple[int, str]]]:
    """The inventory's holes as {(kind, speaker, where): (count, detail)}."""
    from pipeline.corpora import inventory

    def found(listing: Listing) -> dict[tuple[str, str, str], tuple[int, str]]:
        return {(h.kind, h.speaker, h.where): (h.count, h.detail) for h in inventory(listing).holes}

    return found


@pytest.fixture
def shared() -> Path:
    """The folder of real takes beside the repository; tests without it are skipped."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real takes beside this checkout")
    return folder
