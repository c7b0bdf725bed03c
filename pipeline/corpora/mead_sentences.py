"""What MEAD's clip numbers suggest about sentences: a prior, not a proof.

The supplement of MEAD counts 3 common and 10 generic sentences, spoken in all eight emotions, and
17 of each emotion's own (27 in neutral). So 13 have partners in other emotions. MEAD does not
publish the numbering; the tables of one public project (jixinya/EVP) give, for most actors:

    order          neutral                                    other emotions
    common_first   common 1-3, own 4-30, generic 31-40        common 1-3, own 4-20, generic 21-30
    common_last                                               own 1-17, generic 18-27, common 28-30

`common_last` occurs only in disgusted, and not for every actor. Each lost clip shifts all later
numbers. Known exceptions: M003 contempt and M030 angry
have generic 20-29 (one clip lost before them); M030 contempt has 20-27, 29 and 30. Another public
parser assumes generic 4-13, which contradicts the tables. Sentences are therefore resolved from
the audio, and pairs whose sentence is not verified are rejected.
"""

from __future__ import annotations

N_COMMON = 3
N_GENERIC = 10
N_OWN = 17
N_OWN_NEUTRAL = 27

Block = tuple[str, int]
"""The prefix of a block's labels and its number of clips."""

_COMMON: Block = ("c", N_COMMON)
_GENERIC: Block = ("g", N_GENERIC)


def prior_labels(emotion: str, number: int | str, lost: int = 0) -> tuple[tuple[str, str], ...]:
    """The possible sentences of a clip number, by the public tables.

    Parameters
    ----------
    emotion
        Canonical emotion.
    number
        The clip's number, counted from 1; other text has no labels.
    lost
        Assumed number of lost clips before this one: gives the labels of number + lost.

    Returns
    -------
    tuple of (label, order_name)
        The most common order first; empty for a number outside the tables. Labels are c01..c03
        (common), g01..g10 (generic) and `<emotion>-o01`... (the emotion's own, without a partner).

    Examples
    --------
    >>> prior_labels("disgusted", 1)
    (('c01', 'common_first'), ('disgusted-o01', 'common_last'))
    """
    if isinstance(number, str) and not (number.isascii() and number.isdecimal()):
        return ()
    position = int(number) + lost
    labels = ((_label(blocks, position), name) for name, blocks in _orders(emotion).items())
    return tuple((label, name) for label, name in labels if label is not None)


def _orders(emotion: str) -> dict[str, tuple[Block, ...]]:
    own = (f"{emotion}-o", N_OWN_NEUTRAL if emotion == "neutral" else N_OWN)
    orders: dict[str, tuple[Block, ...]] = {"common_first": (_COMMON, own, _GENERIC)}
    if emotion == "disgusted":
        orders["common_last"] = (own, _GENERIC, _COMMON)
    return orders


def _label(blocks: tuple[Block, ...], position: int) -> str | None:
    if position < 1:
        return None
    for prefix, length in blocks:
        if position <= length:
            return f"{prefix}{position:02d}"
        position -= length
    return None
