"""A tokenizer's merges, looked through before open_clip reads them, which unpacks any amount."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from pipeline.errors import ParameterError

MAX_BYTES = 16 << 20
"""Of the text; open_clip's own has 3 MB."""


def check_merges(path: Path) -> None:
    """Refuse what is no gzipped UTF-8 text, or unpacks into more than any vocabulary needs.

    Raises
    ------
    ParameterError
        One line.
    """
    try:
        with gzip.open(path) as stream:
            text = stream.read(MAX_BYTES + 1)
        text.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ParameterError(
            f"score.network: {path} is no text of merges, gzipped: {error}"
        ) from error
    if len(text) > MAX_BYTES:
        raise ParameterError(f"score.network: {path} unpacks into more than {MAX_BYTES} bytes")
