"""Takes that look mislabelled: what most of their frames show is not what was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.clip.clarity import F64, I64, N_EMOTIONS, NEUTRAL, NONE, Mask, seen


@dataclass(frozen=True)
class SuspectRule:
    """When a take looks mislabelled.

    A frame is clear as its likeliest emotion where that has `min_p` at least. `min_share`: of the
    take's scored frames, those that are clear as one other emotion. `neutral_share`: the same where
    that other is neutral, since a faint take and every onset look neutral, too; below
    `neutral_from_level` takes are meant to be faint, and to look neutral says nothing.
    """

    min_p: float
    min_share: float
    neutral_share: float
    neutral_from_level: int


@dataclass(frozen=True)
class Looks:
    """What a take looks like: the emotion seen, and how it compares with the recorded one.

    `share` of the scored frames are clear as `seen`; `p_seen` and `p_recorded` are mean
    probabilities over the take's clear frames, whatever they are clear as.
    """

    seen: int
    share: float
    n_clear: int
    p_seen: float
    p_recorded: float


def looks_like(p: F64, recorded: int, min_p: float) -> Looks | None:
    """What the clear frames of one take show; None where it has none.

    Parameters
    ----------
    p
        (n, 7) probabilities of the take's scored frames.
    recorded
        Its emotion as recorded; `NONE` has no place among the seven.
    min_p
        From which on a frame is clear as its likeliest emotion.
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


def is_suspect(looks: Looks | None, recorded: int, level: int, rule: SuspectRule) -> bool:
    """Whether the clear frames of a take of that level speak against its label."""
    if looks is None or looks.seen == recorded:
        return False
    if looks.seen == NEUTRAL:
        return looks.share >= rule.neutral_share and level >= rule.neutral_from_level
    return looks.share >= rule.min_share


def clear_as_another(p: F64, emotion: I64, min_p: float) -> Mask:
    """Frames (n,) whose likeliest emotion is clear and not theirs."""
    return np.asarray((p.max(axis=1, initial=0.0) >= min_p) & (seen(p) != emotion))
