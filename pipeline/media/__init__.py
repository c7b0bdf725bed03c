"""The only package that touches decoders: timed pictures, sound, JPEG, FLAC."""

from pipeline.media.box import ALIGN, Box
from pipeline.media.choice import Chosen, OpenSource, choose_sound
from pipeline.media.container import MediaSource
from pipeline.media.integrity import FINDINGS, joint_findings, sound_findings, video_findings
from pipeline.media.sound import Sound, decode_sound, read_flac, resample, write_flac
from pipeline.media.stills import decode_jpeg, encode_jpeg, use_one_thread
from pipeline.media.timeline import Timeline, read_timeline
from pipeline.media.video import Frame, Limits, Video, open_video

__all__ = [
    "ALIGN",
    "FINDINGS",
    "Box",
    "Chosen",
    "Frame",
    "Limits",
    "MediaSource",
    "OpenSource",
    "Sound",
    "Timeline",
    "Video",
    "choose_sound",
    "decode_jpeg",
    "decode_sound",
    "encode_jpeg",
    "joint_findings",
    "open_video",
    "read_flac",
    "read_timeline",
    "resample",
    "sound_findings",
    "use_one_thread",
    "video_findings",
    "write_flac",
]
