"""Which clip pair goes to which shard, at which row, and which windows it holds."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.params import ShardsWindows
from pipeline.records import Clip, Pair, Sentence
from pipeline.stages.shards.windows import Windows, find_windows
from spfem_data.schema import file_name

Item = TypeVar("Item")


@dataclass(frozen=True)
class KeptPair:
    """One clip pair and the frame pairs of it that go into the shards.

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
        """All that the rows of this pair depend on."""
        clips = [
            (c.frames_sha256, c.crop_x_px, c.crop_y_px, c.crop_side_px) for c in (self.a, self.b)
        ]
        return self.pair.to_row(), self.kept, self.poses_sha256, clips


@dataclass(frozen=True)
class PlacedPair:
    """A kept pair with the file of the config `pairs` that holds it and its first row there."""

    kept: KeptPair
    file: str
    first_row: int


@dataclass(frozen=True)
class SpokenTake:
    """A take for the config `takes`: its clip and what its utterance says."""

    clip: Clip
    sentence: Sentence
    split: str

    def identity(self) -> tuple[object, ...]:
        """All that its row depends on: how well its sentence was matched is not in it."""
        said = self.sentence
        return self.clip.to_row(), said.sentence, said.method, said.verified, self.split


@dataclass(frozen=True)
class Shard:
    """The place of one file: config, split, and its number among its fellows."""

    config: str
    split: str
    index: int
    count: int

    @property
    def unit(self) -> str:
        """Its name as a unit of work: the file's path below `data/`, without the suffix."""
        return self.file.removeprefix("data/").removesuffix(".parquet")

    @property
    def file(self) -> str:
        """Its path below the dataset's shards."""
        return file_name(self.config, self.split, self.index, self.count)


def shard_of(name: str, count: int) -> int:
    """The number of a name's shard: a stable hash, so that a new name moves no other."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16) % count


def spread(
    config: str, count: int, items: Iterable[tuple[str, str, Item]]
) -> dict[Shard, list[Item]]:
    """Items (name, split, item) by shard, in the order of their names.

    Every shard of a split that has any item is there, also the empty ones: the number of files then
    says nothing about the data and does not change with it.
    """
    found: dict[Shard, list[Item]] = {}
    for name, split, item in sorted(items, key=lambda entry: entry[0]):
        if Shard(config, split, 0, count) not in found:
            found |= {Shard(config, split, i, count): [] for i in range(count)}
        found[Shard(config, split, shard_of(name, count), count)].append(item)
    return found


def place(shards: Mapping[Shard, Sequence[KeptPair]]) -> list[PlacedPair]:
    """The file and first row of every pair: its rows lie together, in order of time."""
    placed = []
    for shard, pairs in shards.items():
        row = 0
        for kept in pairs:
            placed.append(PlacedPair(kept, shard.file, row))
            row += len(kept.kept)
    return placed


def spoken_takes(
    clips: Iterable[Clip], sentences: Iterable[Sentence]
) -> tuple[list[SpokenTake], list[Clip]]:
    """The takes whose utterance align knows, and those among them that have no split."""
    by_utterance = {row.utterance_id: row for row in sentences}
    spoken, without = [], []
    for clip in clips:
        sentence = by_utterance.get(clip.utterance_id)
        if sentence is None:
            continue
        split = sentence.split or clip.split
        if split is None:
            without.append(clip)
        else:
            spoken.append(SpokenTake(clip, sentence, split))
    return spoken, without


def by_speaker(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Pairs by speaker, the speakers in order."""
    found: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        found[pair.speaker].append(pair)
    return dict(sorted(found.items()))
