"""RAVDESS: folders and unmodified zips; the file name holds all metadata.

`MM-VV-EE-II-SS-RR-AA`: modality (01 video and audio, 02 video, 03 audio), vocal channel (01
speech, 02 song), emotion, intensity, statement, repetition, actor.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.corpora.archives import same_content
from pipeline.corpora.listing import AUDIO_ONLY_VIEW, Draft, Promise, Utterance
from pipeline.corpora.scan import Found, Walk
from pipeline.records import Take

SHAPE = "Actor_01/01-01-05-02-01-02-01.mp4, or zips such as Video_Speech_Actor_01.zip"
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fear", "07": "disgusted", "08": "surprised",
}  # fmt: skip
_TAKES = ("01-01", "01-02", "02-01", "02-02")
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d{2,3})", re.ASCII)

_FOLDER = re.compile(r"(?:.*[_ -])?actor[_ -]?(\d{1,2})", re.IGNORECASE | re.ASCII)

Modality = Literal["both", "video", "audio"]
_MODALITIES: dict[str, Modality] = {"01": "both", "02": "video", "03": "audio"}


def parse(found: Found) -> tuple[Utterance, Modality] | Literal["song"] | str:
    """Trial and modality from a file's name, `song`, or what is wrong with the name."""
    match = _NAME.fullmatch(found.stem)
    if match is None:
        return "its name is not seven numbers joined by '-'"
    modality, vocal, emotion, intensity, statement, repetition, actor = match.groups()
    allowed = (
        ("modality", modality, _MODALITIES), ("vocal channel", vocal, ("01", "02")),
        ("emotion", emotion, EMOTIONS), ("intensity", intensity, ("01", "02")),
        ("statement", statement, ("01", "02")), ("repetition", repetition, ("01", "02")),
    )  # fmt: skip
    for what, value, known in allowed:
        if value not in known:
            return f"there is no {what} {value}"
    if vocal == "02":
        return "song"
    if (modality == "03") == found.is_video:
        return f"modality {modality} is no {found.suffix} file"
    speaker, level = f"Actor_{int(actor):02d}", int(intensity)
    trial = Utterance(speaker, EMOTIONS[emotion], level, f"{statement}-{repetition}")
    return trial, _MODALITIES[modality]


def draft(dataset: str, found: Walk) -> Draft:
    """All takes of a RAVDESS, before selection.

    A trial is one take of view `front`: its file with video and audio if there is one, with the
    separate audio file; else its video and its separate audio; else audio only, of view `none`. A
    video without any audio is rejected, and so is a file in the folder of another actor. Song is
    not used. The sentence is exact, from the name.
    """
    result = Draft()
    trials: dict[Utterance, dict[Modality, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for file in found.files:
        parsed = parse(file)
        if isinstance(parsed, str):
            kind, detail = ("song", "") if parsed == "song" else ("unparsed", parsed)
            result.note(kind, str(file.source), detail=detail)
        else:
            folder = _folder_speaker(file)
            if folder in (None, parsed[0].speaker):
                trials[parsed[0]][parsed[1]].append(file)
            else:
                _refuse_misfiled(result, parsed[0], str(folder), file)
    for trial, files in trials.items():
        _add_trial(result, dataset, trial, files, found.root)
    result.promises = _promises(result.takes)
    return result


def _add_trial(
    result: Draft,
    dataset: str,
    trial: Utterance,
    files: Mapping[Modality, Sequence[Found]],
    root: Path,
) -> None:
    """Add one take from a trial's files, and list each unused file with its reason."""
    good = {m: [f for f in listed if f.problem is None] for m, listed in files.items()}
    audio = next(iter(good.get("audio", ())), None)
    both = next(iter(good.get("both", ())), None)
    silent = None if both else next(iter(good.get("video", ())), None)
    video = both or (silent if audio else None)
    view = "front" if video or not audio else AUDIO_ONLY_VIEW
    if video or audio:
        shown, heard = (file.source if file else None for file in (video, audio))
        take = trial.recorded(dataset, view, shown, heard, f"ravdess-{trial.take[:2]}")
        result.add(take, str(shown or heard))
    elif silent is not None:
        detail = "a video without audio, and the trial has neither an 01 nor an 03 file"
        result.lose(trial.take_id(view), str(silent.source), "no_audio", detail, trial.place(view))
    for modality, listed in sorted(files.items()):
        for file in listed:
            if file not in (video, audio, silent):
                used = {"audio": audio, "both": both}.get(modality)
                _refuse(result, trial, view, modality, file, used, root)
    if silent is not None and video is None and audio is not None:
        result.note("spare_video", str(silent.source), trial.place())


def _folder_speaker(found: Found) -> str | None:
    """The actor that the last folder with a number names, for example Actor_05."""
    for part in reversed(found.parts[:-1]):
        match = _FOLDER.fullmatch(part)
        if match is not None:
            return f"Actor_{int(match[1]):02d}"
    return None


def _refuse_misfiled(result: Draft, trial: Utterance, folder: str, file: Found) -> None:
    detail = f"it is in a folder of {folder}, its name says {trial.speaker}"
    result.refuse(str(file.source), "misfiled", detail, trial.place())
    result.note("misfiled", str(file.source), trial.place(), detail)


def _refuse(
    result: Draft,
    trial: Utterance,
    view: str,
    modality: Modality,
    file: Found,
    used: Found | None,
    root: Path,
) -> None:
    """List a file that is not used: damaged, a copy, or another version of the one used."""
    item = str(file.source)
    if file.problem is not None:
        result.lose(trial.take_id(view), item, *file.problem, trial.place(view))
        return
    is_copy = used is None or same_content(root, used.source, file.source)
    if used is not None and not is_copy:
        result.note("other_version", item, trial.place(), f"differs from {used.source}")
    if modality == "both":
        what = "a copy of" if is_copy else "another version of"
        detail = f"{what} {used.source if used else trial.take_id(view)}"
        result.refuse(item, "duplicate_take", detail, trial.place(view))
    elif is_copy:
        kind = "duplicate_audio" if modality == "audio" else "spare_video"
        result.note(kind, item, trial.place())


def _promises(takes: Iterable[Take]) -> list[Promise]:
    """What each actor has in the release: 60 trials."""
    speakers = sorted({take.speaker for take in takes})
    return [
        Promise(speaker, emotion, level, _TAKES)
        for speaker in speakers
        for emotion in EMOTIONS.values()
        for level in ((1,) if emotion == "neutral" else (1, 2))
    ]
