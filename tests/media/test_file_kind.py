"""Files that are not media are identified in the message."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipeline import media
from pipeline.errors import Reject

LIMITS = media.Limits(max_frame_px=1 << 22, max_duration_s=60.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
         "it is a Git LFS pointer; run: git lfs pull"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "it is a web page, as after a failed"),
        (b"\xef\xbb\xbf\n <html>", "it is a web page, as after a failed download"),
        (b"<?xml version='1.0'?><Error/>", "it is an XML document, as after a failed download"),
        (b'{"error": "not found"}', "it is a JSON document, as after a failed download"),
        (b"", r"it is empty \(0 bytes\), as after a broken copy"),
        (bytes(5000), "it holds only zeros, as after a broken copy"),
        (b"\x1f\x8b\x08" + bytes(20), "it is a gzip file; unpack it"),
        (b"PK\x03\x04" + bytes(20), "it is a zip archive"),
        (b"GIF89a" + bytes(20), "it is a GIF, which has no audio"),
        (b"not a film", "the container cannot be opened: Invalid data"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_stream", [False, True])
def test_what_a_file_is_and_what_to_do(
    tmp_path: Path, content: bytes, said: str, as_stream: bool
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    source = io.BytesIO(content) if as_stream else path
    with pytest.raises(Reject, match=f"^unreadable: {said}"):
        media.decode_audio(source, 16000, 60.0)
    with pytest.raises(Reject, match=f"^unreadable: {said}"), media.open_video(source, LIMITS):
        pass


def test_a_missing_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="cannot be opened: No such file"):
        media.decode_audio(tmp_path / "gone.mp4", 16000, 60.0)
