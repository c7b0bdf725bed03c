"""Export pairs in the published pair-list schema."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair
from pipeline.tools.audit.pairlist import ListedPair
from pipeline.tools.audit.take_lookup import listed_name, one_view, pairs_of_level


def to_listed(
    pairs: Sequence[Pair], clips: Sequence[Clip], *, level: int | None, view: str | None
) -> list[ListedPair]:
    """The pairs with neutral of one level and one view, with takes by name.

    Frame numbers are those of the source files, from 0. The schema has no field for confidence and
    the other measures. Its keys separate two takes by `_`, so `_` in names of takes becomes `-`.

    Raises
    ------
    PipelineError
        When the level, the view or any pair is missing, or two takes get the same name.
    """
    takes = {clip.take_id: listed_name(clip.take) for clip in clips}
    _refuse_equal_names(clips)
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


def _refuse_equal_names(clips: Sequence[Clip]) -> None:
    names: dict[tuple[str, str, str], str] = {}
    for clip in clips:
        name = listed_name(clip.take)
        other = names.setdefault((clip.speaker, clip.emotion, name), clip.take)
        if other != clip.take:
            raise PipelineError(
                f"takes {other!r} and {clip.take!r} of {clip.speaker} would both be named "
                f"{name!r} in the list; rename one of the files"
            )
