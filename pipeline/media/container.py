"""Open media files, and turn errors of the decoders into rejects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from pipeline.errors import Reject
from pipeline.media.file_kind import MediaSource, file_kind

MAX_PIXELS = 1 << 26
"""Pixels of an image that a decoder may allocate, whatever the container declares."""
_FORMATS = ",".join(
    (
        "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "asf", "mxf", "dv", "ivf",
        "h264", "hevc", "m4v", "obu", "mjpeg", "wav", "w64", "aiff", "caf", "au", "mp3", "aac",
        "flac", "ogg", "amr", "ac3", "eac3", "wv",
    )
)  # fmt: skip
"""Demuxers that read a single file. Others open what the file names (playlists, concat scripts,
session descriptions, which listen on the network), and are chosen by content, not by suffix."""


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn an error of the decoders inside the block into `Reject("unreadable")`.

    Only calls into the decoders belong inside, so that our own errors stay visible. The message
    contains no path, so that the same file gives the same reject everywhere.
    """
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Reject("unreadable", f"{what}: {reason}") from error


@contextmanager
def open_container(source: MediaSource, *, audio_only: bool = False) -> Iterator[InputContainer]:
    """A container open for reading; only the source itself is opened.

    `audio_only` skips the video: probing it costs as much as decoding two frames.

    Raises
    ------
    Reject
        unreadable, if no demuxer knows the file.
    """
    if isinstance(source, str | os.PathLike):
        # A path may look like a URL (`concat:a|b`); with this prefix it is a file name.
        source = f"file:{os.fspath(source)}"
    else:
        source.seek(0)
    try:
        with decoding("the container cannot be opened"):
            container: InputContainer = av.open(
                source,
                mode="r",
                options={
                    "format_whitelist": _FORMATS,
                    "protocol_whitelist": "file",
                    "max_pixels": str(MAX_PIXELS),
                    **({"skip_frame": "all"} if audio_only else {}),
                },
                metadata_errors="ignore",
            )
    except Reject as reject:
        raise Reject(reject.reason, file_kind(source) or reject.detail) from reject
    with container:
        yield container


def stream_of(container: InputContainer, kind: str) -> Any:
    """The stream of a kind that players use, or None; cover images are not video."""
    streams: list[Stream] = [
        stream
        for stream in container.streams
        if stream.type == kind and not stream.disposition & Disposition.attached_pic
    ]
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if streams and not decodable:
        raise Reject("unreadable", f"no decoder knows the {kind} stream's codec")
    default = [s for s in decodable if s.disposition & Disposition.default]
    return next(iter(default or decodable), None)


def audio_tracks(source: MediaSource) -> tuple[list[int], int]:
    """The indices of the main audio streams, in the order of preference, and how many there are.

    The default comes first, then the order in the file. Streams marked as commentary, dubbing,
    descriptions and the like are not main ones if there are others.
    """
    with open_container(source, audio_only=True) as container:
        streams: list[Any] = [
            s for s in container.streams if s.type == "audio" and s.codec_context is not None
        ]
        flags = {s.index: s.disposition for s in streams}
        main = [s for s in streams if not any(flags[s.index] & flag for flag in _SECONDARY)]
        main.sort(key=lambda s: not flags[s.index] & Disposition.default)
        return [s.index for s in main or streams], len(streams)


_SECONDARY = (
    Disposition.comment, Disposition.dub, Disposition.hearing_impaired, Disposition.karaoke,
    Disposition.visual_impaired, Disposition.descriptions, Disposition.clean_effects,
)  # fmt: skip


def container_end_s(container: InputContainer) -> float | None:
    """The declared end, in seconds on the container's clock; None if it declares none."""
    if container.duration is None:
        return None
    return float((container.duration + (container.start_time or 0)) / av.time_base)
