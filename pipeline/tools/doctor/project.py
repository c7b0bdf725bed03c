"""params.yaml, and what it names: weights with the sha256 stated, corpora with their takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError
from pipeline.tools.doctor import machine
from pipeline.tools.doctor.check import Check, extra_install

if TYPE_CHECKING:
    from pipeline.params import Dataset, Params

_ROLES = {
    "score": ("weights",),
    "invert": ("encoder", "generator", "identity", "perceptual"),
    "train_encoder": ("start", "generator", "perceptual"),
}
"""The settings that name an entry of `models`."""
_IDLE = {
    "score": (("weights",), "score and filter give nothing", "docs/emotions.md"),
    "invert": (
        ("encoder", "generator"), "invert, directions and synth give nothing", "docs/models.md"
    ),
}  # fmt: skip
"""Settings without which stages give nothing, which stages, and where to read on."""


def examine(path: Path | None, data: Path, *, is_fast: bool) -> Iterator[Check]:
    """Parameters, weights, corpora."""
    try:
        from pipeline.params import load
    except ImportError as error:
        yield Check("params.yaml", "fail", f"cannot be read: {error}", extra_install("build"))
        return
    try:
        params = load(path)
    except PipelineError as error:
        mend = "mend that key; the defaults are in the package's own params.yaml"
        yield Check("params.yaml", "fail", str(error), mend)
        return
    where = str(path) if path else "none here: the package's own"
    yield Check("params.yaml", "ok", f"{where}; datasets: {', '.join(sorted(params.datasets))}")
    yield from _weights(params, data)
    for name, entry in sorted(params.datasets.items()):
        yield from _corpus(name, entry, params, data, is_fast=is_fast)


def _weights(params: Params, data: Path) -> Iterator[Check]:
    """Every entry of models that is there or needed, and the settings that name none."""
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
            mend = f"list a file under models of params.yaml and name it in {names}: {page}"
            yield Check("weights", "warn", f"none named in {names}: {idle}", mend)


def _weight(name: str, asked_by: list[str], params: Params, data: Path) -> Check:
    from pipeline.digests import sha256_of
    from pipeline.models.registry import candidates

    title = f"weights {name}"
    by = f" ({', '.join(asked_by)})" if asked_by else ""
    entry = params.models.get(name)
    if entry is None:
        mend = f"add models.{name} to params.yaml, or name another in {asked_by[0]}"
        return Check(title, "fail", f"{asked_by[0]} names it, models does not list it", mend)
    places = candidates(entry, name, data)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        mend = f"put it there, or set models.{name}.path of params.yaml"
        if entry.url:
            mend = f"spfem-data models fetch {name}"
        state: Any = "fail" if asked_by else "warn"
        return Check(title, state, f"not at {places[0]}{by}", mend)
    found = sha256_of(path)
    if found != entry.sha256:
        said = f"{path} has sha256 {found[:12]}..., params.yaml says {entry.sha256[:12]}...{by}"
        mend = f"bring the file that is meant, or set models.{name}.sha256 to {found}"
        return Check(title, "fail", said, mend)
    return Check(title, "ok", f"{path}, sha256 as stated{by}")


def _corpus(
    name: str, entry: Dataset, params: Params, data: Path, *, is_fast: bool
) -> Iterator[Check]:
    """One dataset: its root, its split rule, its takes and what is missing of them, the disk."""
    title, root = f"corpus {name}", Path(entry.root)
    if not root.exists():
        yield _absent(title, name, entry)
        return
    try:
        rule = params.split_rule(name)
    except PipelineError as error:
        yield Check(title, "fail", str(error), f"set datasets.{name}.split to one of those")
        return
    if is_fast:
        yield Check(title, "ok", f"{root} is there; not looked into (--fast)")
        return
    from pipeline import corpora

    try:
        listing = corpora.list_takes(name, entry, root, params.forgotten.get(name, []))
    except PipelineError as error:
        mend = f"set datasets.{name}.corpus, .root and .select of params.yaml to what is there"
        yield Check(title, "fail", str(error), mend)
        return
    speakers = {take.speaker for take in listing.takes}
    if rule.only and not speakers & set(rule.only):
        found = f"its split {entry.split} admits none of its {len(speakers)} speakers"
        yield Check(title, "fail", found, f"set datasets.{name}.split to by_speaker")
        return
    yield _held(title, name, root, corpora.inventory(listing), len(listing.takes), len(speakers))
    yield machine.disk(name, len(listing.takes), data)


def _absent(title: str, name: str, entry: Dataset) -> Check:
    if entry.corpus == "demo":
        return Check(title, "warn", f"not made yet: {entry.root}", "spfem-data demo")
    mend = f"set datasets.{name}.root of params.yaml to its folder (or: spfem-data init FOLDER)"
    return Check(title, "fail", f"{entry.root} is not there", mend)


def _held(title: str, name: str, root: Path, found: Any, takes: int, speakers: int) -> Check:
    """What is there; holes in a corpus are told, pieces that cannot be read are to be mended."""
    said = f"{root}: {takes} takes of {speakers} speakers"
    missing = sum(hole.count for hole in found.holes if hole.kind in ("gap", "no_level"))
    if missing:
        said += f", {missing} promised ones are missing"
    aside = sum(count for _, count, _ in found.rejects)
    if aside:
        said += f", {aside} files set aside"
    packed = [hole for hole in found.holes if hole.kind in ("packed_archive", "nested_archive")]
    if packed:
        mend = f"unpack or join them; which: spfem-data inventory --dataset {name} --details"
        return Check(title, "warn", f"{said}; archives that cannot be read in place", mend)
    return Check(title, "ok", f"{said} (spfem-data inventory --dataset {name})")
