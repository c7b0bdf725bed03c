"""Select D_n by clarity: thresholds, near-duplicates, quotas and equal numbers, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.clip.clarity import F64, I64, N_EMOTIONS, NEUTRAL, NONE, Mask, passes, seen
from pipeline.params import FilterSuspects


@dataclass(frozen=True)
class Looks:
    """The emotion that a take shows, compared with the recorded one.

    `share` of the scored frames are clear as `seen`; `p_seen` and `p_recorded` are mean
    probabilities over all clear frames of the take.
    """

    seen: int
    share: float
    n_clear: int
    p_seen: float
    p_recorded: float


def looks_like(p: F64, recorded: int, min_p: float) -> Looks | None:
    """The emotion that the clear frames of one take show; None without clear frames.

    Parameters
    ----------
    p
        (n, 7) probabilities of the take's scored frames.
    recorded
        Its recorded emotion; `NONE` for any other than the seven.
    min_p
        Minimum probability of a clear frame's most likely emotion.
    """
    likeliest, clear = seen(p), p.max(axis=1, initial=0.0) >= min_p
    if recorded == NONE or not clear.any():
        return None
    mean = p[clear].mean(axis=0)
    counts = np.bincount(likeliest[clear], minlength=N_EMOTIONS)
    best = int(np.argmax(mean))
    return Looks(
        best, float(counts[best] / len(p)), int(clear.sum()), float(mean[best]),
        float(mean[recorded]),
    )  # fmt: skip


def is_suspect(looks: Looks | None, recorded: int, level: int, rule: FilterSuspects) -> bool:
    """Whether the clear frames of a take of that level contradict its label.

    A frame is clear as its most likely emotion if that has a probability of at least `min_p`.
    `min_share` is the minimum share of the take's scored frames that are clear as one other
    emotion; `neutral_share` replaces it if that is neutral, since faint takes and onsets look
    neutral as well. Takes below `neutral_from_level` are faint by design and never suspected of
    being neutral.
    """
    if looks is None or looks.seen == recorded:
        return False
    if looks.seen == NEUTRAL:
        return looks.share >= rule.neutral_share and level >= rule.neutral_from_level
    return looks.share >= rule.min_share


def clear_as_another(p: F64, emotion: I64, min_p: float) -> Mask:
    """Frames (n,) that are clear as another emotion than theirs."""
    return np.asarray((p.max(axis=1, initial=0.0) >= min_p) & (seen(p) != emotion))


VERDICTS = ("kept", "unclear", "duplicate", "over_quota", "other_emotion")
"""The verdict on a frame; exactly one of these.

unclear: below its emotion's threshold. other_emotion: not clear as its own emotion but as another,
or from a take that looks mislabelled or has none of the seven emotions. duplicate: close in time
and similar to a clearer kept frame of its take. over_quota: clearer frames filled its quota.
"""
KEPT, UNCLEAR, DUPLICATE, OVER_QUOTA, OTHER_EMOTION = range(len(VERDICTS))
Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Frames:
    """All scored frames of a dataset, ordered by take and frame number.

    Attributes
    ----------
    p
        (n, 7) probabilities.
    take, frame, speaker, split
        (n,) numbers; takes, speakers and splits as their caller counts them.
    recorded
        (n,) recorded emotion; `NONE` for any other than the seven.
    """

    p: F64
    take: I64
    frame: I64
    speaker: I64
    split: I64
    recorded: I64

    def __len__(self) -> int:
        return len(self.take)


def first_verdicts(
    values: F64, emotion: I64, thresholds: F64, clear_as_another: Mask, suspect: Mask
) -> Codes:
    """Verdicts (n,) before frames are compared with each other.

    Parameters
    ----------
    values, emotion
        (n,) clarity of each frame as its emotion.
    clear_as_another
        (n,) frames that are clear, but as another emotion than theirs.
    suspect
        (n,) frames of takes that look mislabelled.
    """
    own = passes(values, emotion, thresholds)
    found = np.where(own, KEPT, UNCLEAR)
    elsewhere = (~own & clear_as_another) | suspect | (emotion == NONE)
    return np.where(elsewhere, OTHER_EMOTION, found).astype(np.int8)


def near_duplicates(
    values: F64, instants_s: F64, embeddings: F64, within_s: float, similarity: float
) -> Mask:
    """Which frames (n,) of one take are near-duplicates of a clearer frame.

    Frames are visited from the clearest down. A frame is a duplicate if a kept frame is within
    `within_s` of it and the cosine of their embeddings is at least `similarity`.

    Parameters
    ----------
    values
        (n,) clarity.
    instants_s
        (n,) increasing.
    embeddings
        (n, d) of unit length.
    """
    taken = np.zeros(len(values), np.bool_)
    starts = np.searchsorted(instants_s, instants_s - within_s, side="left")
    stops = np.searchsorted(instants_s, instants_s + within_s, side="right")
    for k in np.argsort(-values, kind="stable"):
        near = np.arange(starts[k], stops[k])
        near = near[taken[near]]
        taken[k] = not (embeddings[near] @ embeddings[k] >= similarity).any()
    return ~taken


def over_quota(verdicts: Codes, values: F64, groups: Sequence[I64], most: int) -> Codes:
    """The verdicts with at most the `most` clearest frames kept in each group."""
    found = verdicts.copy()
    kept = np.flatnonzero(verdicts == KEPT)
    place = _places(values[kept], [group[kept] for group in groups])
    found[kept[place >= most]] = OVER_QUOTA
    return found


def equal_numbers(verdicts: Codes, values: F64, emotion: I64, split: I64) -> Codes:
    """The verdicts with equally many frames kept of every emotion of a split (r of CDRL eq. 3).

    r is the smallest number among the emotions with a kept frame in the split, so that an emotion
    without any does not empty the others.
    """
    found = verdicts.copy()
    for one in np.unique(split[verdicts == KEPT]):
        inside = (verdicts == KEPT) & (split == one)
        r = int(np.unique(emotion[inside], return_counts=True)[1].min())
        limited = over_quota(np.where(inside, verdicts, UNCLEAR), values, [emotion], r)
        found[inside] = limited[inside]
    return found


def ranks(verdicts: Codes, values: F64, emotion: I64, split: I64) -> I64:
    """Rank (n,) among the clear frames of an emotion and split: 1 is the clearest; 0 for others.

    Frames over quota are ranked as well, so that training can select any smaller r.
    """
    found = np.zeros(len(verdicts), np.int64)
    clear = np.flatnonzero((verdicts == KEPT) | (verdicts == OVER_QUOTA))
    found[clear] = 1 + _places(values[clear], [split[clear], emotion[clear]])
    return found


def _places(values: F64, groups: Sequence[I64]) -> I64:
    """Rank (n,) of each value in its group, 0 for the largest; equal values keep their order."""
    order = np.lexsort([np.arange(len(values)), -values, *groups])
    keys = np.stack([group[order] for group in groups])
    new = np.ones(len(values), np.bool_)
    new[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    starts = np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - starts
    return found
