"""The speakers of the demo corpus: parameters of six invented adults.

None resembles a real person. Colours are (red, green, blue), 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.demo_corpus.geometry import FaceShape
from pipeline.demo_corpus.head_parts import HairShape

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Paint:
    """The colours of a person.

    Attributes
    ----------
    beard, freckles, age
        Strength of the beard 0..1, number of freckles, strength of lines at rest 0..1.
    brow_weight
        Thickness of the brows; 1 is average.
    grey
        Share of light strands in the hair.
    fringe
        How far hair comes down the forehead, 0..1.
    pattern
        Cloth: plain, knit, stripes or check.
    scene
        Background: wall, window, shelf or curtain.
    """

    skin: Colour
    hair: Colour
    lips: Colour
    iris: Colour
    cloth: Colour
    background: Colour
    pattern: str
    scene: str
    brow_weight: float = 1.0
    brow_dark: float = 0.7
    lash: int = 3
    beard: float = 0.0
    freckles: int = 0
    age: float = 0.0
    grey: float = 0.0
    fringe: float = 0.0
    sideburns: float = 0.0


@dataclass(frozen=True)
class Voice:
    """The voice of a person: an espeak-ng voice with modifications.

    Attributes
    ----------
    variant
        espeak-ng voice name with its variant; variants with a `breath` line (f2, f3, f5)
        are excluded, because the library then reads uninitialised memory and varies.
    formant
        Factor on all formant frequencies (a shorter throat raises them).
    pitch, words_per_minute
        espeak-ng's pitch 0..99 and rate in neutral speech.
    snr_db
        Ratio of speech to room noise.
    """

    variant: str
    formant: float
    pitch: int
    words_per_minute: int
    snr_db: float


@dataclass(frozen=True)
class Person:
    """One speaker: shape, hair, colours, voice and framing."""

    speaker: str
    seed: int
    shape: FaceShape
    hair: HairShape
    paint: Paint
    voice: Voice
    neck_width: float = 1.0
    shoulder_width: float = 1.0
    light_x: float = -0.35
    light_colour: tuple[float, float, float] = field(default=(1.04, 1.0, 0.95))
    grain_sd: float = 0.8


CAST = {
    person.speaker: person
    for person in (
        Person(
            "M901", 1,
            FaceShape(width=1.04, jaw=0.06, chin=0.08, nose_z=0.03, eye_open=-0.05, brow_z=0.03),
            HairShape(start=(1.1, 0.46, 0.16, 0.0), thickness=0.15, curl=0.015, side=0.25),
            Paint(
                skin=(226, 178, 150), hair=(84, 52, 30), lips=(182, 98, 94), iris=(92, 120, 70),
                cloth=(44, 66, 118), background=(134, 152, 170), pattern="knit", scene="window",
                brow_weight=1.2, fringe=0.35, sideburns=0.5,
            ),
            Voice("en-us+m3", 0.98, 42, 186, 28.0),
            neck_width=1.08, shoulder_width=1.05,
        ),
        Person(
            "W902", 2,
            FaceShape(
                jaw=-0.05, nose_width=0.04, lip_fullness=0.25, mouth_width=0.05, eye_open=0.10,
                cheek=0.03,
            ),
            HairShape(start=(0.22, 0.10, 0.03, 0.0), thickness=0.36, curl=0.055),
            Paint(
                skin=(146, 97, 68), hair=(38, 27, 23), lips=(140, 68, 66), iris=(66, 42, 26),
                cloth=(182, 62, 52), background=(186, 166, 136), pattern="plain", scene="shelf",
                lash=4, brow_weight=0.9, sideburns=0.2, fringe=0.15,
            ),
            Voice("en-us+f1", 1.04, 58, 190, 32.0),
            neck_width=0.92, shoulder_width=0.9, light_x=0.4,
        ),
        Person(
            "M903", 3,
            FaceShape(
                width=1.07, jaw=0.10, chin=0.04, nose_width=0.05, lip_fullness=0.15, brow_z=0.04,
                mouth_width=0.04,
            ),
            HairShape(),
            Paint(
                skin=(116, 76, 55), hair=(70, 64, 60), lips=(116, 64, 60), iris=(54, 34, 22),
                cloth=(204, 164, 44), background=(62, 120, 132), pattern="plain", scene="wall",
                brow_weight=1.15, brow_dark=0.5, beard=0.55, grey=0.35, age=0.35,
            ),
            Voice("en-us+m7", 0.94, 30, 176, 24.0),
            neck_width=1.15, shoulder_width=1.1, light_colour=(1.0, 1.0, 1.02), grain_sd=1.4,
        ),
        Person(
            "W904", 4,
            FaceShape(
                width=0.94, jaw=-0.10, chin=-0.05, eye_open=0.18, eye_x=0.01, nose_z=-0.03,
                mouth_width=-0.03,
            ),
            HairShape(
                start=(0.10, 0.02, 0.0, 0.0), thickness=0.10, curl=0.01, side=0.8,
                curtain_y=-1.85,
            ),
            Paint(
                skin=(234, 194, 172), hair=(186, 106, 44), lips=(198, 92, 96), iris=(74, 116, 150),
                cloth=(112, 66, 124), background=(98, 128, 106), pattern="stripes",
                scene="curtain", brow_weight=0.75, lash=4, freckles=70, fringe=0.3,
            ),
            Voice("en-us+f4", 1.02, 62, 188, 30.0),
            neck_width=0.86, shoulder_width=0.86,
        ),
        Person(
            "25", 5,
            FaceShape(
                width=1.03, jaw=0.04, chin=0.05, nose_z=0.06, nose_y=-0.01, brow_y=-0.02,
                brow_z=0.04, eye_open=0.02, cheek=-0.02,
            ),
            HairShape(start=(1.1, 0.36, 0.12, 0.0), thickness=0.17, curl=0.03, side=0.3),
            Paint(
                skin=(202, 154, 118), hair=(40, 34, 32), lips=(164, 92, 84), iris=(60, 40, 26),
                cloth=(226, 226, 222), background=(226, 226, 228), pattern="check", scene="wall",
                brow_weight=1.45, brow_dark=0.8, beard=0.9, sideburns=1.0, fringe=0.15,
            ),
            Voice("en-us+m1", 1.0, 46, 182, 34.0),
            neck_width=1.08, shoulder_width=1.04,
        ),
        Person(
            "26", 6,
            FaceShape(
                width=0.99, jaw=0.02, chin=-0.02, lip_fullness=-0.15, nose_y=-0.02, cheek=0.05,
                eye_open=-0.06, nose_z=0.01,
            ),
            HairShape(start=(0.7, 0.16, 0.05, 0.02), thickness=0.09, curl=0.012, bun=True),
            Paint(
                skin=(236, 196, 176), hair=(168, 166, 168), lips=(176, 88, 96), iris=(96, 116, 128),
                cloth=(58, 96, 88), background=(222, 222, 226), pattern="knit", scene="wall",
                brow_weight=0.85, brow_dark=0.62, grey=0.6, age=0.9, fringe=0.2, sideburns=0.3,
            ),
            Voice("en-us+steph", 0.97, 50, 174, 33.0),
            neck_width=0.92, shoulder_width=0.92,
        ),
    )
}  # fmt: skip
