"""manifest.json of a dataset, which is untrusted until checked."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import TableError
from spfem_data.labels import SPLITS
from spfem_data.leaks import UNITS
from spfem_data.schema import CONFIGS, SCHEMA_VERSION

DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
"""The errors of pyarrow and of the decoders on invalid bytes."""
_LONGEST = 300


@dataclass(frozen=True)
class Finding:
    """One fault: the check, the file, and a description."""

    check: str
    where: str
    what: str

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            object.__setattr__(self, name, plain(getattr(self, name)))


def plain(text: Any) -> str:
    """Untrusted text as one line without control characters, shortened if long."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


_HEAD = b"version https://git-lfs.github.com/spec/"
ADVICE = "is a Git LFS pointer, not the file itself; run: git lfs pull"


def is_pointer(path: Path) -> bool:
    """Whether a file is a Git LFS pointer; False if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


def refuse_pointers(paths: Iterable[Path]) -> None:
    """Refuse files that are Git LFS pointers.

    Raises
    ------
    TableError
        When one is; the message names the command.
    """
    pointer = next((path for path in sorted(paths) if is_pointer(path)), None)
    if pointer is not None:
        raise TableError(f"{pointer} {ADVICE}")


NAME = "manifest.json"
_MAX_BYTES = 64 << 20
_FILE = re.compile(
    rf"data/({'|'.join(CONFIGS)})/({'|'.join(SPLITS)})-(\d{{5}})-of-(\d{{5}})\.parquet"
)
_DOCUMENT = re.compile(r"README\.md|croissant\.json|protocols/[a-z_]{1,40}\.csv")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Listed:
    """A file listed in the manifest with its facts; `rows` is 0 for documents."""

    path: str
    sha256: str
    bytes: int
    rows: int = 0

    @property
    def config(self) -> str:
        """The config of a Parquet file."""
        return self.path.split("/")[1]

    @property
    def split(self) -> str:
        """The split of a Parquet file."""
        return self.path.split("/")[2].split("-")[0]


@dataclass
class Manifest:
    """The valid content of a manifest, and findings on the rest."""

    dataset: str = ""
    unit: str = ""
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    files: list[Listed] = field(default_factory=list)
    documents: list[Listed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    numerics: dict[str, str] = field(default_factory=dict)
    """Numerics of the build: mode, libraries, libc; several values are joined."""
    params_sha256: str = ""
    findings: list[Finding] = field(default_factory=list)

    def wrong(self, what: str, where: str = NAME) -> None:
        """Record a finding."""
        self.findings.append(Finding("manifest", where, what))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a dataset. Problems are in its findings, never raised."""
    content = _content(folder / NAME)
    if isinstance(content, str):
        return Manifest(findings=[Finding("manifest", NAME, content)])
    manifest = Manifest()
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        manifest.wrong(f"schema version {version!r}; this package reads {SCHEMA_VERSION}")
    manifest.dataset = _text(manifest, content, "dataset")
    manifest.params_sha256 = _text(manifest, content, "params_sha256")
    manifest.unit = _unit(manifest, content.get("split"))
    manifest.rows = _rows(manifest, content.get("rows"))
    versions = content.get("versions")
    if isinstance(versions, dict):
        manifest.versions = {str(k): str(v) for k, v in versions.items()}
    manifest.numerics = _numerics(content.get("numerics"))
    manifest.files = _listed(manifest, content.get("files"), _FILE, "files", with_rows=True)
    manifest.documents = _listed(
        manifest, content.get("documents"), _DOCUMENT, "documents", with_rows=False
    )
    _check_counts(manifest)
    _check_complete(manifest)
    return manifest


