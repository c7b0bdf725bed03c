"""Findings: unusual properties of a recording that do not make it unusable, as slugs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.errors import REASONS, Reject
from pipeline.media.audio import Audio
from pipeline.media.audio_offset import SAME_RECORDING, Match
from pipeline.media.video import Video

FINDINGS: dict[str, str] = {
    "no_video": "an audio-only take",
    "rotated": "the container requests a rotation",
    "interlaced": "frames are interlaced and were not deinterlaced",
    "hdr": "high dynamic range, shown without tone mapping",
    "not_square_pixels": "pixels are not square and were not resampled",
    "variable_rate": "frame durations vary",
    "pts_gap": "one frame is shown for several frames' time",
    "pts_repeats": "zero-duration frames were dropped",
    "frames_missing": "a few frames fewer than declared",
    "frames_extra": "more frames than declared",
    "frames_patched": "the decoder concealed damaged frames",
    "frozen_video": "image and face stand still while the voice goes on",
    "frames_doubled": "frames are shown twice, as after a change of rate",
    "cut": "the video cuts to another shot while a face is shown",
    "audio_gap": "timestamps of the audio leave gaps or overlap",
    "clipped_audio": "samples at full scale",
    "quiet_audio": "even the loud parts are nearly silent",
    "several_tracks": "the file has several audio tracks",
    "channels_cancel": "channels of opposite phase cancel when averaged",
    "channels_differ": "channels hold different recordings",
    "two_voices": "two tracks or channels hold different speech",
    "audio_starts_late": "the audio starts after the video",
    "audio_starts_early": "the audio starts before the video",
    "lengths_differ": "video and audio differ in length",
    "other_audio_used": "the source that extract.audio_from names is unusable; the other was used",
    "other_audio_unusable": "the unused audio source is silent, damaged or too long",
    "file_offset": "the audio file is shifted relative to the container's track",
    "file_drifts": "the audio file runs faster or slower than the container's track",
    "file_differs": "the audio file and the container's track are different recordings or speeds",
    "several_faces": "several faces are in the image",
    "face_passes": "a second face at one of the instants at which faces are counted",
    "wrong_way_up": (
        "the face is upside down or on its side, and the container requests no rotation"
    ),
    "landmarks_unconfirmed": (
        "at most instants checked, the detector sees no face where the landmarks are, or another"
    ),
    "face_outside": "more than 15 % of the landmarks are outside the image",
    "small_face": "the outer eye corners are less than 32 px apart",
    "face_comes_and_goes": "the face is lost for a while",
    "mouth_covered": "the skin around the mouth changes colour: a hand, a microphone, a shadow",
    "face_jumps": "the face moves faster than heads do",
    "face_near_edge": "the face touches the border of the image",
    "head_leaves_crop": "no square contained the head throughout",
}
"""All findings and their meanings."""

_UNEVEN = 0.1
_GAP_FRAMES = 2.5
_TICKS_S = 0.0021  # timestamps rounded to a millisecond differ by two at most
_CLIPPED_SHARE = 1e-4
_QUIET_DB = -55.0  # the quietest of 70 real takes has -43
_OFFSET_S = 0.05
_LENGTH_S = 0.15
_FILE_OFFSET_S = 0.01  # one step of the alignment; encoder padding causes less
_FILE_DRIFT_S = 0.01


def reject_findings(findings: set[str], policies: Mapping[str, str]) -> None:
    """Reject a take with a finding whose policy is `reject`.

    Raises
    ------
    Reject
        With the finding's own reason if there is one, else rejected_finding.
    """
    for finding in sorted(findings):
        if policies[finding] == "reject":
            reason = finding if finding in REASONS else "rejected_finding"
            raise Reject(reason, f"{finding}: {FINDINGS[finding]}")


def to_repair(findings: set[str], policies: Mapping[str, str]) -> set[str]:
    """The findings whose policy is `repair`."""
    return {finding for finding in findings if policies[finding] == "repair"}


def video_findings(video: Video) -> set[str]:
    """Findings on a video whose frames have all been read."""
    findings = set(video.traits)
    steps_s = np.diff(video.times_s)
    if len(steps_s):
        usual_s = float(np.median(steps_s))
        if np.max(np.abs(steps_s - usual_s)) > max(_UNEVEN * usual_s, _TICKS_S):
            findings.add("variable_rate")
        if steps_s.max() > _GAP_FRAMES * usual_s:
            findings.add("pts_gap")
    counts = {
        "pts_repeats": video.repeated,
        "frames_missing": video.missing_frames(),
        "frames_extra": -video.missing_frames(),
        "frames_patched": video.corrupt,
    }
    return findings | {name for name, count in counts.items() if count > 0}


def audio_findings(audio: Audio) -> set[str]:
    """Findings on the audio alone."""
    marks = {
        "audio_gap": audio.gaps > 0,
        "clipped_audio": audio.clipped > _CLIPPED_SHARE,
        "quiet_audio": audio.level_db < _QUIET_DB,
    }
    return {name for name, present in marks.items() if present}


def file_findings(file: Match) -> set[str]:
    """Findings on an audio file compared with the container's track, the first argument of `match`.

    Offset and drift are meaningless if the recordings differ.
    """
    if file.quality < SAME_RECORDING:
        return {"file_differs"}
    marks = {
        "file_offset": abs(file.offset_s) > _FILE_OFFSET_S,
        "file_drifts": abs(file.drift_s or 0.0) > _FILE_DRIFT_S,
    }
    return {name for name, present in marks.items() if present}


def check_together(video_s: tuple[float, float], audio_s: tuple[float, float]) -> None:
    """Check that video and audio, each (start, end) on one clock, are ever played together.

    Raises
    ------
    Reject
        never_together.
    """
    if min(video_s[1], audio_s[1]) <= max(video_s[0], audio_s[0]):
        raise Reject(
            "never_together",
            f"video from {video_s[0]:.2f} to {video_s[1]:.2f} s, audio from {audio_s[0]:.2f} to "
            f"{audio_s[1]:.2f} s: the file's two clocks differ",
        )


def joint_findings(video_s: tuple[float, float], audio_s: tuple[float, float]) -> set[str]:
    """Findings on video and audio together, each (start, end) on one clock."""
    late_s = audio_s[0] - video_s[0]
    lengths_s = (video_s[1] - video_s[0], audio_s[1] - audio_s[0])
    marks = {
        "audio_starts_late": late_s > _OFFSET_S,
        "audio_starts_early": late_s < -_OFFSET_S,
        "lengths_differ": abs(lengths_s[0] - lengths_s[1]) > _LENGTH_S,
    }
    return {name for name, present in marks.items() if present}
