"""RAVDESS: folders and untouched zips; everything about a file is in its name.

`MM-VV-EE-II-SS-RR-AA`: modality (01 picture and sound, 02 picture, 03 sound), vocal channel (01
speech, 02 song), emotion, intensity, statement, repetition, actor.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.corpora.listing import Draft, Place, Promise
from pipeline.corpora.scan import Found, Walk
from pipeline.records import Take

SHAPE = "Actor_01/01-01-05-02-01-02-01.mp4, or zips such as Video_Speech_Actor_01.zip"
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fear", "07": "disgusted", "08": "surprised",
}  # fmt: skip
SOUND_ONLY_VIEW = "none"
_TAKES = ("01-01", "01-02", "02-01", "02-02")
_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d{2,3})", re.ASCII)

Modality = Literal["both", "picture", "sound"]
_MODALITIES: dict[str, Modality] = {"01": "both", "02": "picture", "03": "sound"}


@dataclass(frozen=True)
class Trial:
    """One recording session of a statement: up to three files."""

    speaker: str
    emotion: str
    level: int
    statement: str
    repetition: str

    @property
    def take(self) -> str:
        """Statement and repetition, for example 02-01."""
        return f"{self.statement}-{self.repetition}"

    @property
    def id(self) -> str:
        """For example Actor_01_angry_2_02-01."""
        return f"{self.speaker}_{self.emotion}_{self.level}_{self.take}"

    def take_id(self, view: str) -> str:
        """For example Actor_01_angry_2_front_02-01."""
        return f"{self.speaker}_{self.emotion}_{self.level}_{view}_{self.take}"

    def place(self, view: str | None = None) -> Place:
        """For the selection and the inventory."""
        return Place(self.speaker, self.emotion, self.level, view, self.take)


def parse(found: Found) -> tuple[Trial, Modality] | Literal["song"] | str:
    """What a file's name says: trial and modality, `song`, or what is wrong with the name."""
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
    trial = Trial(speaker, EMOTIONS[emotion], level, statement, repetition)
    return trial, _MODALITIES[modality]


def draft(dataset: str, found: Walk) -> Draft:
    """All takes of a RAVDESS, before selection.

    A trial is one take, of view `front`: of its file with picture and sound where there is one,
    with the separate sound beside it; else of its picture and its separate sound; else of sound
    alone, of view `none`. A picture without any sound is set aside. Song is left out. The sentence
    is exact, from the name.
    """
    result = Draft()
    trials: dict[Trial, dict[Modality, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for file in found.files:
        parsed = parse(file)
        if isinstance(parsed, str):
            kind, detail = ("song", "") if parsed == "song" else ("unparsed", parsed)
            result.note(kind, str(file.source), detail=detail)
        else:
            trials[parsed[0]][parsed[1]].append(file)
    for trial, files in trials.items():
        _add_trial(result, dataset, trial, files)
    result.promises = _promises(result.takes)
    return result


def _add_trial(
    result: Draft, dataset: str, trial: Trial, files: Mapping[Modality, Sequence[Found]]
) -> None:
    """One take of a trial's files; each file not used is told with its reason."""
    good = {m: [f for f in listed if f.problem is None] for m, listed in files.items()}
    sound = next(iter(good.get("sound", ())), None)
    both = next(iter(good.get("both", ())), None)
    silent = None if both else next(iter(good.get("picture", ())), None)
    video = both or (silent if sound else None)
    view = "front" if video or not sound else SOUND_ONLY_VIEW
    if video or sound:
        used = video or sound
        assert used is not None
        result.add(_take(dataset, trial, view, video, sound), str(used.source))
    elif silent is not None:
        detail = "a picture without sound, and neither 01 nor 03 of the trial is there"
        result.lose(trial.take_id(view), str(silent.source), "no_sound", detail, trial.place(view))
    for modality, listed in sorted(files.items()):
        for file in listed:
            if file not in (video, sound, silent):
                _set_aside(result, trial, view, modality, file)
    if silent is not None and video is None and sound is not None:
        result.note("spare_video", str(silent.source), trial.place())


def _set_aside(result: Draft, trial: Trial, view: str, modality: Modality, file: Found) -> None:
    item = str(file.source)
    if file.problem is not None:
        result.lose(trial.take_id(view), item, *file.problem, trial.place(view))
    elif modality == "both":
        detail = f"{trial.take_id(view)} has another file already"
        result.refuse(item, "duplicate_take", detail, trial.place(view))
    else:
        kind = "duplicate_sound" if modality == "sound" else "spare_video"
        result.note(kind, item, trial.place())


def _take(dataset: str, trial: Trial, view: str, video: Found | None, sound: Found | None) -> Take:
    return Take(
        take_id=trial.take_id(view), utterance_id=trial.id, dataset=dataset,
        speaker=trial.speaker, emotion=trial.emotion, level=trial.level, view=view,
        take=trial.take, sentence=f"ravdess-{trial.statement}", sentence_source="name",
        video_path=video.source.path if video else None,
        video_member=video.source.member if video else None,
        audio_path=sound.source.path if sound else None,
        audio_member=sound.source.member if sound else None,
    )  # fmt: skip


def _promises(takes: Iterable[Take]) -> list[Promise]:
    """What each actor has in the release: 60 trials."""
    speakers = sorted({take.speaker for take in takes})
    return [
        Promise(speaker, emotion, level, _TAKES)
        for speaker in speakers
        for emotion in EMOTIONS.values()
        for level in ((1,) if emotion == "neutral" else (1, 2))
    ]
