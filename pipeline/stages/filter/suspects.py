"""Takes that look mislabelled: most of their frames show another emotion than recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.clip.clarity import F64, I64, N_EMOTIONS, NEUTRAL, NONE, Mask, seen


@dataclass(frozen=True)
class SuspectRule:
    """When a take looks mislabelled.

    A frame is clear as its most likely emotion if that has a probability of at least `min_p`.
    `min_share` is the minimum share of the take's scored frames that are clear as one other
    emotion; `neutral_share` replaces it if that is neutral, since faint takes and onsets look
    neutral as well. Takes below `neutral_from_level` are faint by design and never suspected of
    being neutral.
    """

    min_p: float
    min_share: float
    neutral_share: float
    neutral_from_level: int


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


def is_suspect(looks: Looks | None, recorded: int, level: int, rule: SuspectRule) -> bool:
    """Whether the clear frames of a take of that level contradict its label."""
    if looks is None or looks.seen == recorded:
        return False
    if looks.seen == NEUTRAL:
        return looks.share >= rule.neutral_share and level >= rule.neutral_from_level
    return looks.share >= rule.min_share


def clear_as_another(p: F64, emotion: I64, min_p: float) -> Mask:
    """Frames (n,) that are clear as another emotion than theirs."""
    return np.asarray((p.max(axis=1, initial=0.0) >= min_p) & (seen(p) != emotion))
