"""Decoders and encoders: timed video frames, audio, JPEG, FLAC."""

from pipeline.media.audio import Sound, decode_sound, read_flac, write_flac
from pipeline.media.audio_choice import Chosen, Heard, OpenSource, choose_sound
from pipeline.media.audio_offset import Match, match
from pipeline.media.audio_placement import Voice, place_sound
from pipeline.media.box import ALIGN, Box
from pipeline.media.file_kind import MediaSource
from pipeline.media.frame_changes import FrameChanges, change_findings
from pipeline.media.integrity import (
    FINDINGS,
    file_findings,
    joint_findings,
    reject_findings,
    sound_findings,
    to_repair,
    video_findings,
)
from pipeline.media.jpeg import decode_jpeg, encode_jpeg, use_one_thread
from pipeline.media.resampling import resample
from pipeline.media.timeline import Timeline, read_timeline
from pipeline.media.video import Frame, Limits, Video, open_video

__all__ = [
    "ALIGN",
    "FINDINGS",
    "Box",
    "Chosen",
    "Frame",
    "FrameChanges",
    "Heard",
    "Limits",
    "Match",
    "MediaSource",
    "OpenSource",
    "Sound",
    "Timeline",
    "Video",
    "Voice",
    "change_findings",
    "choose_sound",
    "decode_jpeg",
    "decode_sound",
    "encode_jpeg",
    "file_findings",
    "joint_findings",
    "match",
    "open_video",
    "place_sound",
    "read_flac",
    "read_timeline",
    "reject_findings",
    "resample",
    "sound_findings",
    "to_repair",
    "use_one_thread",
    "video_findings",
    "write_flac",
]