def _content(path: Path) -> dict[str, Any] | str:
    """The JSON object, or a message on what is wrong."""
    if is_pointer(path):
        return ADVICE
    try:
        if not path.is_file():
            return "there is no manifest: this is not a shards folder, or the build did not finish"
        if path.stat().st_size > _MAX_BYTES:
            return f"is larger than {_MAX_BYTES >> 20} MB"
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return f"cannot be read: {error}"
    return content if isinstance(content, dict) else "is not a JSON object"


def _text(manifest: Manifest, content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if isinstance(value, str) and value:
        return value
    manifest.wrong(f"{key}: {value!r} is not text")
    return ""


def _numerics(entries: Any) -> dict[str, str]:
    """The facts of all fingerprints in the list."""
    facts_by_name: dict[str, set[str]] = {}
    for entry in entries if isinstance(entries, list) else ():
        for name, value in entry.items() if isinstance(entry, dict) else ():
            facts = value if isinstance(value, dict) else {"": value}
            for part, fact in facts.items():
                facts_by_name.setdefault(str(part or name), set()).add(str(fact))
    return {name: ", ".join(sorted(values)) for name, values in sorted(facts_by_name.items())}


def _unit(manifest: Manifest, split: Any) -> str:
    unit = split.get("unit") if isinstance(split, dict) else None
    if isinstance(unit, str) and unit in UNITS:
        return unit
    manifest.wrong(
        f"split.unit: {unit!r}, expected one of {', '.join(UNITS)}; leaks are not checked"
    )
    return ""


def _rows(manifest: Manifest, rows: Any) -> dict[str, dict[str, int]]:
    """Rows by config and split."""
    if not isinstance(rows, dict) or not all(
        isinstance(by, dict) and all(_count(n) for n in by.values()) for by in rows.values()
    ):
        manifest.wrong("rows: expected counts by config and split")
        return {}
    return rows


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _listed(
    manifest: Manifest, entries: Any, pattern: re.Pattern[str], key: str, *, with_rows: bool
) -> list[Listed]:
    if not isinstance(entries, dict):
        manifest.wrong(f"{key}: expected an object of files")
        return []
    found = []
    for path, facts in sorted(entries.items()):
        if not pattern.fullmatch(path):
            manifest.wrong(f"{key}: {path!r} is not the path of a shard and is not opened")
        elif not _facts_are_valid(facts, with_rows):
            manifest.wrong("sha256, bytes or rows are missing or invalid", path)
        else:
            rows = facts["rows"] if with_rows else 0
            found.append(Listed(path, facts["sha256"], facts["bytes"], rows))
    return found


def _facts_are_valid(facts: Any, with_rows: bool) -> bool:
    return (
        isinstance(facts, dict)
        and isinstance(facts.get("sha256"), str)
        and bool(_SHA256.fullmatch(facts["sha256"]))
        and _count(facts.get("bytes"))
        and (not with_rows or _count(facts.get("rows")))
    )


def _check_counts(manifest: Manifest) -> None:
    """The counts by config and split must be the sums of those of the files."""
    summed: dict[str, Counter[str]] = defaultdict(Counter)
    for one in manifest.files:
        summed[one.config][one.split] += one.rows
    for config in sorted({*summed, *manifest.rows}):
        stated, actual = manifest.rows.get(config, {}), dict(summed[config])
        if stated != actual:
            manifest.wrong(f"rows of {config}: {stated}, but its files add up to {actual}")


def _check_complete(manifest: Manifest) -> None:
    """Every config and split must have all file numbers of one count."""
    numbers: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for one in manifest.files:
        number, _, count = one.path.removesuffix(".parquet").split("-")[1:]
        numbers[one.config, one.split].append((int(number), int(count)))
    for (config, split), found in sorted(numbers.items()):
        counts = {count for _, count in found}
        if len(counts) > 1 or sorted(k for k, _ in found) != list(range(len(found))):
            manifest.wrong(f"{config} {split}: file numbers are missing or of two counts")
        elif counts != {len(found)}:
            manifest.wrong(f"{config} {split}: {len(found)} files, but their names say {counts}")
