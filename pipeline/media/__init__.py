"""Decoders and encoders: timed video frames, audio, JPEG, FLAC."""

from pipeline.media.audio import Audio, decode_audio, read_flac, write_flac
from pipeline.media.audio_choice import Chosen, Heard, choose_audio
from pipeline.media.audio_offset import Match, match
from pipeline.media.audio_placement import Voice, place_audio
from pipeline.media.audio_tracks import OpenSource
from pipeline.media.box import ALIGN, Box
from pipeline.media.file_kind import MediaSource
from pipeline.media.frame_changes import FrameChanges, change_findings
from pipeline.media.integrity import (
    FINDINGS,
    audio_findings,
    check_together,
    file_findings,
    joint_findings,
    reject_findings,
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
    "Audio",
    "Box",
    "Chosen",
    "Frame",
    "FrameChanges",
    "Heard",
    "Limits",
    "Match",
    "MediaSource",
    "OpenSource",
    "Timeline",
    "Video",
    "Voice",
    "audio_findings",
    "change_findings",
    "check_together",
    "choose_audio",
    "decode_audio",
    "decode_jpeg",
    "encode_jpeg",
    "file_findings",
    "joint_findings",
    "match",
    "open_video",
    "place_audio",
    "read_flac",
    "read_timeline",
    "reject_findings",
    "resample",
    "to_repair",
    "use_one_thread",
    "video_findings",
    "write_flac",
]
