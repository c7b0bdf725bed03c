"""The list of takes and their planned defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from pipeline.demo_corpus.emotion_profiles import EMOTIONS
from pipeline.demo_corpus.sentences import mead_number, text_of
from pipeline.demo_corpus.takes import (
    DAMAGED,
    GENERIC_FIRST,
    LATE_AUDIO,
    MEAD_SPEAKERS,
    MISLABELLED,
    NO_AUDIO_FILE,
    NO_FACE,
    RENUMBERED,
    DemoParams,
    DemoTake,
    Place,
)

RAVDESS_CODES = {
    "neutral": "01", "happy": "03", "sad": "04", "angry": "05", "fear": "06", "disgusted": "07",
    "surprised": "08",
}  # fmt: skip

_ODD_RATE = Fraction(65521, 2184)  # as measured in MEAD, nominally 30
_LOST = ("W904", "happy", "common_02")


@dataclass(frozen=True)
class _Line:
    """One line of a MEAD speaker's script."""

    emotion: str
    sentence_id: str
    level: int = 3
    view: str = "front"
    shown: str = ""
    defects: tuple[str, ...] = ()


def _lines(emotions: tuple[str, ...], sentences: tuple[str, ...]) -> Iterator[_Line]:
    for emotion in emotions:
        for sentence in sentences:
            name = sentence.replace("own", f"own_{emotion}")
            yield _Line(emotion, name, level=1 if emotion == "neutral" else 3)


_FELT = tuple(emotion for emotion in EMOTIONS if emotion != "neutral")


def _script_m901() -> Iterator[_Line]:
    """All sentences: near-identical ones in two emotions, faint takes."""
    neutral = ("common_01", "common_02", "common_03", "generic_01", "generic_02", "own_01")
    yield from _lines(("neutral",), neutral)
    yield from _lines(_FELT, ("common_01", "common_02", "generic_01", "own_01"))
    yield from _lines(("happy",), ("common_03", "generic_02"))
    for emotion in ("happy", "sad", "surprised"):
        yield _Line(emotion, "common_01", level=1)


def _script_w902() -> Iterator[_Line]:
    """An irregular frame rate, a second view, disgusted in the other block order."""
    yield from _lines(("neutral",), ("common_01", "common_02", "generic_01", "own_01"))
    yield from _lines(_FELT, ("common_01", "generic_01", "own_01"))
    yield _Line("neutral", "common_01", level=1, view="left_30")
    yield _Line("happy", "common_01", view="left_30")


def _script_m903() -> Iterator[_Line]:
    """Packed into two tar files."""
    yield from _lines(("neutral",), ("common_01", "common_02", "own_01"))
    yield from _lines(_FELT, ("common_01", "common_02"))
    yield from _lines(("angry",), ("own_01",))


def _script_w904() -> Iterator[_Line]:
    """One happy clip is missing, and the following ones are renumbered."""
    yield from _lines(("neutral",), ("common_01", "common_02", "common_03", "generic_01"))
    yield from _lines(_FELT, ("common_01", "common_02"))
    yield from _lines(("happy",), ("common_03", "generic_01"))


_SCRIPTS = {
    "M901": _script_m901, "W902": _script_w902, "M903": _script_m903, "W904": _script_w904,
}  # fmt: skip
_WRONG: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("M901", "angry", "generic_01"): (MISLABELLED, "happy"),
    ("W902", "fear", "generic_01"): (MISLABELLED, "surprised"),
    ("M903", "sad", "common_02"): (MISLABELLED, "neutral"),
    ("26", "disgusted", "ravdess_02"): (MISLABELLED, "angry"),
    ("M901", "fear", "own_fear_01"): (DAMAGED,),
    ("M901", "sad", "common_02"): (NO_AUDIO_FILE,),
    ("W902", "surprised", "own_surprised_01"): (NO_FACE,),
    ("W904", "angry", "common_02"): (LATE_AUDIO,),
}

_LATE: dict[tuple[str, str, int], float] = {
    ("M901", "angry", 3): 0.8,
    ("M901", "sad", 3): -0.6,
    ("M901", "surprised", 3): 1.0,
    ("M901", "happy", 1): -0.8,
    ("W902", "happy", 3): 0.5,
    ("W902", "disgusted", 3): 1.0,
    ("W902", "fear", 3): 0.3,
    ("M903", "happy", 3): -1.0,
    ("M903", "angry", 3): -0.5,
    ("W904", "neutral", 1): -0.7,
    ("W904", "surprised", 3): 0.4,
    ("26", "sad", 2): 0.7,
    ("26", "angry", 2): 0.35,
}
"""How late the image of a recording session is, in shares of `image_offset_ms`.

Sessions are speaker, emotion and level; all others are in sync. Those of W902 and 26 are late,
those of M903 early, and W904's neutral session is off, so that all its pairs are.
"""


