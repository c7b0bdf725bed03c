"""List the takes of a dataset: one module per corpus, one kind of listing for all.

To add a corpus, write a module that turns the files of `walk` into a `Draft`, and add a name in
`params.Dataset` and a line in `_draft`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from pipeline.corpora import custom, mead, ravdess
from pipeline.corpora.archives import open_source, source_sha256
from pipeline.corpora.inventory import KINDS, Cell, Hole, Inventory, inventory
from pipeline.corpora.listing import Draft, Finding, Listing, Promise
from pipeline.corpora.naming import canonical_emotion, safe_id
from pipeline.corpora.scan import Walk, walk
from pipeline.errors import PipelineError, printable
from pipeline.params import Dataset

__all__ = [
    "Cell",
    "Finding",
    "Hole",
    "Inventory",
    "Listing",
    "Promise",
    "canonical_emotion",
    "inventory",
    "list_takes",
    "open_source",
    "safe_id",
    "skipped_notes",
    "source_sha256",
]

_SKIPPED = ("nested_archive", "packed_archive", "unparsed", "misfiled", "other_version")
_SHAPES = {
    "mead": mead.SHAPE,
    "ravdess": ravdess.SHAPE,
    "custom": "rows that name media files",
    "demo": "the folders mead and ravdess that `spfem-data demo` makes",
}


def list_takes(name: str, entry: Dataset, root: Path, forgotten: Collection[str] = ()) -> Listing:
    """The selected takes of a dataset, and the rejected files. Decodes nothing.

    Of two files of one take a readable one is preferred, then a plain file to an archive's member,
    then the first by name; the other is a `duplicate_take`. Of members with the same name in one
    archive the last is used, as by tar and unzip.

    Parameters
    ----------
    name
        The dataset's name.
    entry
        Its entry of params.yaml.
    root
        The entry's root, resolved by the caller: a folder, or one archive, or the manifest.
    forgotten
        Speakers to exclude from takes, rejects and findings.

    Raises
    ------
    PipelineError
        If the root does not exist or has no take of the corpus, or the selection names something
        that does not exist.
    """
    if not root.exists():
        if entry.corpus == "demo":
            raise PipelineError(
                f"the demo corpus does not exist at {root}; run first: spfem-data demo"
            )
        raise PipelineError(
            f"the root of dataset {name!r} does not exist: {root}; set datasets.{name}.root"
        )
    if entry.corpus == "custom" and not root.is_file():
        raise PipelineError(f"the root of {name!r} must be the manifest; {root} is a folder")
    draft = _draft(name, entry.corpus, root)
    draft.forget(forgotten)
    listing = draft.listing(entry.select)
    if not draft.takes and not listing.rejected:
        shape = _SHAPES[entry.corpus]
        # the skipped file that best explains it
        skipped = [f for kind in _SKIPPED for f in listing.findings if f.kind == kind]
        examples = (f" ({f.item}: {f.detail or KINDS[f.kind]})" for f in skipped)
        example = next(examples, "")
        raise PipelineError(f"{root} holds no take of {entry.corpus}{example}; expected: {shape}")
    return listing


def skipped_notes(listing: Listing) -> list[str]:
    """One line for each kind of file that the corpus skipped, with its count and an example."""
    notes = []
    for kind in _SKIPPED:
        items = [finding.item for finding in listing.findings if finding.kind == kind]
        if items:
            notes.append(f"{len(items)} skipped, {KINDS[kind]}: {printable(items[0])}")
    return notes


def _draft(name: str, corpus: str, root: Path) -> Draft:
    """All takes of a corpus; the demo combines the layouts of MEAD and RAVDESS."""
    if corpus == "custom":
        return custom.draft(name, root)
    found = walk(root)
    if corpus == "mead":
        draft = mead.draft(name, found, root)
    elif corpus == "ravdess":
        draft = ravdess.draft(name, found)
    else:
        draft = mead.draft(name, _below(found, "mead"), root, nominal=False)
        draft.join(ravdess.draft(name, _below(found, "ravdess")))
        found = _below(found, "mead", "ravdess")
    for item, (reason, detail) in found.refused:
        draft.refuse(item, reason, detail)
    draft.findings += found.findings
    return draft


def _below(found: Walk, *folders: str) -> Walk:
    """The part of a walk in the given folders of the root."""
    heads = tuple(f"{folder}/" for folder in folders)
    return replace(
        found,
        files=[file for file in found.files if file.source.path.startswith(heads)],
        refused=[row for row in found.refused if row[0].startswith(heads)],
        findings=[finding for finding in found.findings if finding.item.startswith(heads)],
    )
