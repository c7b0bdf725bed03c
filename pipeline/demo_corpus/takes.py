"""The takes of the demo corpus, and its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import ParameterError

MEAD_SPEAKERS = ("M901", "W902", "M903", "W904")
RAVDESS_ACTORS = ("25", "26")
SPEAKERS = (*MEAD_SPEAKERS, *RAVDESS_ACTORS)
STRENGTH = {1: 0.32, 2: 0.65, 3: 1.0}
VIEW_YAW_DEG = {"front": 0.0, "left_30": -30.0}
MISLABELLED = "mislabelled"
DAMAGED = "damaged"
NO_FACE = "no_face"
LATE_AUDIO = "late_audio"
NO_AUDIO_FILE = "no_audio_file"
GENERIC_FIRST = "generic_first"
RENUMBERED = "renumbered"


@dataclass(frozen=True)
class DemoParams:
    """The parameters of the demo corpus.

    Attributes
    ----------
    seed
        The random seed.
    frame_px
        Side of the square frame; even.
    fps
        Frame rate; one speaker has MEAD's irregular rate of about 30.
    crf
        Quality of x264; lower is better.
    image_offset_ms
        Largest offset of image against audio of a recording session; 0: all are in sync.
    speakers
        A selection of `SPEAKERS`; the takes of a speaker do not depend on the others.
    """

    seed: int
    frame_px: int
    fps: int
    crf: int
    image_offset_ms: int
    speakers: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.frame_px < 64 or self.frame_px % 2:
            raise ParameterError(f"demo.frame_px is {self.frame_px}: even, 64 or more")
        if not 1 <= self.fps <= 120:
            raise ParameterError(f"demo.fps is {self.fps}: 1 to 120")
        if not 0 <= self.crf <= 51:
            raise ParameterError(f"demo.crf is {self.crf}: 0 to 51")
        if not 0 <= self.image_offset_ms <= 400:
            raise ParameterError(f"demo.image_offset_ms is {self.image_offset_ms}: 0 to 400")
        unknown = sorted(set(self.speakers) - set(SPEAKERS))
        if unknown or not self.speakers:
            raise ParameterError(f"demo.speakers has {unknown}: some of {', '.join(SPEAKERS)}")


@dataclass(frozen=True)
class Place:
    """The location of a file: a path relative to the root, and the member name in an archive."""

    path: str
    member: str = ""

    @property
    def staged(self) -> str:
        """Path of an archive's member in the staging folder."""
        return f"{self.path}/{self.member}"


@dataclass(frozen=True)
class DemoTake:
    """One take to generate.

    Attributes
    ----------
    id
        Stable and unique; sorts by corpus, speaker, emotion, level, view, number.
    emotion, shown
        The label in the folder or file name, and the true emotion of face and voice.
    number
        The number on disk: MEAD's clip number, RAVDESS's statement.
    key
        The random seed; the same for the views of one take.
    defects
        Slugs of this module, sorted.
    image_late_s
        How late the image is against the audio; the same for all takes of a recording session.
    """

    id: str
    corpus: str
    speaker: str
    emotion: str
    shown: str
    level: int
    view: str
    number: int
    sentence_id: str
    text: str
    key: str
    fps: Fraction
    video: Place
    audio: Place | None
    defects: tuple[str, ...]
    params: DemoParams
    image_late_s: float = 0.0

    @property
    def strength(self) -> float:
        """Strength of the shown emotion at its apex, 0..1."""
        return STRENGTH[self.level] if self.shown != "neutral" else 0.0
