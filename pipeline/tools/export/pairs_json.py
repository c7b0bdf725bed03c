"""Our pairs in the published schema, for trainers that read it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair
from pipeline.tools.audit.pairlist import ListedPair
from pipeline.tools.audit.take_lookup import one_view, pairs_of_level


def to_listed(
    pairs: Sequence[Pair], clips: Sequence[Clip], *, level: int | None, view: str | None
) -> list[ListedPair]:
    """The pairs with neutral of one level and one view, takes by their own names.

    Frame numbers are those of the takes' own files, from 0. Confidence and everything else stays
    behind: the schema has no place for it.

    Raises
    ------
    PipelineError
        When the level, the view or any pair is not there.
    """
    takes = {clip.take_id: clip.take for clip in clips}
    chosen = pairs_of_level(one_view(pairs, view), level)
    if not chosen:
        raise PipelineError("the dataset has no pair with neutral to export")
    lost = sorted({t for p in chosen for t in (p.take_a, p.take_b)} - takes.keys())
    if lost:
        raise PipelineError(f"align names take {lost[0]} that extract no longer has; rerun align")
    return [
        ListedPair(
            pair.speaker, pair.emotion_b, takes[pair.take_a], takes[pair.take_b],
            np.array(pair.frame_a, np.int64), np.array(pair.frame_b, np.int64),
        )
        for pair in chosen
    ]  # fmt: skip
