"""The files other than Parquet: lists for evaluation, card, Croissant, manifest.

The manifest is written last and lists all others with their checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline import __version__
from pipeline.digests import sha256_of
from pipeline.errors import PipelineError
from pipeline.records import Clip
from pipeline.runtime.store import write_bytes, write_json
from pipeline.stages.shards.card import ABOUT, Published, write_card, write_manifest
from pipeline.stages.shards.croissant import croissant
from pipeline.stages.shards.shard_plan import KeptPair, SpokenTake
from pipeline.stages.shards.terms import TERMS
from spfem_data.leaks import Placed, find_leaks, leak_line
from spfem_data.protocols import protocol_file, to_csv


def refuse_leaks(
    unit: str,
    takes: Iterable[SpokenTake],
    kept: Iterable[KeptPair],
    others: Iterable[tuple[Clip, str]] = (),
) -> None:
    """Refuse to publish a dataset whose splits share data.

    Parameters
    ----------
    unit
        The unit of the split rule: speaker, sentence, speaker+sentence or take.
    others
        Clips of the configs emotions and families, each with its split.

    Raises
    ------
    PipelineError
        When a unit is in two splits; the message names the speakers, sentences or takes.
    """
    takes = list(takes)
    sentences = {take.clip.utterance_id: take.sentence.sentence for take in takes}
    leaks = find_leaks(unit, _placed(takes, kept, others, sentences))
    if leaks:
        raise PipelineError(
            f"shards: {leak_line(unit, leaks)}; the split's unit is {unit}: rerun align and "
            "the stages after it, or choose another rule under `splits`"
        )


def _placed(
    takes: Iterable[SpokenTake],
    kept: Iterable[KeptPair],
    others: Iterable[tuple[Clip, str]],
    sentences: dict[str, str | None],
) -> Iterator[Placed]:
    for take in takes:
        clip = take.clip
        yield Placed(take.split, clip.speaker, take.sentence.sentence, clip.utterance_id)
    for one in kept:
        for clip in (one.a, one.b):
            yield Placed(one.pair.split, clip.speaker, one.pair.sentence, clip.utterance_id)
    for clip, split in others:
        yield Placed(split, clip.speaker, sentences.get(clip.utterance_id), clip.utterance_id)


def publish(folder: Path, published: Published) -> None:
    """Write all files other than Parquet, and remove files that none of them lists."""
    named = [shard.file for shard in published.files]
    documents = _documents(folder, published)
    _remove_others(folder, {*named, *documents})
    facts = {
        name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for name, path in ((name, folder / name) for name in documents)
    }
    write_manifest(folder, published, facts)


def _documents(folder: Path, published: Published) -> list[str]:
    """Write lists, card and Croissant; return their paths relative to the folder."""
    names = []
    for name, trials in published.drawn.trials.items():
        write_bytes(folder / protocol_file(name), to_csv(trials))
        names.append(protocol_file(name))
    write_card(folder, published)
    files = {shard.file: str(facts["sha256"]) for shard, facts in published.files.items()}
    terms = TERMS[published.corpus]
    write_json(
        folder / "croissant.json",
        croissant(published.dataset, f"{ABOUT} {terms.text}", __version__, terms, files),
    )
    return sorted([*names, "README.md", "croissant.json"])


def _remove_others(folder: Path, named: set[str]) -> None:
    for below in ("data", "protocols"):
        for path in sorted((folder / below).rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() not in named:
                path.unlink()
