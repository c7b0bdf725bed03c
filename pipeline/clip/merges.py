"""Check a tokenizer's merges before open_clip reads them, which decompresses without a limit."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from pipeline.errors import ParameterError

MAX_BYTES = 16 << 20
"""Limit of the decompressed text; open_clip's own has 3 MB."""


def check_merges(path: Path) -> None:
    """Refuse a file that is not gzipped UTF-8 text of at most `MAX_BYTES`.

    Raises
    ------
    ParameterError
        When it is refused.
    """
    try:
        with gzip.open(path) as stream:
            text = stream.read(MAX_BYTES + 1)
        text.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ParameterError(
            f"score.network: {path} is not a gzipped text of merges: {error}"
        ) from error
    if len(text) > MAX_BYTES:
        raise ParameterError(f"score.network: {path} decompresses to more than {MAX_BYTES} bytes")
