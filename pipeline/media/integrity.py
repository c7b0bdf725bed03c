"""What is odd about a recording without making it unusable: findings, as slugs."""

from __future__ import annotations

import numpy as np

from pipeline.media.sound import Sound
from pipeline.media.video import Video

FINDINGS: dict[str, str] = {
    "no_picture": "a take of sound alone",
    "rotated": "the container asks for the picture to be turned, and it was",
    "interlaced": "frames are interlaced and were not mended",
    "hdr": "high dynamic range, shown without tone mapping",
    "not_square_pixels": "pixels are not square and were left so",
    "variable_rate": "frames are not equally long",
    "pts_gap": "a frame stands still for several frames' time",
    "pts_repeats": "frames shown for no time were dropped",
    "frames_missing": "a few frames fewer than declared",
    "frames_patched": "the decoder patched up damaged frames",
    "sound_gap": "timestamps of the sound leave holes, filled with silence, or overlap",
    "clipped_sound": "samples at full scale",
    "sound_starts_late": "the sound begins after the picture",
    "sound_starts_early": "the sound begins before the picture",
    "lengths_differ": "picture and sound differ in length",
    "other_sound_used": "the sound that extract.sound_from names is unusable; the other was taken",
    "several_faces": "at some instant several faces were counted",
    "face_comes_and_goes": "the face is lost for a while",
    "face_jumps": "the face moves faster than heads do",
    "face_near_edge": "the face touches the border of the picture",
    "head_leaves_crop": "no square held the head's whole way",
}
"""All findings and what they mean."""

_UNEVEN = 0.1
_GAP_FRAMES = 2.5
_TICKS_S = 0.0021  # timestamps rounded to a millisecond differ by two at most
_CLIPPED_SHARE = 1e-4
_OFFSET_S = 0.05
_LENGTH_S = 0.15


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
        "frames_patched": video.corrupt,
    }
    return found | {name for name, count in counts.items() if count}


def sound_findings(sound: Sound) -> set[str]:
    """Findings on the sound alone."""
    marks = {"sound_gap": sound.gaps > 0, "clipped_sound": sound.clipped > _CLIPPED_SHARE}
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
