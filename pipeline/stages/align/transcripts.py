"""Transcripts in a CSV by the user, which override names and audio."""

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
    """The sentences of a CSV, by the columns that identify a take.

    The columns are `sentence` and either `speaker`, `emotion`, `level` and `take`, or `take` alone,
    an utterance's or a take's id. Case, punctuation and white space do not distinguish sentences; a
    label such as ``c01`` works as well as the words.

    Raises
    ------
    ParameterError
        When the file or a row cannot be used; rows are numbered from the header, row 1.
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        return _read(rows, path)
    except csv.Error as error:
        place = f"{path}, line {rows.line_num}"
        raise ParameterError(f"{place}: {error}; is a quote unclosed?") from error


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
            raise ParameterError(f"{where}: empty cell")
        if found.setdefault(key, sentence) != sentence:
            raise ParameterError(f"{where}: {' '.join(key)[:200]} has two sentences")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"cannot read the transcripts {path}: {error}") from error


def _place(cells: dict[str, str], where: str) -> Key:
    speaker, emotion, level, take = (plain(cells[name] or "") for name in _BY_PLACE)
    known = canonical_emotion(emotion)
    if known is None:
        raise ParameterError(f"{where}: emotion {emotion[:60]!r} is unknown")
    return speaker, known, level, take


def same_words(sentence: str) -> str:
    """A sentence without case, punctuation and repeated white space."""
    return " ".join(re.findall(r"\w+", plain(sentence).replace("'", "").casefold()))


def apply_transcripts(clips: Iterable[Clip], said: dict[Key, str]) -> list[Clip]:
    """The clips, with the sentences of the transcripts where there are any."""
    return [_named(clip, said) for clip in clips]


def keys_of(clip: Clip) -> tuple[Key, ...]:
    """All keys by which a row may identify a clip."""
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
