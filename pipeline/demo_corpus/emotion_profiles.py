"""The seven emotions: face, head and voice of each at full strength."""

from __future__ import annotations

from dataclasses import dataclass, field

EMOTIONS = ("angry", "disgusted", "fear", "happy", "neutral", "sad", "surprised")


@dataclass(frozen=True)
class Face:
    """The face of an emotion without speech.

    Attributes
    ----------
    units
        Strength of each action unit.
    jaw
        Opening of the jaw without speech, 0..1.
    gaze
        Right and up.
    pitch_deg, yaw_deg, roll_deg
        How the head is held; signs of yaw and roll are drawn per take.
    lean
        Relative change of the head's size in the frame (leaning in or back).
    """

    units: dict[str, float] = field(default_factory=dict)
    jaw: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    roll_deg: float = 0.0
    lean: float = 0.0


@dataclass(frozen=True)
class Tone:
    """The voice of an emotion, relative to a speaker's neutral voice.

    Attributes
    ----------
    rate, formant
        Factors on tempo and on formant frequencies.
    pitch, pitch_range
        Added to espeak-ng's settings (0..99).
    gain_db, tilt_db
        Loudness, and level of the upper half of the spectrum relative to the lower.
    tempo_spread
        Standard deviation of the logarithm of the words' tempo.
    pause_chance, pause_s
        Probability of a pause before a word, and its mean length.
    breath
        Breath noise relative to the envelope of the voice.
    tremor
        Depth of a 6 Hz tremolo, 0..1.
    """

    rate: float = 1.0
    formant: float = 1.0
    pitch: int = 0
    pitch_range: int = 40
    gain_db: float = 0.0
    tilt_db: float = 0.0
    tempo_spread: float = 0.05
    pause_chance: float = 0.0
    pause_s: float = 0.10
    breath: float = 0.01
    tremor: float = 0.0


FACES = {
    "neutral": Face(),
    "happy": Face({"6": 0.9, "12": 1.0, "25": 0.9, "7": 0.2}, jaw=0.10, roll_deg=4, pitch_deg=1),
    "angry": Face(
        {"4": 1.15, "7": 0.75, "5": 0.25, "23": 0.8, "9": 0.3, "17": 0.5, "15": 0.25},
        pitch_deg=-4, lean=0.04,
    ),
    "surprised": Face(
        {"1": 1.0, "2": 1.0, "5": 1.0, "18": 0.25}, jaw=0.85, pitch_deg=3, lean=-0.03,
    ),
    "fear": Face(
        {"1": 1.0, "2": 0.35, "4": 0.55, "5": 1.0, "20": 1.0, "25": 0.6},
        jaw=0.22, gaze=(0.15, 0), yaw_deg=5, pitch_deg=2, lean=-0.04,
    ),
    "sad": Face(
        {"1": 0.9, "4": 0.35, "15": 1.1, "17": 0.7, "43": 0.32},
        gaze=(0, -0.25), pitch_deg=-6, roll_deg=3,
    ),
    "disgusted": Face(
        {"9": 1.2, "10": 1.1, "4": 0.6, "7": 0.6, "15": 0.6, "17": 0.3, "43": 0.12},
        jaw=0.05, yaw_deg=6, pitch_deg=2, roll_deg=2, lean=-0.02,
    ),
}  # fmt: skip

TONES = {
    "neutral": Tone(),
    "happy": Tone(
        rate=1.04, formant=1.04, pitch=14, pitch_range=80, gain_db=1.5, tilt_db=2,
        tempo_spread=0.16,
    ),
    "angry": Tone(
        rate=1.08, formant=0.98, pitch=7, pitch_range=85, gain_db=4, tilt_db=5, tempo_spread=0.20,
        pause_chance=0.25, pause_s=0.07,
    ),
    "surprised": Tone(
        rate=0.96, formant=1.03, pitch=22, pitch_range=99, gain_db=2, tilt_db=2,
        tempo_spread=0.22, pause_chance=0.15, pause_s=0.12,
    ),
    "fear": Tone(
        rate=1.10, formant=1.02, pitch=18, pitch_range=55, gain_db=-1, tilt_db=1,
        tempo_spread=0.20, pause_chance=0.35, pause_s=0.10, breath=0.07, tremor=0.45,
    ),
    "sad": Tone(
        rate=0.88, formant=0.97, pitch=-10, pitch_range=16, gain_db=-5, tilt_db=-6,
        tempo_spread=0.13, pause_chance=0.35, pause_s=0.14, breath=0.06, tremor=0.15,
    ),
    "disgusted": Tone(
        rate=0.90, formant=0.95, pitch=-6, pitch_range=50, gain_db=0.5, tilt_db=-1,
        tempo_spread=0.20, pause_chance=0.30, pause_s=0.11, breath=0.03,
    ),
}  # fmt: skip


def mixed_tone(emotion: str, strength: float) -> Tone:
    """Return the tone between neutral (strength 0) and the emotion's own (1)."""
    calm, full = vars(TONES["neutral"]), vars(TONES[emotion])
    mixed = {key: calm[key] + strength * (full[key] - calm[key]) for key in calm}
    for key in ("pitch", "pitch_range"):
        mixed[key] = round(mixed[key])
    return Tone(**mixed)
