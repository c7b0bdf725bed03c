"""What is odd about a recording without making it unusable: findings, as slugs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from pipeline.errors import REASONS, Reject
from pipeline.media.audio import Sound
from pipeline.media.audio_offset import SAME_RECORDING, Match
from pipeline.media.video import Video

FINDINGS: dict[str, str] = {
    "no_picture": "a take of sound alone",
    "rotated": "the container asks for the picture to be turned",
    "interlaced": "frames are interlaced and were not mended",
    "hdr": "high dynamic range, shown without tone mapping",
    "not_square_pixels": "pixels are not square and were left so",
    "variable_rate": "frames are not equally long",
    "pts_gap": "a frame stands still for several frames' time",
    "pts_repeats": "frames shown for no time were dropped",
    "frames_missing": "a few frames fewer than declared",
    "frames_extra": "more frames than declared",
    "frames_patched": "the decoder patched up damaged frames",
    "frozen_picture": "the picture stands still for a while",
    "frames_doubled": "frames are shown twice, as after a change of rate",
    "sound_gap": "timestamps of the sound leave holes or overlap",
    "clipped_sound": "samples at full scale",
    "quiet_sound": "even the loud parts are nearly silent",
    "sound_starts_late": "the sound begins after the picture",
    "sound_starts_early": "the sound begins before the picture",
    "lengths_differ": "picture and sound differ in length",
    "other_sound_used": "the sound that extract.sound_from names is unusable; the other was taken",
    "other_sound_unusable": "the sound that is not used could not be: silent, damaged or too long",
    "file_offset": "the sound file is shifted against the container's track",
    "file_drifts": "the sound file runs faster or slower than the container's track",
    "file_differs": "the sound file is of another recording or speed than the container's track",
    "several_faces": "several faces are in the picture",
    "face_passes": "at a single instant of those counted there was a second face",
    "face_comes_and_goes": "the face is lost for a while",
    "mouth_covered": "the skin around the mouth changes colour: a hand, a microphone, a shadow",
    "face_jumps": "the face moves faster than heads do",
    "face_near_edge": "the face touches the border of the picture",
    "head_leaves_crop": "no square held the head's whole way",
}
"""All findings and what they mean."""

_UNEVEN = 0.1
_GAP_FRAMES = 2.5
_TICKS_S = 0.0021  # timestamps rounded to a millisecond differ by two at most
_STILL, _STILL_SHARE = 0.05, 0.25  # of 37 takes six frames, each alone
_FROZEN_S = 0.2
_FROZEN_FRAMES = 3
_DOUBLED_SHARE, _DOUBLED_FRAMES = 0.02, 3
_CLIPPED_SHARE = 1e-4
_QUIET_DB = -55.0  # the quietest of 70 real takes has -43
_OFFSET_S = 0.05
_LENGTH_S = 0.15
_FILE_OFFSET_S = 0.01  # a cell of the alignment; what an encoder's padding leaves is below
_FILE_DRIFT_S = 0.01


def set_aside(findings: set[str], policies: Mapping[str, str]) -> None:
    """Refuse a take with a finding whose policy is set_aside.

    Raises
    ------
    Reject
        With the finding's own reason where there is one, else finding_set_aside.
    """
    for finding in sorted(findings):
        if policies[finding] == "set_aside":
            reason = finding if finding in REASONS else "finding_set_aside"
            raise Reject(reason, f"{finding}: {FINDINGS[finding]}")


def to_mend(findings: set[str], policies: Mapping[str, str]) -> set[str]:
    """Those of the findings whose policy is mend."""
    return {finding for finding in findings if policies[finding] == "mend"}


def video_findings(video: Video) -> set[str]:
    """Findings on a video whose frames have all been read."""
    found = set(video.traits)
    steps_s = np.diff(video.times_s)
    if len(steps_s):
        usual_s = float(np.median(steps_s))
        if np.max(np.abs(steps_s - usual_s)) > max(_UNEVEN * usual_s, _TICKS_S):
            found.add("variable_rate")
        if steps_s.max() > _GAP_FRAMES * usual_s:
            found.add("pts_gap")
    counts = {
        "pts_repeats": video.repeated,
        "frames_missing": video.missing_frames(),
        "frames_extra": -video.missing_frames(),
        "frames_patched": video.corrupt,
    }
    return found | {name for name, count in counts.items() if count > 0}


def standstills(times_s: Sequence[float], end_s: float, changes: Sequence[float]) -> set[str]:
    """Findings on frames that show what the frame before showed.

    Equal frames are seldom equal after coding: those count that differ by a quarter of what frames
    of this take usually do.

    Parameters
    ----------
    times_s
        Presentation times; the last frame ends at `end_s`.
    changes
        By how much each frame differs from the one before; infinite where that is not to count.
    """
    known = [change for change in changes if np.isfinite(change)]
    usual = float(np.percentile(known, 75)) if known else 0.0
    still = [change < max(_STILL, _STILL_SHARE * usual) for change in changes]
    ends_s = [*times_s[1:], end_s]
    doubled, frozen_s, at = 0, 0.0, 0
    for is_still, group in groupby(still):
        n = len(list(group))
        if is_still and n + 1 >= _FROZEN_FRAMES:
            frozen_s = max(frozen_s, ends_s[at + n - 1] - times_s[at - 1])
        doubled += is_still and n == 1
        at += n
    marks = {
        "frozen_picture": frozen_s >= _FROZEN_S,
        "frames_doubled": doubled >= max(_DOUBLED_FRAMES, _DOUBLED_SHARE * len(changes)),
    }
    return {name for name, present in marks.items() if present}


def sound_findings(sound: Sound) -> set[str]:
    """Findings on the sound alone."""
    marks = {
        "sound_gap": sound.gaps > 0,
        "clipped_sound": sound.clipped > _CLIPPED_SHARE,
        "quiet_sound": sound.level_db < _QUIET_DB,
    }
    return {name for name, present in marks.items() if present}


def file_findings(file: Match) -> set[str]:
    """Findings on a sound file beside the container's track, the container being `match`'s first.

    Neither offset nor drift mean anything where the recordings differ.
    """
    if file.quality < SAME_RECORDING:
        return {"file_differs"}
    marks = {
        "file_offset": abs(file.offset_s) > _FILE_OFFSET_S,
        "file_drifts": abs(file.drift_s or 0.0) > _FILE_DRIFT_S,
    }
    return {name for name, present in marks.items() if present}


def joint_findings(video_s: tuple[float, float], sound_s: tuple[float, float]) -> set[str]:
    """Findings on picture and sound together, each (start, end) on one clock."""
    late_s = sound_s[0] - video_s[0]
    lengths_s = (video_s[1] - video_s[0], sound_s[1] - sound_s[0])
    marks = {
        "sound_starts_late": late_s > _OFFSET_S,
        "sound_starts_early": late_s < -_OFFSET_S,
        "lengths_differ": abs(lengths_s[0] - lengths_s[1]) > _LENGTH_S,
    }
    return {name for name, present in marks.items() if present}
