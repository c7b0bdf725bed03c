"""What takes say by a table that the user wrote: decides over the name and over the sound."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipeline.corpora.naming import canonical_emotion, plain
from pipeline.errors import ParameterError
from pipeline.records import Clip

Key = tuple[str, ...]
SOURCE = "transcript"
_BY_PLACE = ("speaker", "emotion", "level", "take")


def read_transcripts(path: Path) -> dict[Key, str]:
    """The sentences of a CSV by what its rows name a take by.

    The columns are `sentence` and either `speaker`, `emotion`, `level` and `take`, or `take` alone,
    an utterance's or a take's id. Two sentences are the same when they differ in case, punctuation
    and blanks alone; an unlettered label such as ``c01`` serves as well as the words.

    Raises
    ------
    ParameterError
        Where the file or a row cannot be used, named by its number (the header is row 1).
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        return _read(rows, path)
    except csv.Error as error:
        place = f"{path}, line {rows.line_num}"
        raise ParameterError(f"{place}: {error}; is a quote left open?") from error


def _read(rows: csv.DictReader[str], path: Path) -> dict[Key, str]:
    columns = [plain(name).casefold() for name in rows.fieldnames or ()]
    rows.fieldnames = columns
    by_place = set(_BY_PLACE) <= set(columns)
    if "sentence" not in columns or "take" not in columns:
        shown = ", ".join(name[:60] for name in columns[:12]) or "none"
        raise ParameterError(
            f"{path}: expected the columns sentence and take, with or without speaker, emotion and "
            f"level, got {shown}"
        )
    found: dict[Key, str] = {}
    for number, cells in enumerate(rows, start=2):
        where = f"{path}: row {number}"
        key = _place(cells, where) if by_place else (plain(cells["take"] or ""),)
        sentence = same_words(cells["sentence"] or "")
        if not sentence or not all(key):
            raise ParameterError(f"{where}: a cell is empty")
        if found.setdefault(key, sentence) != sentence:
            raise ParameterError(f"{where}: {' '.join(key)[:200]} has two sentences")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"the transcripts {path} cannot be read: {error}") from error


def _place(cells: dict[str, str], where: str) -> Key:
    speaker, emotion, level, take = (plain(cells[name] or "") for name in _BY_PLACE)
    known = canonical_emotion(emotion)
    if known is None:
        raise ParameterError(f"{where}: emotion {emotion[:60]!r} is not known")
    return speaker, known, level, take


def same_words(sentence: str) -> str:
    """A sentence without what two writers may do differently: case, punctuation, blanks."""
    return " ".join(re.findall(r"\w+", plain(sentence).replace("'", "").casefold()))


def apply_transcripts(clips: Iterable[Clip], said: dict[Key, str]) -> list[Clip]:
    """The clips, those that the transcripts name with their sentence."""
    return [_named(clip, said) for clip in clips]


def keys_of(clip: Clip) -> tuple[Key, ...]:
    """All that a row may name a clip by."""
    return (
        (clip.speaker, clip.emotion, str(clip.level), clip.take),
        (clip.utterance_id,),
        (clip.take_id,),
    )


def _named(clip: Clip, said: dict[Key, str]) -> Clip:
    for key in keys_of(clip):
        if key in said:
            return replace(clip, sentence=said[key], sentence_source=SOURCE)
    return clip
