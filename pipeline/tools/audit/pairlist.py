"""Read and write pair lists in the published schema.

{speaker: {emotion: {"001_028": [[frames of neutral 001], [frames of the emotion's 028]]}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair
from pipeline.runtime.store import write_bytes

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


IntArray = npt.NDArray[np.int64]
_LAST_FRAME = 2**31 - 1


@dataclass(frozen=True, eq=False)
class ListedPair:
    """One clip pair of a list: a neutral take and a take of an emotion.

    Attributes
    ----------
    frame_a, frame_b
        (n,) frame numbers from 0, n at least 1.
    """

    speaker: str
    emotion: str
    take_a: str
    take_b: str
    frame_a: IntArray
    frame_b: IntArray

    @property
    def key(self) -> str:
        """The pair's key in the list."""
        return f"{self.take_a}_{self.take_b}"

    @property
    def name(self) -> str:
        """The pair's name in messages."""
        return f"{self.speaker} {self.emotion} {self.key}"


def read_pair_list(path: Path) -> list[ListedPair]:
    """The clip pairs of a list, sorted by speaker, emotion and key.

    Raises
    ------
    PipelineError
        When the file cannot be read or does not match the schema; the message says where.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise PipelineError(f"{path}: not JSON ({error})") from error
    except _TwiceError as error:
        raise PipelineError(f"{path}: the key {error} occurs twice in one object") from error
    try:
        return _pairs(content)
    except ValueError as error:
        raise PipelineError(f"{path}: {error}") from error


class _TwiceError(Exception):
    """A duplicate key of a JSON object, which json.loads would drop silently."""


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        names = [name for name, _ in items]
        raise _TwiceError(repr(next(name for name in names if names.count(name) > 1)))
    return found


def _pairs(content: Any) -> list[ListedPair]:
    found = []
    for speaker, emotions in _entries(content, "the list", "speaker"):
        for emotion, pairs in _entries(emotions, speaker, "emotion"):
            for key, frames in _entries(pairs, f"{speaker} {emotion}", '"NNN_NNN"'):
                found.append(_pair(speaker, emotion, key, frames))
    if not found:
        raise ValueError("contains no clip pair")
    return found


def _entries(value: Any, where: str, keys: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {_kind(value)}, expected an object with one key per {keys}")
    return sorted(value.items())


def _pair(speaker: str, emotion: str, key: str, frames: Any) -> ListedPair:
    where = f"{speaker} {emotion} {key}"
    take_a, parted, take_b = key.partition("_")
    if not (take_a and parted and take_b) or "_" in take_b:
        raise ValueError(f"{where}: expected a key of two takes, such as 001_028")
    if not isinstance(frames, list) or len(frames) != 2:
        raise ValueError(f"{where}: expected two lists of frames, found {_kind(frames)}")
    a, b = (_frames(column, where) for column in frames)
    if len(a) != len(b):
        raise ValueError(f"{where}: {len(a)} and {len(b)} frames, expected equal numbers")
    return ListedPair(speaker, emotion, take_a, take_b, a, b)


def _frames(column: Any, where: str) -> IntArray:
    if not isinstance(column, list) or not column:
        raise ValueError(f"{where}: expected a list of frame numbers, found {_kind(column)}")
    for value in column:
        if type(value) is not int or not 0 <= value <= _LAST_FRAME:
            raise ValueError(f"{where}: {value!r} is not a frame number (an integer from 0)")
    return np.array(column, np.int64)


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else repr(value)[:40]


def write_pair_list(path: Path, pairs: Iterable[ListedPair]) -> None:
    """Write a list atomically, one pair per line. The same pairs give the same bytes.

    Raises
    ------
    PipelineError
        When two pairs have the same key, or a take's name contains `_`, the separator of the key.
    """
    content: dict[str, dict[str, dict[str, str]]] = {}
    for pair in sorted(pairs, key=lambda p: (p.speaker, p.emotion, p.key)):
        for take in (pair.take_a, pair.take_b):
            if "_" in take:
                raise PipelineError(
                    f"take {take!r} of {pair.speaker}: the schema does not allow _ in takes"
                )
        keys = content.setdefault(pair.speaker, {}).setdefault(pair.emotion, {})
        if pair.key in keys:
            raise PipelineError(
                f"{pair.name} would name two pairs; choose one --level and one --view"
            )
        keys[pair.key] = json.dumps([pair.frame_a.tolist(), pair.frame_b.tolist()])
    write_bytes(path, f"{_object(content, 0)}\n".encode())


def _object(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value
    pad = "\n" + " " * (depth + 1)
    inside = ",".join(f"{pad}{json.dumps(k)}: {_object(v, depth + 1)}" for k, v in value.items())
    return "{" + inside + pad[:-1] + "}"


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
