"""The scores of a dataset as columns, and the data for comparisons within a take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.clip.clarity import F64, I64, NONE
from pipeline.errors import TableError
from pipeline.records import ScoredTake
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.filter.selection import Frames
from pipeline.takes.frame_file import read_columns
from spfem_data.labels import EMOTIONS, SPLITS

SCORES = ".scores.parquet"
PROBABILITIES = tuple(f"p_{emotion}" for emotion in EMOTIONS)
NO_SPLIT = -1


@dataclass(frozen=True)
class Scored:
    """All takes with scores, sorted by speaker and id, and their frames as columns.

    `splits` holds the split of each take, None for takes without one; `spans` the range of frames
    of each take.
    """

    takes: tuple[ScoredTake, ...]
    splits: tuple[str | None, ...]
    frames: Frames
    spans: tuple[tuple[int, int], ...]
    speakers: tuple[str, ...]


def load(
    takes: Sequence[ScoredTake], splits: Mapping[str, str | None], items: ItemStore, threads: int
) -> Scored:
    """Read the probabilities of all takes.

    Raises
    ------
    TableError
        When a take's items do not match score's table.
    """
    ordered = tuple(sorted(takes, key=lambda take: (take.speaker, take.take_id)))
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(partial(_read, items), ordered))
    speakers = tuple(sorted({take.speaker for take in ordered}))
    counts = np.array([len(frame) for frame, _ in parts], np.int64)
    ends = np.cumsum(counts)
    places = {speaker: k for k, speaker in enumerate(speakers)}
    own = [splits[take.take_id] for take in ordered]
    numbers = {
        "take": np.arange(len(ordered)),
        "speaker": [places[take.speaker] for take in ordered],
        "split": [NO_SPLIT if split is None else SPLITS.index(split) for split in own],
        "recorded": [number_of(take.emotion) for take in ordered],
    }
    frames = Frames(
        p=np.concatenate([np.empty((0, len(PROBABILITIES))), *(p for _, p in parts)]),
        frame=np.concatenate([np.empty(0, np.int64), *(frame for frame, _ in parts)]),
        **{name: np.repeat(np.array(each, np.int64), counts) for name, each in numbers.items()},
    )
    spans = tuple(zip((ends - counts).tolist(), ends.tolist(), strict=True))
    return Scored(ordered, tuple(own), frames, spans, speakers)


def number_of(emotion: str) -> int:
    """The number of an emotion among the seven; `NONE` for any other."""
    return EMOTIONS.index(emotion) if emotion in EMOTIONS else NONE


def item_of(take: ScoredTake) -> str:
    """The name of a take's files below the items of extract and score."""
    return f"{take.speaker}/{take.take_id}"


def _read(items: ItemStore, take: ScoredTake) -> tuple[I64, F64]:
    """Frame numbers (n,) and probabilities (n, 7) of one take."""
    table = read_table(items.path(item_of(take), SCORES), columns=["frame", *PROBABILITIES])
    if len(table) != take.n_scored:
        raise TableError(
            f"{take.take_id}: {len(table)} frames have scores, but score's table says "
            f"{take.n_scored}; rerun score"
        )
    p = np.column_stack([table[name].to_numpy() for name in PROBABILITIES])
    return table["frame"].to_numpy().astype(np.int64), p.astype(np.float64)


def instants_and_embeddings(
    take: ScoredTake, frames: I64, scored: ItemStore, extracted: ItemStore
) -> tuple[F64, F64]:
    """Instants (n,) in seconds and unit embeddings (n, d) of some frames of a take."""
    table = read_table(scored.path(item_of(take), SCORES), columns=["frame", "embedding"])
    column = table["embedding"].combine_chunks()
    embeddings = column.flatten().to_numpy().reshape(len(column), -1)
    rows = np.searchsorted(table["frame"].to_numpy(), frames)
    times = read_columns(extracted.path(item_of(take), ".frames.parquet"), ["time_s", "duration_s"])
    instants = times["time_s"] + times["duration_s"] / 2
    return instants[frames], embeddings[rows].astype(np.float64)
