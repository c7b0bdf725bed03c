"""Find the takes of a dataset by the names in a pair list, by level and view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair

Item = TypeVar("Item", Clip, Pair)
_FIRST_VIEW = "front"


def listed_name(take: str) -> str:
    """The name of a take in a pair list, whose keys separate two takes by `_`."""
    return take.replace("_", "-")


def one_view(items: Sequence[Item], view: str | None) -> list[Item]:
    """The items of one view: `view`, else front, else the first by name.

    Raises
    ------
    PipelineError
        When no item has the view.
    """
    known = sorted({item.view for item in items})
    if view is not None and view not in known:
        raise PipelineError(f"--view {view}: the dataset has {', '.join(known) or 'no pair'}")
    chosen = view or (_FIRST_VIEW if _FIRST_VIEW in known else next(iter(known), None))
    return [item for item in items if item.view == chosen]


def pairs_of_level(pairs: Sequence[Pair], level: int | None) -> list[Pair]:
    """The pairs with neutral whose take b has the level, by default the highest of its emotion.

    Raises
    ------
    PipelineError
        When no pair has the level.
    """
    pairs = [pair for pair in pairs if pair.emotion_a == "neutral"]
    known = {pair.level_b for pair in pairs}
    if level is not None and level not in known:
        have = ", ".join(map(str, sorted(known))) or "no pair with neutral"
        raise PipelineError(f"--level {level}: the dataset has {have}")
    highest: dict[tuple[str, str], int] = {}
    for pair in pairs:
        place = pair.speaker, pair.emotion_b
        highest[place] = max(highest.get(place, pair.level_b), pair.level_b)
    return [
        pair
        for pair in pairs
        if pair.level_b == (highest[pair.speaker, pair.emotion_b] if level is None else level)
    ]


def clips_by_name(clips: Sequence[Clip], level: int | None) -> dict[tuple[str, str, str], Clip]:
    """Clips by (speaker, emotion, name in the list) of one level, by default the highest.

    Neutral takes of any level are included.
    """
    by_name: dict[tuple[str, str, str], Clip] = {}
    for clip in sorted(clips, key=lambda c: c.level):
        if level is None or clip.level == level or clip.emotion == "neutral":
            by_name[clip.speaker, clip.emotion, listed_name(clip.take)] = clip
    return by_name
