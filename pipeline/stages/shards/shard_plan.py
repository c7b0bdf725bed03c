"""What goes into the shards: clip pairs with their windows, takes, and the file of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.digests import digest
from pipeline.params import ShardsWindows
from pipeline.records import Clip, FilteredTake, MadeFamily, Pair, Sentence, SyncTake
from pipeline.stages.shards.windows import Windows, find_windows
from spfem_data.schema import file_name

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class KeptPair:
    """One clip pair and its frame pairs that go into the shards.

    `kept` are indices into the pair's per-frame columns; `poses_sha256` is the digest of its poses.
    """

    pair: Pair
    a: Clip
    b: Clip
    kept: tuple[int, ...]
    poses_sha256: str

    def frames(self) -> list[tuple[int, int]]:
        """Frame of a, frame of b of every kept frame pair."""
        return [(self.pair.frame_a[k], self.pair.frame_b[k]) for k in self.kept]

    def windows(self, section: ShardsWindows) -> Windows:
        """The windows over the kept frame pairs; positions are into `kept`."""
        kept = list(self.kept)
        columns = (self.pair.frame_a, self.pair.frame_b, self.pair.confidence)
        chosen = (np.asarray(column)[kept] for column in columns)
        return find_windows(*chosen, **section.model_dump())

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this pair depend on."""
        clips = [
            (c.frames_sha256, c.crop_x_px, c.crop_y_px, c.crop_side_px) for c in (self.a, self.b)
        ]
        return self.pair.to_row(), self.kept, self.poses_sha256, clips


@dataclass(frozen=True)
class PlacedPair:
    """A kept pair with its file in the config `pairs` and its first row there."""

    kept: KeptPair
    file: str
    first_row: int

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this pair depend on."""
        return self.kept.identity(), self.file, self.first_row


@dataclass(frozen=True)
class SpokenTake:
    """A take of the config `takes`: its clip, the sentence of its utterance, its image's offset."""

    clip: Clip
    sentence: Sentence
    split: str
    sync_ms: float = 0.0
    sync_error_ms: float | None = None

    def identity(self) -> tuple[object, ...]:
        """Everything that its row depends on; the sentence score is not part of it."""
        sentence = self.sentence
        label = sentence.sentence, sentence.method, sentence.verified
        return self.clip.to_row(), *label, self.split, self.sync_ms, self.sync_error_ms


@dataclass(frozen=True)
class ClearTake:
    """A take with clear frames: clip, split, and digests of the network and of the decisions."""

    clip: Clip
    split: str
    weights_sha256: str
    clear_sha256: str

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.to_row(), self.split, self.weights_sha256, self.clear_sha256


@dataclass(frozen=True)
class FamilyTake:
    """A take with kept families: clip, split, digest of their rows."""

    clip: Clip
    split: str
    rows_sha256: str

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.take_id, self.split, self.rows_sha256


@dataclass(frozen=True)
class FaceTake:
    """A take with a detected face: its clip, split and sentence."""

    clip: Clip
    split: str
    sentence: str | None

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.to_row(), self.split, self.sentence


Item = KeptPair | PlacedPair | SpokenTake | ClearTake | FamilyTake | FaceTake
"""What the rows of a file are made of."""


@dataclass(frozen=True)
class Shard:
    """One file: config, split, and its number among the files of both."""

    config: str
    split: str
    index: int
    count: int

    @property
    def unit(self) -> str:
        """The unit name: the path relative to `data/`, without the suffix."""
        return self.file.removeprefix("data/").removesuffix(".parquet")

    @property
    def file(self) -> str:
        """The path relative to the dataset's shards folder."""
        return file_name(self.config, self.split, self.index, self.count)


def shard_of(name: str, count: int) -> int:
    """The shard number of a name by a stable hash, so that a new name moves no other."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16) % count


def spread(
    config: str, count: int, items: Iterable[tuple[str, str, Entry]]
) -> dict[Shard, list[Entry]]:
    """Items (name, split, item) by shard, sorted by name.

    A split with any item has all its shards, including empty ones, so that the number of files does
    not depend on the data.
    """
    shards: dict[Shard, list[Entry]] = {}
    for name, split, item in sorted(items, key=lambda entry: entry[0]):
        if Shard(config, split, 0, count) not in shards:
            shards |= {Shard(config, split, i, count): [] for i in range(count)}
        shards[Shard(config, split, shard_of(name, count), count)].append(item)
    return shards


def place(shards: Mapping[Shard, Sequence[KeptPair]]) -> list[PlacedPair]:
    """The file and first row of every pair. The rows of a pair are contiguous, in order of time."""
    placed = []
    for shard, pairs in shards.items():
        row = 0
        for kept in pairs:
            placed.append(PlacedPair(kept, shard.file, row))
            row += len(kept.kept)
    return placed


def spoken_takes(
    clips: Iterable[Clip], sentences: Iterable[Sentence], sync: Mapping[str, SyncTake]
) -> list[SpokenTake]:
    """The takes with a row in align's sentences; the split of those without one is "".

    `sync` are the offsets by take id.
    """
    by_utterance = {row.utterance_id: row for row in sentences}
    takes = []
    for clip in clips:
        if (sentence := by_utterance.get(clip.utterance_id)) is not None:
            offset = sync.get(clip.take_id)
            shift = (offset.applied_ms, offset.remaining_ms) if offset else (0.0, None)
            takes.append(SpokenTake(clip, sentence, sentence.split or clip.split or "", *shift))
    return takes


def clear_takes(filtered: Iterable[FilteredTake], clips: Mapping[str, Clip]) -> list[ClearTake]:
    """The takes with a clear frame; the split of those without one is ""."""
    return [
        ClearTake(clips[row.take_id], row.split or "", row.weights_sha256, row.clear_sha256)
        for row in filtered
        if row.n_kept
    ]


def family_takes(families: Iterable[MadeFamily], clips: Mapping[str, Clip]) -> list[FamilyTake]:
    """The takes with a kept family; the split of those without one is ""."""
    by_take: dict[str, list[MadeFamily]] = defaultdict(list)
    for family in families:
        by_take[family.take_id].append(family)
    return [
        FamilyTake(clips[take_id], own[0].split or "", digest([each.rows_sha256 for each in own]))
        for take_id, own in sorted(by_take.items())
    ]


def face_takes(takes: Iterable[SpokenTake]) -> list[FaceTake]:
    """The takes of the config `takes` with a detected face."""
    return [
        FaceTake(take.clip, take.split, take.sentence.sentence)
        for take in takes
        if take.clip.n_found and take.clip.crop_side_px is not None
    ]


def by_speaker(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Pairs by speaker, sorted by speaker."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.speaker].append(pair)
    return dict(sorted(groups.items()))
