"""MEAD: folder trees and unmodified tars, in any layout of the release.

Tars do not contain the actor's name and folders differ between actors, so names are parsed from the
right: `<view>/<emotion>/level_<k>/<number>.mp4`, `<emotion>/level_<k>/<number>.m4a`. The actor is
the last one named on the path: a folder, the tar or its folder, else the root.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.corpora.archives import same_content
from pipeline.corpora.listing import AUDIO_ONLY_VIEW, Draft, Promise, Utterance
from pipeline.corpora.naming import canonical_emotion
from pipeline.corpora.scan import Found, Walk
from pipeline.records import Take

SHAPE = "<actor>/video/<view>/<emotion>/level_<k>/<number>.mp4, or <actor>/video.tar"
VIEWS = ("front", "left_30", "left_60", "right_30", "right_60", "top", "down")
EMOTIONS = ("neutral", "angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised")
N_CLIPS, N_CLIPS_NEUTRAL = 30, 40
"""Nominal number of clips per emotion and level."""

_ACTOR = re.compile(r"(?<![A-Za-z0-9])([MWF]\d{3})(?![A-Za-z0-9])", re.IGNORECASE)
_VIEW_WORDS = re.compile(r"view|camera|cam|degrees?|deg|[^a-z0-9]")
_LEVEL = re.compile(r"level[_ -]?0*([1-9]\d?)", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)


def parse(found: Found, root_name: str) -> tuple[Utterance, str | None] | str:
    """Utterance and view (None for audio) from a file's path, or what the path lacks."""
    parts = found.parts
    emotion = canonical_emotion(parts[-3]) if len(parts) >= 3 else None
    level = _LEVEL.fullmatch(parts[-2]) if len(parts) >= 2 else None
    if emotion is None or level is None:
        return "it is in no folder <emotion>/level_<k>"
    if not _NUMBER.fullmatch(found.stem):
        return "its name is not a number"
    speaker = _actor(parts[:-3], root_name)
    if speaker is None:
        return "its path names no actor such as M003"
    utterance = Utterance(speaker, emotion, int(level[1]), f"{int(found.stem):03d}")
    if not found.is_video:
        return utterance, None
    view = view_of(parts[-4]) if len(parts) >= 4 else None
    return "it is in no folder of a view such as front" if view is None else (utterance, view)


def view_of(name: str) -> str | None:
    """The view that a folder names, in any spelling: `left60`, `Right-30`, `front_view`."""
    plain = _VIEW_WORDS.sub("", name.lower())
    return next((view for view in VIEWS if view.replace("_", "") == plain), None)


def _actor(parts: tuple[str, ...], root_name: str) -> str | None:
    for part in (*reversed(parts), root_name):
        named = {match.upper() for match in _ACTOR.findall(part)}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def draft(dataset: str, found: Walk, root: Path, *, nominal: bool = True) -> Draft:
    """All takes of a MEAD below `root`, before selection.

    One audio file serves all views of its utterance. Audio without any video is not a take but is
    listed in the inventory; an actor without any video has audio-only takes of view `none`. The
    sentence stays open, because numbers are unreliable (see `mead_sentences`).

    Parameters
    ----------
    nominal
        Whether the inventory reports clips missing up to the release's count, not only gaps.
    """
    result = Draft()
    videos: list[tuple[Utterance, str, Found]] = []
    audio_files: dict[Utterance, Found] = {}
    root_name = root.resolve().name
    for file in found.files:
        parsed = parse(file, root_name)
        if isinstance(parsed, str):
            result.note("unparsed", str(file.source), detail=parsed)
        elif parsed[1] is not None:
            videos.append((parsed[0], parsed[1], file))
        elif parsed[0] in audio_files:
            is_copy = same_content(root, audio_files[parsed[0]].source, file.source)
            kind = "duplicate_audio" if is_copy else "other_version"
            result.note(kind, str(file.source), parsed[0].place())
        else:
            audio_files[parsed[0]] = file
    _add_videos(result, dataset, videos, audio_files)
    _add_audio(result, dataset, {utterance for utterance, _, _ in videos}, audio_files)
    result.promises = _promises(result.takes, nominal)
    return result


def _add_videos(
    result: Draft,
    dataset: str,
    videos: Iterable[tuple[Utterance, str, Found]],
    audio_files: Mapping[Utterance, Found],
) -> None:
    for utterance, view, file in videos:
        take_id, item = utterance.take_id(view), str(file.source)
        if file.problem is not None:
            result.lose(take_id, item, *file.problem, utterance.place(view))
            continue
        audio = audio_files.get(utterance)
        if audio is None:
            result.note("no_audio_file", utterance.id, utterance.place(view))
        elif audio.problem is not None:
            result.note("bad_audio_file", str(audio.source), utterance.place(), audio.problem[1])
            audio = None
        source = audio.source if audio else None
        result.add(utterance.recorded(dataset, view, file.source, source), item)


def _add_audio(
    result: Draft, dataset: str, seen: set[Utterance], audio_files: Mapping[Utterance, Found]
) -> None:
    """Add or report audio files without a video."""
    with_video = {utterance.speaker for utterance in seen}
    for utterance, file in audio_files.items():
        if utterance in seen:
            continue
        if utterance.speaker in with_video:
            result.note("audio_without_video", str(file.source), utterance.place())
        elif file.problem is not None:
            take_id = utterance.take_id(AUDIO_ONLY_VIEW)
            place = utterance.place(AUDIO_ONLY_VIEW)
            result.lose(take_id, str(file.source), *file.problem, place)
        else:
            take = utterance.recorded(dataset, AUDIO_ONLY_VIEW, None, file.source)
            result.add(take, str(file.source))


def _promises(takes: Iterable[Take], nominal: bool) -> list[Promise]:
    """Every cell that any actor has, for each actor, up to the highest number that any has."""
    highest: dict[tuple[str, int], int] = defaultdict(int)
    own: dict[tuple[str, str, int], int] = defaultdict(int)
    speakers = set()
    for take in takes:
        speakers.add(take.speaker)
        highest[take.emotion, take.level] = 0
        cell = take.speaker, take.emotion, take.level
        own[cell] = max(own[cell], int(take.take))
    if nominal and speakers:
        levels = sorted({level for emotion, level in highest if emotion != "neutral"})
        highest.update({(e, k): N_CLIPS for e in EMOTIONS[1:] for k in levels})
        highest[EMOTIONS[0], 1] = N_CLIPS_NEUTRAL
    return [
        Promise(speaker, emotion, level, tuple(f"{i:03d}" for i in range(1, last + 1)))
        for speaker in speakers
        for (emotion, level), least in highest.items()
        for last in [max(least, own[speaker, emotion, level])]
    ]
