"""The corpora's words for emotions, and ids that are safe file names on any system."""

from __future__ import annotations

import difflib
import hashlib
import string
import unicodedata
from collections.abc import Iterable

from pipeline.records import CORPUS_EMOTIONS

EMOTION_NAMES: dict[str, str] = {
    **{name: name for name in CORPUS_EMOTIONS},
    "neu": "neutral",
    "hap": "happy",
    "happiness": "happy",
    "joy": "happy",
    "ang": "angry",
    "anger": "angry",
    "sur": "surprised",
    "surprise": "surprised",
    "fea": "fear",
    "fearful": "fear",
    "sadness": "sad",
    "dis": "disgusted",
    "disgust": "disgusted",
}
"""Every accepted word, in lower case, and its canonical emotion."""

MAX_ID = 90
"""Longest id: two of them joined are still a valid file name (255 bytes)."""
_MAX_PART = 40
_SAFE = frozenset(string.ascii_letters + string.digits + "._-")
_ALPHANUMERIC = frozenset(string.ascii_letters + string.digits)
_HASH_DIGITS = 16


def canonical_emotion(text: str) -> str | None:
    """The emotion of a word in any case; None for unknown words."""
    return EMOTION_NAMES.get(plain(text).casefold())


def near_emotions(text: str) -> str:
    """The accepted words similar to `text`, or all canonical ones, for a message."""
    near = difflib.get_close_matches(plain(text).casefold(), EMOTION_NAMES, n=3, cutoff=0.5)
    return (
        f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(CORPUS_EMOTIONS)}"
    )


def plain(text: str) -> str:
    """Text in NFC; runs of white space and control characters become one space, ends none."""
    spaced = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(unicodedata.normalize("NFC", "".join(spaced)).split())


def safe_id(text: str, limit: int = _MAX_PART) -> str:
    """An id that is valid on any file system and unique for each text.

    Texts are the same when their NFC is. Characters other than ASCII letters, digits, dot,
    underscore and minus are percent-encoded as UTF-8. An id begins with a letter or digit; other
    texts get the prefix `x+`. Beyond `limit` characters the tail is replaced by `+` and a hash.
    Encoded text contains no plus, so neither form can equal another text's id.

    >>> safe_id("Take 7")
    'Take%207'
    """
    encoded = "".join(_encode(c) for c in unicodedata.normalize("NFC", text))
    if encoded[:1] not in _ALPHANUMERIC:
        encoded = f"x+{encoded}"
    return _shorten(encoded, limit)


def join_ids(*parts: str, limit: int = MAX_ID) -> str:
    """Join ids by underscores; underscores inside all but the last are encoded.

    Different tuples of the same length give different ids.
    """
    *head, last = parts
    return _shorten("_".join([*(part.replace("_", "%5F") for part in head), last]), limit)


def ranges(names: Iterable[str], most: int = 12) -> str:
    """Sorted names as short text; consecutive numbers as a range.

    >>> ranges(["003", "001", "002", "007"])
    '001-003, 007'
    """
    runs: list[list[str]] = []
    for name in sorted(set(names)):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    texts = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _follows(name: str, other: str) -> bool:
    numbers = name.isdecimal() and other.isdecimal()
    return numbers and len(name) == len(other) and int(other) == int(name) + 1


def _encode(character: str) -> str:
    if character in _SAFE:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    tail = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{text[: limit - _HASH_DIGITS - 1]}+{tail}"