def _late_s(speaker: str, emotion: str, level: int, params: DemoParams) -> float:
    return _LATE.get((speaker, emotion, level), 0.0) * params.image_offset_ms / 1000


def _with_wrongs(speaker: str, line: _Line) -> _Line:
    slug, *shown = _WRONG.get((speaker, line.emotion, line.sentence_id), ("",))
    defects = (*line.defects, *([slug] if slug else []))
    return replace(line, shown=shown[0] if shown else line.emotion, defects=defects)


def _disk_number(speaker: str, line: _Line) -> tuple[int, tuple[str, ...]]:
    """Return the clip's number on disk and the defects of the numbering."""
    turned = (speaker, line.emotion) == ("W902", "disgusted")
    number = mead_number(line.sentence_id, line.emotion, generic_first=turned)
    defects = (GENERIC_FIRST,) if turned else ()
    if (speaker, line.emotion) == _LOST[:2] and number > mead_number(_LOST[2], line.emotion):
        return number - 1, (*defects, RENUMBERED)
    return number, defects


def _mead_takes(speaker: str, params: DemoParams) -> Iterator[DemoTake]:
    in_tar = speaker == "M903"
    for plain in _SCRIPTS[speaker]():
        if (speaker, plain.emotion, plain.sentence_id) == _LOST:
            continue
        line = _with_wrongs(speaker, plain)
        number, numbering = _disk_number(speaker, line)
        folder = f"{line.emotion}/level_{line.level}"
        video = f"video/{line.view}/{folder}/{number:03d}.mp4"
        audio = f"audio/{folder}/{number:03d}.m4a"
        home = f"mead/{speaker}"
        yield DemoTake(
            id=f"{home}/{line.emotion}/level_{line.level}/{line.view}/{number:03d}",
            corpus="mead",
            speaker=speaker,
            emotion=line.emotion,
            shown=line.shown,
            level=line.level,
            view=line.view,
            number=number,
            sentence_id=line.sentence_id,
            text=text_of(line.sentence_id),
            key=f"{speaker}/{line.shown}/{line.level}/{line.sentence_id}",
            fps=_ODD_RATE if speaker == "W902" else Fraction(params.fps),
            video=Place(f"{home}/video.tar", video) if in_tar else Place(f"{home}/{video}"),
            audio=Place(f"{home}/audio.tar", audio) if in_tar else Place(f"{home}/{audio}"),
            defects=tuple(sorted((*line.defects, *numbering))),
            params=params,
            image_late_s=_late_s(speaker, line.emotion, line.level, params),
        )


def _ravdess_takes(actor: str, params: DemoParams) -> Iterator[DemoTake]:
    for emotion in EMOTIONS:
        strong = "01" if emotion == "neutral" else "02"
        for statement in (1, 2):
            sentence = f"ravdess_{statement:02d}"
            line = _with_wrongs(actor, _Line(emotion, sentence))
            name = f"01-01-{RAVDESS_CODES[emotion]}-{strong}-{statement:02d}-01-{actor}.mp4"
            member = f"Actor_{actor}/{name}"
            zipped = Place(f"ravdess/Video_Speech_Actor_{actor}.zip", member)
            yield DemoTake(
                id=f"ravdess/Actor_{actor}/{name[:-4]}",
                corpus="ravdess",
                speaker=actor,
                emotion=emotion,
                shown=line.shown,
                level=3 if strong == "02" else 1,
                image_late_s=_late_s(actor, emotion, int(strong), params),
                view="front",
                number=statement,
                sentence_id=sentence,
                text=text_of(sentence),
                key=f"{actor}/{line.shown}/{sentence}",
                fps=Fraction(params.fps),
                video=zipped if actor == "26" else Place(f"ravdess/{member}"),
                audio=None,
                defects=line.defects,
                params=params,
            )


def plan_takes(params: DemoParams) -> list[DemoTake]:
    """Return every take of the corpus, sorted by id."""
    takes: list[DemoTake] = []
    for speaker in params.speakers:
        maker = _mead_takes if speaker in MEAD_SPEAKERS else _ravdess_takes
        takes += maker(speaker, params)
    return sorted(takes, key=lambda take: take.id)
