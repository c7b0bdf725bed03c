"""Opening media files, and turning what the decoders say into rejects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Stream

from pipeline.errors import Reject

MediaSource = str | Path | BinaryIO
"""A path, or a seekable stream (a member of an archive)."""
MAX_PIXELS = 1 << 26
"""Of a picture that a decoder is let take memory for, whatever the container says of it."""
_FORMATS = ",".join(
    (
        "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "asf", "mxf", "dv", "ivf",
        "h264", "hevc", "m4v", "obu", "mjpeg", "wav", "w64", "aiff", "caf", "au", "mp3", "aac",
        "flac", "ogg", "amr", "ac3", "eac3", "wv",
    )
)  # fmt: skip
"""Demuxers that read one file of recordings. Others open what the file names (playlists, concat
scripts, session descriptions, which listen on the network), and go by content, not by suffix."""


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn an error of the decoders inside the block into `Reject("unreadable")`.

    Only calls into the decoders belong inside: an error of our own must stay visible. The message
    names no path, so that the same file gives the same reject everywhere.
    """
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Reject("unreadable", f"{what}: {reason}") from error


@contextmanager
def open_container(source: MediaSource, *, for_sound: bool = False) -> Iterator[InputContainer]:
    """A container open for reading; nothing but the source itself is opened.

    `for_sound` leaves the pictures alone: what opening learns from them costs as much as to decode
    two.

    Raises
    ------
    Reject
        unreadable, where no demuxer knows the file.
    """
    if isinstance(source, str | os.PathLike):
        # A path may look like a URL (`concat:a|b`); behind this it is a file's name.
        source = f"file:{os.fspath(source)}"
    else:
        source.seek(0)
    with decoding("the container cannot be opened"):
        container: InputContainer = av.open(
            source,
            mode="r",
            options={
                "format_whitelist": _FORMATS,
                "protocol_whitelist": "file",
                "max_pixels": str(MAX_PIXELS),
                **({"skip_frame": "all"} if for_sound else {}),
            },
            metadata_errors="ignore",
        )
    with container:
        yield container


def stream_of(container: InputContainer, kind: str) -> Any:
    """The stream of a kind that a player would take, or None; cover pictures are no video."""
    streams: list[Stream] = [
        stream
        for stream in container.streams
        if stream.type == kind and not (kind == "video" and _is_cover(stream))
    ]
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if streams and not decodable:
        raise Reject("unreadable", f"no decoder knows the {kind} stream's codec")
    default = [s for s in decodable if s.disposition & type(s.disposition).default]
    return next(iter(default or decodable), None)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def container_end_s(container: InputContainer) -> float | None:
    """Where the container says that it ends, seconds on its clock; None where it does not say."""
    if container.duration is None:
        return None
    return float((container.duration + (container.start_time or 0)) / av.time_base)
