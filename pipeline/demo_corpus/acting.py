"""Animation: face, gaze and head motion per frame, from speech and emotion."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.action_units import UNIT_INDEX, UNITS
from pipeline.demo_corpus.emotion_profiles import FACES, Face
from pipeline.demo_corpus.head import Expression
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.prosody import Reading
from pipeline.demo_corpus.speakers import Person
from pipeline.demo_corpus.visemes import JAW, PRESS, ROUND, TUCK, WIDE, mouth_track

F64 = NDArray[np.float64]

HEAD_SHARE = 0.25  # pixels per unit relative to the frame's side: the head fills 55 %


def rng_of(*parts: object) -> np.random.Generator:
    """A random generator seeded by the text of the parts."""
    return np.random.default_rng(crc32("\x1f".join(map(str, parts)).encode()))


@dataclass(frozen=True)
class Performance:
    """Expressions and poses of each frame of a take.

    Attributes
    ----------
    expressions, poses
        One per frame.
    intensity
        (n,) 0..1 strength of the shown emotion; 0 throughout for neutral.
    """

    expressions: list[Expression]
    poses: list[Pose]
    intensity: F64


def _ease(times: F64, start: float, stop: float) -> F64:
    x = np.clip((times - start) / max(stop - start, 1e-6), 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def intensity_track(
    times_s: F64, duration_s: float, strength: float, rng: np.random.Generator
) -> F64:
    """Intensity (n,) 0..1: rise from neutral, a slightly varying apex, and a fall at the end."""
    start = rng.uniform(0.0, 0.12) * duration_s
    rise = rng.uniform(0.16, 0.28) * duration_s
    fall = rng.uniform(0.76, 0.86) * duration_s
    left = rng.uniform(0.35, 0.6)
    breathe = 1 - 0.05 * (1 - np.cos(2 * np.pi * times_s / 0.9 + rng.uniform(0, 6)))
    level = _ease(times_s, start, start + rise)
    level *= 1 - (1 - left) * _ease(times_s, fall, duration_s)
    return np.asarray(np.clip(strength * rng.uniform(0.93, 1.0) * level * breathe, 0, 1))


def _sway(times: F64, size: float, rng: np.random.Generator) -> F64:
    """Slow random motion of about `size`."""
    total = np.zeros_like(times)
    for low, high, share in ((0.12, 0.3, 0.7), (0.35, 0.7, 0.4), (0.9, 1.4, 0.12)):
        total += share * np.sin(2 * np.pi * rng.uniform(low, high) * times + rng.uniform(0, 6.28))
    return size * total


def _pulses(times: F64, moments: F64, width_s: float) -> F64:
    """One smooth pulse of height 1 at each moment."""
    hills = np.exp(-(((times[:, None] - moments[None]) / width_s) ** 2) / 2)
    return np.asarray(hills.max(1, initial=0.0))


def _blinks(times: F64, duration_s: float, rng: np.random.Generator) -> F64:
    """Eyelids over time: closed within 70 ms, open again within 130 ms."""
    lids = np.zeros_like(times)
    moment = rng.uniform(0.2, 1.6)
    while moment < duration_s:
        since = times - moment
        lids = np.maximum(lids, _ease(since, -0.07, 0.0) * (1 - _ease(since, 0.02, 0.15)))
        moment += rng.uniform(1.4, 3.6)
    return lids


def unit_gains(person: Person, emotion: str, seed: int) -> F64:
    """Individual factors (2, 17) of an emotion: 15 % variation per unit, 10 % asymmetry."""
    rng = rng_of(seed, person.speaker, emotion, "gains")
    own = np.clip(rng.normal(1, 0.15, len(UNITS)), 0.7, 1.3)
    habit = rng_of(seed, person.speaker, "side").normal(0, 0.10, len(UNITS))
    return np.stack([own * (1 + habit), own * (1 - habit)])


def speaking_face(face: Face, gains: F64, level: F64, mouth: F64) -> tuple[F64, F64]:
    """Combine an emotion with speech: units (n, 2, 17) and jaw (n,).

    Pressed lips take precedence: p, b and m close the mouth in every emotion.
    """
    n = len(level)
    units = np.zeros((n, 2, len(UNITS)))
    for name, strength in face.units.items():
        k = UNIT_INDEX[name]
        units[:, :, k] = strength * level[:, None] * gains[:, k]
    jaw, press = mouth[:, JAW], mouth[:, PRESS]
    rest_jaw = face.jaw * level
    free = (1 - press)[:, None]

    def of(name: str) -> F64:
        return units[:, :, UNIT_INDEX[name]]

    def put(name: str, value: F64) -> None:
        units[:, :, UNIT_INDEX[name]] = value

    put("18", of("18") * free + 0.85 * mouth[:, ROUND, None])
    put("wide", np.repeat(0.8 * mouth[:, WIDE, None], 2, axis=1))
    put("20", of("20") * (1 - 0.75 * press)[:, None])
    speaking = np.clip(2 * jaw, 0, 1)[:, None] * _ease(jaw, 0.02, 0.08)[:, None]
    put("25", np.maximum(of("25"), speaking) * free)
    tuck = 0.25 * mouth[:, TUCK] * _ease(mouth[:, TUCK], 0.1, 0.5)
    put("10", of("10") * (1 - 0.75 * press)[:, None] + tuck[:, None])
    put("23", np.maximum(of("23") * (1 - jaw)[:, None], 0.35 * press[:, None]))
    put("17", of("17") * (1 - jaw)[:, None])
    opening = 0.45 * rest_jaw + (1 - 0.45 * rest_jaw) * 0.85 * jaw
    return units, opening * (1 - press) * (1 - 0.4 * _ease(mouth[:, TUCK], 0.1, 0.5))


def _gaze(times: F64, yaw_deg: F64, pitch_deg: F64, rng: np.random.Generator) -> F64:
    """Gaze direction (n, 2): mostly at the camera, with small saccades."""
    jumps = np.zeros((len(times), 2))
    moment, now = 0.0, np.zeros(2)
    while moment < times[-1] + 1:
        following = moment + rng.uniform(0.35, 1.1)
        now = rng.normal(0, [0.10, 0.05])
        jumps[(times >= moment) & (times < following)] = now
        moment = following
    held = np.stack([-1.5 * np.deg2rad(yaw_deg), -1.2 * np.deg2rad(pitch_deg)], axis=1)
    return np.asarray(np.clip(jumps + held, -0.9, 0.9))


def _poses(
    face: Face,
    times: F64,
    level: F64,
    stress: F64,
    size_px: int,
    view_yaw_deg: float,
    rng: np.random.Generator,
) -> tuple[list[Pose], F64, F64]:
    """Head poses, and yaw and pitch before the rotation by the view."""
    side = rng.choice([-1.0, 1.0], 2)
    yaw = rng.normal(0, 4) + _sway(times, 6, rng) + side[0] * face.yaw_deg * level
    pitch = rng.normal(0, 1.5) + _sway(times, 3, rng) + face.pitch_deg * level - 2.5 * stress
    roll = rng.normal(0, 1.5) + _sway(times, 2.2, rng) + side[1] * face.roll_deg * level
    near = rng.uniform(0.97, 1.03)
    scale = HEAD_SHARE * size_px * near * (1 + face.lean * level + _sway(times, 0.006, rng))
    x = size_px * (0.5 + rng.normal(0, 0.012) + _sway(times, 0.006, rng))
    y = size_px * (0.745 + rng.normal(0, 0.006) + _sway(times, 0.003, rng))
    poses = [
        Pose(
            float(yaw[i] + view_yaw_deg), float(pitch[i]), float(roll[i]), float(scale[i]),
            float(x[i]), float(y[i]), view_yaw_deg,
        )
        for i in range(len(times))
    ]  # fmt: skip
    return poses, yaw, pitch


def perform(
    person: Person,
    reading: Reading,
    emotion: str,
    strength: float,
    times_s: F64,
    *,
    size_px: int,
    view_yaw_deg: float,
    seed: int,
    key: str,
) -> Performance:
    """Animate a person speaking a reading.

    Parameters
    ----------
    times_s
        (n,) instants of the frames on the timeline of the reading.
    view_yaw_deg
        The camera angle: the whole person appears rotated by it.
    seed, key
        Seeds of the corpus and of the take. Views of one take share them and therefore the motion.
    """
    rng = rng_of(seed, key, "acting")
    face = FACES[emotion]
    neutral = emotion == "neutral"
    level = intensity_track(times_s, reading.duration_s, 0.0 if neutral else strength, rng)
    stressed = reading.word_onsets_s[rng.random(len(reading.words)) < 0.4] + 0.08
    stress = _pulses(times_s, stressed, 0.11)
    mouth = mouth_track(reading, times_s)
    units, jaw = speaking_face(face, unit_gains(person, emotion, seed), level, mouth)
    for name, size in (("1", 0.22), ("2", 0.18)):
        units[:, :, UNIT_INDEX[name]] += size * stress[:, None] * rng.uniform(0.3, 1.0)
    blink = _blinks(times_s, reading.duration_s, rng)[:, None]
    lids = UNIT_INDEX["43"]
    units[:, :, lids] = np.maximum(units[:, :, lids], blink)
    for name in ("5", "7"):
        units[:, :, UNIT_INDEX[name]] *= 1 - blink
    poses, yaw, pitch = _poses(face, times_s, level, stress, size_px, view_yaw_deg, rng)
    gaze = _gaze(times_s, yaw, pitch, rng) + level[:, None] * np.array(face.gaze)
    expressions = [
        Expression(
            units[i], float(jaw[i]), (float(gaze[i, 0]), float(gaze[i, 1])), float(mouth[i, PRESS])
        )
        for i in range(len(times_s))
    ]
    return Performance(expressions, poses, level)
