"""A take's sound in its place: which is used, where it lies beside the picture, what was mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.media.audio import Sound
from pipeline.media.audio_choice import Chosen
from pipeline.media.audio_offset import Match, match
from pipeline.media.integrity import file_findings, joint_findings, sound_findings, to_mend


@dataclass(frozen=True)
class Voice:
    """What the sound of a take gives to its clip: the columns of those names, findings, mended."""

    columns: dict[str, Any]
    sound: Sound
    findings: set[str]
    mended: set[str]


def place_sound(
    chosen: Chosen, picture_s: tuple[float, float] | None, policies: Mapping[str, str]
) -> Voice:
    """The sound used and where it lies: a file begins with the picture, unless it is shifted.

    A file beside the video has a clock of its own. Where it is mended it takes the place that the
    correlation with the container's track gives it, or leaves its own to that track.

    Parameters
    ----------
    picture_s
        When the picture begins and ends; None for a take of sound alone.
    """
    start_s = 0.0 if picture_s is None else picture_s[0]
    file = _beside(chosen, start_s)
    findings = set() if file is None else file_findings(file)
    mended: set[str] = set()
    used = chosen.used
    if file is not None and chosen.other is not None and used.name == "file":
        mended = to_mend(findings, policies)
        used = chosen.other if "file_differs" in mended else used
        start_s += file.offset_s if "file_offset" in mended else 0.0
    sound = used.sound if used.name == "container" else used.sound.later(start_s)
    findings |= sound_findings(sound) | _choice_findings(chosen)
    if picture_s is not None:
        findings |= joint_findings(picture_s, (sound.start_s, sound.end_s))
    mended |= to_mend(findings & {"sound_gap"}, policies)
    return Voice(_sound_columns(used.name, sound, file), sound, findings, mended)


def _beside(chosen: Chosen, start_s: float) -> Match | None:
    """How the file lies beside the container's track; None where there are not both."""
    if chosen.other is None:
        return None
    track, file = sorted((chosen.used, chosen.other), key=lambda heard: heard.name)
    return match(track.sound, file.sound.later(start_s))


def _choice_findings(chosen: Chosen) -> set[str]:
    if not chosen.is_first:
        return {"other_sound_used"}
    return set() if chosen.other_fault is None else {"other_sound_unusable"}


def _sound_columns(name: str, sound: Sound, file: Match | None) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "audio_from": name,
        "audio_start_s": sound.start_s,
        "audio_end_s": sound.end_s,
        "audio_gap_s": sound.gap_s,
    }
    if file is not None:
        columns["file_match"] = float(np.float32(file.quality))
        if "file_differs" not in file_findings(file):
            columns["file_offset_ms"] = 1000 * file.offset_s
            columns["file_drift_ms"] = None if file.drift_s is None else 1000 * file.drift_s
    return columns
