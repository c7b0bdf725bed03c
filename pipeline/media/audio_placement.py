"""Place a take's audio on the clock of its video: source, start, findings and repairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.media.audio import Audio
from pipeline.media.audio_choice import Chosen
from pipeline.media.audio_offset import Match, match
from pipeline.media.integrity import (
    audio_findings,
    check_together,
    file_findings,
    joint_findings,
    to_repair,
)

_DECODED = {"audio_gap", "channels_cancel", "channels_differ"}


@dataclass(frozen=True)
class Voice:
    """What the audio of a take contributes to its clip: columns, findings, repaired findings."""

    columns: dict[str, Any]
    audio: Audio
    findings: set[str]
    repaired: set[str]


def place_audio(
    chosen: Chosen, video_s: tuple[float, float] | None, policies: Mapping[str, str]
) -> Voice:
    """The audio used and its start: a separate file starts with the video, unless it is shifted.

    A separate file has its own clock. A repair shifts it to where it correlates with the
    container's track, or uses that track instead.

    Parameters
    ----------
    video_s
        Start and end of the video; None for an audio-only take.

    Raises
    ------
    Reject
        never_together.
    """
    start_s = 0.0 if video_s is None else video_s[0]
    file = _file_match(chosen, start_s)
    findings = set() if file is None else file_findings(file)
    repaired: set[str] = set()
    used = chosen.used
    if file is not None and chosen.other is not None and used.name == "file":
        repaired = to_repair(findings, policies)
        used = chosen.other if "file_differs" in repaired else used
        start_s += file.offset_s if "file_offset" in repaired else 0.0
    audio = used.audio if used.name == "container" else used.audio.later(start_s)
    findings |= audio_findings(audio) | _choice_findings(chosen) | used.findings
    if video_s is not None:
        check_together(video_s, (audio.start_s, audio.end_s))
        findings |= joint_findings(video_s, (audio.start_s, audio.end_s))
    repaired |= to_repair(findings & _DECODED, policies)
    return Voice(_audio_columns(used.name, audio, file), audio, findings, repaired)


def _file_match(chosen: Chosen, start_s: float) -> Match | None:
    """How the separate file matches the container's track; None unless both exist."""
    if chosen.other is None:
        return None
    track, file = sorted((chosen.used, chosen.other), key=lambda source: source.name)
    return match(track.audio, file.audio.later(start_s))


def _choice_findings(chosen: Chosen) -> set[str]:
    if not chosen.is_first:
        return {"other_audio_used"}
    return set() if chosen.other_fault is None else {"other_audio_unusable"}


def _audio_columns(name: str, audio: Audio, file: Match | None) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "audio_from": name,
        "audio_start_s": audio.start_s,
        "audio_end_s": audio.end_s,
        "audio_gap_s": audio.gap_s,
    }
    if file is not None:
        columns["file_match"] = float(np.float32(file.quality))
        if "file_differs" not in file_findings(file):
            columns["file_offset_ms"] = 1000 * file.offset_s
            columns["file_drift_ms"] = None if file.drift_s is None else 1000 * file.drift_s
    return columns
