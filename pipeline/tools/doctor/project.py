"""params.yaml, its weights with their SHA-256, and its corpora with their takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.install_hints import extra_install
from pipeline.tools.doctor import machine
from pipeline.tools.doctor.check import Check

if TYPE_CHECKING:
    from pipeline.corpora import Inventory
    from pipeline.params import Dataset, Params

_ROLES = {
    "score": ("weights",),
    "invert": ("encoder", "generator", "identity", "perceptual"),
    "train_encoder": ("start", "generator", "perceptual"),
}
"""The settings that name an entry of `models`."""
_IDLE = {
    "score": (("weights",), "score and filter produce no output", "docs/emotions.md"),
    "invert": (
        ("encoder", "generator"), "invert, directions and synth produce no output", "docs/models.md"
    ),
}  # fmt: skip
"""Settings without which stages produce no output, the stages, and a page on them."""


def examine(path: Path | None, data: Path, *, is_fast: bool) -> Iterator[Check]:
    """Check parameters, weights and corpora."""
    try:
        from pipeline.params import load
    except ImportError as error:
        yield Check("params.yaml", "fail", f"cannot be read: {error}", extra_install("build"))
        return
    try:
        params = load(path)
    except PipelineError as error:
        fix = "correct that key; the package's params.yaml has the defaults"
        yield Check("params.yaml", "fail", str(error), fix)
        return
    where = str(path) if path else "not found here; using the package defaults"
    yield Check("params.yaml", "ok", f"{where}; datasets: {', '.join(sorted(params.datasets))}")
    yield from _weights(params, data)
    for name, entry in sorted(params.datasets.items()):
        yield from _corpus(name, entry, params, data, is_fast=is_fast)


def _weights(params: Params, data: Path) -> Iterator[Check]:
    """Every listed or required entry of models, and the settings without an entry."""
    asked: dict[str, list[str]] = {}
    for section, roles in _ROLES.items():
        for role in roles:
            name = str(getattr(getattr(params, section), role))
            if name:
                asked.setdefault(name, []).append(f"{section}.{role}")
    for name in sorted({*params.models, *asked}):
        yield _weight(name, asked.get(name, []), params, data)
    for section, (roles, idle, page) in _IDLE.items():
        without = [f"{section}.{r}" for r in roles if not getattr(getattr(params, section), r)]
        if without:
            names = " and ".join(without)
            fix = f"add a file to models in params.yaml and set {names}; see {page}"
            yield Check("weights", "warn", f"{names} not set: {idle}", fix)


def _weight(name: str, asked_by: list[str], params: Params, data: Path) -> Check:
    from pipeline.digests import sha256_of
    from pipeline.models.registry import candidates

    title = f"weights {name}"
    by = f" ({', '.join(asked_by)})" if asked_by else ""
    entry = params.models.get(name)
    if entry is None:
        fix = f"add models.{name} to params.yaml, or set {asked_by[0]} to another entry"
        return Check(title, "fail", f"set in {asked_by[0]}, but not listed under models", fix)
    places = candidates(entry, name, data)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        copy = f"copy it there, or set models.{name}.path in params.yaml"
        fix = f"spfem-data models fetch {name}" if entry.url else copy
        detail = f"not found at {places[0]}{by}"
        return Check(title, "fail" if asked_by else "warn", detail, fix)
    found = sha256_of(path)
    if found != entry.sha256:
        text = f"{path} has SHA-256 {found[:12]}..., params.yaml expects {entry.sha256[:12]}...{by}"
        fix = f"replace the file, or set models.{name}.sha256 to {found}"
        return Check(title, "fail", text, fix)
    return Check(title, "ok", f"{path}, SHA-256 matches{by}")


def _corpus(
    name: str, entry: Dataset, params: Params, data: Path, *, is_fast: bool
) -> Iterator[Check]:
    """One dataset: root, split rule, takes, missing takes, disk space."""
    title, root = f"corpus {name}", Path(entry.root)
    if not root.exists() and entry.corpus == "demo":
        yield Check(title, "warn", f"not generated yet: {entry.root}", "spfem-data demo")
        return
    if not root.exists():
        fix = f"set datasets.{name}.root in params.yaml to its folder (or: spfem-data init FOLDER)"
        yield Check(title, "fail", f"{entry.root} does not exist", fix)
        return
    try:
        rule = params.split_rule(name)
    except PipelineError as error:
        yield Check(title, "fail", str(error), f"set datasets.{name}.split to one of them")
        return
    if is_fast:
        yield Check(title, "ok", f"{root} exists; not scanned (--fast)")
        return
    from pipeline import corpora

    try:
        listing = corpora.list_takes(name, entry, root, params.forgotten.get(name, []))
    except PipelineError as error:
        fix = f"correct datasets.{name}.corpus, .root and .select in params.yaml"
        yield Check(title, "fail", str(error), fix)
        return
    n_takes, speakers = len(listing.takes), {take.speaker for take in listing.takes}
    if rule.only and not speakers & set(rule.only):
        found = f"its split {entry.split} admits none of its {len(speakers)} speakers"
        yield Check(title, "fail", found, f"set datasets.{name}.split to by_speaker")
        return
    text = f"{root}: {n_takes} takes of {len(speakers)} speakers"
    yield _takes(title, name, text, corpora.inventory(listing))
    yield machine.disk(name, n_takes, data)


def _takes(title: str, name: str, text: str, found: Inventory) -> Check:
    """The takes of a corpus. Missing takes are listed; unreadable archives are a warning."""
    missing = sum(hole.count for hole in found.holes if hole.kind in ("gap", "no_level"))
    if missing:
        text += f", {missing} expected takes missing"
    aside = sum(count for _, count, _ in found.rejects)
    if aside:
        text += f", {aside} files rejected"
    if any(hole.kind in ("packed_archive", "nested_archive") for hole in found.holes):
        fix = f"unpack or join them; to list them: spfem-data inventory --dataset {name} --details"
        return Check(title, "warn", f"{text}; archives that cannot be read in place", fix)
    return Check(title, "ok", f"{text} (spfem-data inventory --dataset {name})")
