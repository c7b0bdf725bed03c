"""The user's own recordings: a manifest that lists every take.

Columns: path, speaker, emotion, sentence; optional level (1), view (front), take (the file's stem)
and audio. An empty sentence is resolved from the audio. Paths are relative to the manifest's
folder. A manifest may come from an untrusted source, so absolute paths and paths that leave the
folder, by `..` or by a symbolic link, are rejected.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.corpora.listing import AUDIO_ONLY_VIEW, NOWHERE, Draft, Place, Promise
from pipeline.corpora.manifest import read_manifest
from pipeline.corpora.naming import canonical_emotion, join_ids, near_emotions, plain, safe_id
from pipeline.corpora.scan import AUDIO_SUFFIXES
from pipeline.errors import Reject
from pipeline.records import Take

MAX_LEVEL = 99
MAX_SENTENCE = 1000
_LEVEL = re.compile(r"(\d{1,2})(\.0)?", re.ASCII)


@dataclass
class _Seen:
    """Earlier rows: by file and by utterance."""

    files: dict[str, int]
    sentences: dict[str, tuple[int, str | None]]


def draft(dataset: str, manifest: Path) -> Draft:
    """All takes of a manifest, before selection; each row becomes a take or a reject.

    Raises
    ------
    PipelineError
        If the manifest as a whole cannot be used.
    """
    table = read_manifest(manifest)
    result, seen = Draft(), _Seen({}, {})
    for number, fault in table.faults:
        result.refuse(f"row {number}", "bad_row", fault)
    for name in table.unknown_columns:
        result.note("unknown_column", name)
    names = _take_names(table.rows)
    for number, cells in table.rows:
        try:
            take = _take(dataset, manifest.parent, cells, names[number])
            _check_seen(take, number, seen)
        except Reject as reject:
            result.refuse(f"row {number}", reject.reason, reject.detail, _place(cells))
        else:
            result.add(take, f"row {number}")
    result.promises = _promises(result.takes)
    return result


def _take_names(rows: Sequence[tuple[int, dict[str, str]]]) -> dict[int, str]:
    """The take's name by row: the cell `take`, else as much of the end of its path as is needed.

    Files of one name in different folders, such as the clips of a camera that restarts its count on
    every card, differ in their folders: `day1-C0001`, `day2-C0001`.
    """
    names: dict[int, str] = {}
    groups: dict[tuple[str, ...], dict[int, tuple[str, ...]]] = defaultdict(dict)
    for number, cells in rows:
        names[number] = plain(cells.get("take", ""))
        path = PurePosixPath(posixpath.normpath(cells["path"].strip()))
        cell = (plain(cells.get(name, "")) for name in ("speaker", "emotion", "level", "view"))
        if not names[number]:
            groups[(*cell, path.stem)][number] = (*path.parts[:-1], path.stem)
    for paths in groups.values():
        different = len(set(paths.values()))
        depth = 1
        while len({path[-depth:] for path in paths.values()}) < different:
            depth += 1
        names |= {number: "-".join(path[-depth:]) for number, path in paths.items()}
    return names


def _take(dataset: str, folder: Path, cells: dict[str, str], name: str) -> Take:
    path = _file(folder, "path", cells["path"])
    emotion = canonical_emotion(cells["emotion"])
    if emotion is None:
        hint = near_emotions(cells["emotion"])
        raise Reject("bad_row", f"emotion {plain(cells['emotion'])[:60]!r} is not known; {hint}")
    sentence = plain(cells["sentence"])
    if len(sentence) > MAX_SENTENCE:
        detail = f"a sentence of {len(sentence)} characters; at most {MAX_SENTENCE}"
        raise Reject("bad_row", detail)
    speaker = safe_id(_text("speaker", cells["speaker"]))
    level = _level(cells.get("level", ""))
    named = cells.get("audio", "").strip()
    audio = _file(folder, "audio", named) if named else None
    is_audio = PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES
    if is_audio and audio is not None:
        raise Reject("bad_row", "both path and audio are audio files; leave one out")
    view = safe_id(plain(cells.get("view", "")) or (AUDIO_ONLY_VIEW if is_audio else "front"))
    name = safe_id(name)
    return Take(
        take_id=join_ids(speaker, emotion, str(level), view, name),
        utterance_id=join_ids(speaker, emotion, str(level), name),
        dataset=dataset, speaker=speaker, emotion=emotion, level=level, view=view, take=name,
        sentence=sentence or None, sentence_source="manifest" if sentence else None,
        video_path=None if is_audio else path, video_member=None,
        audio_path=path if is_audio else audio, audio_member=None,
    )  # fmt: skip


def _text(column: str, value: str) -> str:
    text = plain(value)
    if not text:
        raise Reject("bad_row", f"the cell of {column} is empty")
    return text


def _level(text: str) -> int:
    text = text.strip()
    match = _LEVEL.fullmatch(text or "1")
    if match is None:
        raise Reject("bad_row", f"level {text[:60]!r} is not a whole number from 0 to {MAX_LEVEL}")
    return int(match[1])


def _file(folder: Path, column: str, text: str) -> str:
    """The normalised path of a cell; it names an existing regular file."""
    text = text.strip()
    if not text or "\0" in text:
        raise Reject("bad_row", f"the cell of {column} is empty or contains a zero byte")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or text.startswith("\\"):
        raise Reject("outside_root", f"{text[:200]!r} is absolute; name it from the manifest on")
    parts: list[str] = []
    for part in PurePosixPath(text).parts:
        if part == ".." and not parts:
            raise Reject("outside_root", f"{text[:200]!r} leaves the manifest's folder")
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    path = "/".join(parts)
    try:
        status = (folder / path).stat()
    except (OSError, ValueError) as error:
        hint = "; write / between folders" if "\\" in text else _near_file(folder, parts)
        raise Reject("missing_file", f"{column} {text[:200]!r} does not exist{hint}") from error
    if not stat.S_ISREG(status.st_mode):
        raise Reject("unreadable", f"{column} {text[:200]!r} is not a regular file")
    if not os.path.realpath(folder / path).startswith(os.path.join(os.path.realpath(folder), "")):
        detail = f"{text[:200]!r} is a link out of the manifest's folder; put the file itself there"
        raise Reject("outside_root", detail)
    return path


def _near_file(folder: Path, parts: Sequence[str]) -> str:
    """A hint for a path that differs from an existing one in case only."""
    place, spelt = folder, []
    for part in parts:
        try:
            names = os.listdir(place)
        except (OSError, ValueError):
            return ""
        same = [name for name in names if name.casefold() == part.casefold()]
        if not same:
            return ""
        spelt.append(part if part in same else min(same))
        place = place / spelt[-1]
    return f"; did you mean {'/'.join(spelt)!r}?"


def _check_seen(take: Take, number: int, seen: _Seen) -> None:
    """Reject a file or utterance that an earlier row describes differently."""
    path = take.video_path or take.audio_path or ""
    if path in seen.files:
        raise Reject("duplicate_take", f"{path} is the file of row {seen.files[path]} already")
    row, sentence = seen.sentences.get(take.utterance_id, (number, take.sentence))
    if sentence != take.sentence:
        raise Reject("bad_row", f"row {row} gives another sentence for {take.utterance_id}")
    seen.files[path] = number
    seen.sentences[take.utterance_id] = row, take.sentence


def _place(cells: dict[str, str]) -> Place:
    """The speaker and emotion of a bad row, if it names them: the selection may exclude it."""
    speaker = plain(cells["speaker"])
    emotion = canonical_emotion(cells["emotion"])
    return Place(safe_id(speaker), emotion) if speaker else NOWHERE


def _promises(takes: list[Take]) -> list[Promise]:
    """Every cell that any speaker has, for each speaker; the manifest promises no takes."""
    cells = {(take.emotion, take.level) for take in takes}
    speakers = {take.speaker for take in takes}
    return [Promise(speaker, *cell, ()) for speaker in speakers for cell in cells]
