"""Decide which of a dataset's scored frames are in D_n."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.clip.clarity import F64, I64, NONE, Mask, clarity, fitted, neutral_base, seen
from pipeline.errors import TableError
from pipeline.params import Filter
from pipeline.records import ClarityThreshold, ScoredTake
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.filter.selection import (
    DUPLICATE,
    KEPT,
    Codes,
    Frames,
    Looks,
    clear_as_another,
    equal_numbers,
    first_verdicts,
    is_suspect,
    looks_like,
    near_duplicates,
    over_quota,
    ranks,
)
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


Comparison = Callable[[ScoredTake, I64], tuple[F64, F64]]
"""Reads instants and embeddings of some frames of a take."""


@dataclass(frozen=True)
class Decision:
    """What the filter decided.

    Attributes
    ----------
    values, emotion
        (n,) clarity, and the emotion that it is measured for.
    verdicts, rank
        (n,) see `selection`.
    looks
        The emotion that each take shows.
    suspects
        (number of takes,) which look mislabelled.
    thresholds
        One per emotion.
    """

    values: F64
    emotion: I64
    verdicts: Codes
    rank: I64
    looks: tuple[Looks | None, ...]
    suspects: Mask
    thresholds: tuple[ClarityThreshold, ...]


def decide(scored: Scored, section: Filter, compare: Comparison) -> Decision:
    """Judge every frame: threshold, suspects, near-duplicates, quota, equal numbers."""
    frames = scored.frames
    emotion = _judged_as(scored, section)
    values = clarity(frames.p, emotion, _base(scored, section))
    thresholds = _thresholds(values, emotion, frames.split, section)
    limits = np.array([np.nan if t.threshold is None else t.threshold for t in thresholds])
    looks, suspects = _suspects(scored, section)
    verdicts = first_verdicts(
        values, emotion, limits,
        clear_as_another(frames.p, emotion, section.suspects.min_p),
        suspects[frames.take] & section.suspects.drop,
    )  # fmt: skip
    if section.duplicates.within_s > 0:
        _thin(verdicts, values, emotion, scored, section, compare)
    if section.policy == "quota":
        groups = [frames.speaker, emotion, frames.split]
        verdicts = over_quota(verdicts, values, groups, section.quota)
    if section.equal_per_emotion:
        verdicts = equal_numbers(verdicts, values, emotion, frames.split)
    rank = ranks(verdicts, values, emotion, frames.split)
    return Decision(values, emotion, verdicts, rank, looks, suspects, thresholds)


def _judged_as(scored: Scored, section: Filter) -> I64:
    """The emotion that each frame is judged as: the recorded one, or the likeliest."""
    recorded = scored.frames.recorded
    if section.require_recorded:
        return recorded
    return np.where(recorded == NONE, NONE, seen(scored.frames.p))


def _base(scored: Scored, section: Filter) -> F64 | None:
    if not section.relative_to_neutral:
        return None
    frames = scored.frames
    base = neutral_base(frames.p, frames.recorded, frames.speaker, len(scored.speakers))
    return np.asarray(base[frames.speaker])


def _thresholds(
    values: F64, emotion: I64, split: I64, section: Filter
) -> tuple[ClarityThreshold, ...]:
    """The threshold of every emotion; a quantile is fitted on train and at least the floor."""
    train = split == SPLITS.index("train")
    if section.policy == "quantile":
        found = fitted(values, emotion, train, section.quantile)
        return tuple(
            ClarityThreshold(
                name, None if np.isnan(found[n]) else max(float(found[n]), section.floor),
                "floor" if found[n] < section.floor else "quantile",
                int((train & (emotion == n) & np.isfinite(values)).sum()),
            )
            for n, name in enumerate(EMOTIONS)
        )  # fmt: skip
    if section.policy == "quota":
        return tuple(ClarityThreshold(name, section.floor, "floor", 0) for name in EMOTIONS)
    given = section.thresholds.model_dump()
    return tuple(ClarityThreshold(name, given[name], "given", 0) for name in EMOTIONS)


def _suspects(scored: Scored, section: Filter) -> tuple[tuple[Looks | None, ...], Mask]:
    rule = section.suspects
    recorded = [number_of(take.emotion) for take in scored.takes]
    looks = tuple(
        looks_like(scored.frames.p[start:stop], n, rule.min_p)
        for n, (start, stop) in zip(recorded, scored.spans, strict=True)
    )
    found = [
        is_suspect(look, n, take.level, rule)
        for look, n, take in zip(looks, recorded, scored.takes, strict=True)
    ]
    return looks, np.array(found, np.bool_)


def _thin(
    verdicts: Codes, values: F64, emotion: I64, scored: Scored, section: Filter, compare: Comparison
) -> None:
    """Mark near-duplicates in place: inside a take, among frames of one emotion."""
    at = section.duplicates
    for take, (start, stop) in zip(scored.takes, scored.spans, strict=True):
        clear = start + np.flatnonzero(verdicts[start:stop] == KEPT)
        for n in np.unique(emotion[clear]):
            kept = clear[emotion[clear] == n]
            if len(kept) > 1:
                instants_s, embeddings = compare(take, scored.frames.frame[kept])
                same = near_duplicates(
                    values[kept], instants_s, embeddings, at.within_s, at.similarity
                )
                verdicts[kept[same]] = DUPLICATE
