"""Decide which of a dataset's scored frames are in D_n."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.clip.clarity import F64, I64, NONE, Mask, clarity, fitted, neutral_base, seen
from pipeline.params import Filter
from pipeline.records import ClarityThreshold, ScoredTake
from pipeline.stages.filter.scores import Scored, number_of
from pipeline.stages.filter.selection import (
    DUPLICATE,
    KEPT,
    Codes,
    Looks,
    SuspectRule,
    clear_as_another,
    equal_numbers,
    first_verdicts,
    is_suspect,
    looks_like,
    near_duplicates,
    over_quota,
    ranks,
)
from spfem_data.labels import EMOTIONS, SPLITS

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
    at = section.suspects
    rule = SuspectRule(at.min_p, at.min_share, at.neutral_share, at.neutral_from_level)
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
