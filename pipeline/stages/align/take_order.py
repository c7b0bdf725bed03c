"""Evidence from the order of a MEAD speaker's takes for and against sentence matches.

MEAD's tables (see `pipeline.corpora.mead_sentences`) arrange sentences in blocks. Clips are missing
and the blocks come in two orders, so take numbers are unreliable, but two properties hold:

- neighbours within a block stay neighbours: if take 7 matches neutral take 12, take 8 or 9 likely
  matches 13 or 14 (*near*: 1 if both numbers increase by one, 0.5 if a clip must be missing);
- a sentence is spoken in all emotions or in one: a neutral take that only a single emotion matches
  is one of neutral's own sentences, and the match is a near twin or an accident (*echo*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.stages.align.utterances import FloatArray

BoolArray = npt.NDArray[np.bool_]

_REACH = 2
"""Maximum distance of a neighbour, in takes of either side: one missing clip between."""
_APART = 4
"""Maximum distance of a match from its block, in takes, to belong to that block."""
_FAMILY, _FAMILY_SHARE = 0.3, 0.5
"""Maximum excess of a score over the median of its block's matches: the first, or that share of the
median if larger. Measured: correct scores are within 0.26 at a median of 0.4 and within 0.37 at a
median of 0.9; a near twin of a missing clip was 0.4 off at a median of 0.55."""
_FULL = 20
"""Minimum number of takes (MEAD: 30) for a block whose order may forbid matches."""
_MOVED = 4
"""Maximum distance of a sentence from its neighbours, in takes: more are never missing at once."""
_EVIDENT = 3
"""Minimum number of matches with a neighbour to recognise a block's order."""
_ECHOED, _ALONE = 1 / 2, 1 / 3
"""Share of the other emotions with a sentence: parallel from the first on, not below the second."""


@dataclass(frozen=True, eq=False)
class Block:
    """The takes of one emotion and level, scored against all neutral takes.

    Attributes
    ----------
    emotion : str
    position : int [shape=(n_takes,)]
        Position of each take by number, comparable between levels.
    score : float64 [shape=(n_neutral, n_takes)]
        Lower is more similar; infinite: impossible.
    """

    emotion: str
    position: npt.NDArray[np.int64]
    score: FloatArray


@dataclass(frozen=True, eq=False)
class Bearing:
    """Evidence for every cell: `support` in [0, 1], and where a match is forbidden."""

    support: FloatArray
    forbidden: BoolArray


def bearings(
    blocks: Sequence[Block], heard: Sequence[BoolArray], matched: Sequence[BoolArray]
) -> list[Bearing]:
    """The evidence of the matches of all blocks for every cell of each.

    Parameters
    ----------
    blocks : of one speaker
    heard, matched : one bool [shape=(n_neutral, n_takes)] per block
        The cells matched by audio alone, and those matched so far. Only the former count as echo;
        otherwise a neutral take that is slightly similar to many takes would support them all.
    """
    near = [
        _near(found, block.position, _REACH) for found, block in zip(matched, blocks, strict=True)
    ]
    sure = [_sure(found, beside) for found, beside in zip(matched, near, strict=True)]
    return [
        _bearing(
            block,
            near[k],
            sure[k],
            _echo(k, blocks, heard),
            _placed(k, blocks, sure),
            _usual(k, blocks, sure),
        )
        for k, block in enumerate(blocks)
    ]


def _sure(matched: BoolArray, near: FloatArray) -> BoolArray:
    """The matches with a neighbouring match.

    Empty if most matches have none, since neighbours are then accidental, and for blocks of few
    takes, whose order is uninformative.
    """
    sure: BoolArray = matched & (near > 0)
    in_order = sure.sum() >= max(_EVIDENT, matched.sum() / 2)
    return sure if in_order and matched.shape[1] >= _FULL else np.zeros_like(sure)


def _bearing(
    block: Block,
    near: FloatArray,
    sure: BoolArray,
    echo: FloatArray | None,
    placed: BoolArray,
    usual: BoolArray,
) -> Bearing:
    forbidden = placed.copy()
    if sure.any():
        lonely = _near(sure, block.position, _APART) == 0
        median = np.median(block.score[sure])
        strange = block.score > median + max(_FAMILY, _FAMILY_SHARE * median)
        forbidden |= _moved(sure, block.position) | (lonely & ~usual) | strange
    if echo is None:
        return Bearing(near / 2, forbidden)
    echoed, alone = (echo >= _ECHOED)[:, None], (echo < _ALONE)[:, None]
    return Bearing(np.where(echoed, (1 + near) / 2, 0.0), forbidden | alone)


def _near(matched: BoolArray, position: npt.NDArray[np.int64], reach: int) -> FloatArray:
    """Which cells have a match shortly before or after them, in both numberings."""
    near = np.zeros(matched.shape)
    for row, column in np.argwhere(matched):
        for other in range(max(row - reach, 0), min(row + reach + 1, len(matched))):
            places = np.arange(len(position)) - column
            beside = (np.sign(other - row) * places > 0) & (np.abs(places) <= reach)
            exact = position - position[column] == other - row
            near[other] = np.maximum(near[other], np.where(beside, np.where(exact, 1.0, 0.5), 0.0))
    return near


def _echo(k: int, blocks: Sequence[Block], heard: Sequence[BoolArray]) -> FloatArray | None:
    """Share of the other emotions that match each neutral take; None for fewer than two.

    An emotion matches if at least half of its levels do; blocks of few takes do not count.
    """
    said: dict[str, list[FloatArray]] = {}
    for block, found in zip(blocks, heard, strict=True):
        if block.emotion != blocks[k].emotion and len(block.position) >= _FULL:
            said.setdefault(block.emotion, []).append(found.any(axis=1).astype(np.float64))
    if len(said) < 2:
        return None
    says = [np.mean(levels, axis=0) >= 1 / 2 for levels in said.values()]
    return np.asarray(np.mean(says, axis=0), np.float64)


def _moved(sure: BoolArray, position: npt.NDArray[np.int64]) -> BoolArray:
    """Cells far from their row's neighbours' reliable matches, or on the wrong side of them."""
    forbidden = np.zeros_like(sure)
    for row, column in np.argwhere(sure):
        for other in range(max(row - _REACH, 0), min(row + _REACH + 1, len(sure))):
            off = position - position[column]
            far = np.abs(off - (other - row)) > _MOVED
            forbidden[other] |= far | (np.sign(off) != np.sign(other - row))
    return forbidden


def _placed(k: int, blocks: Sequence[Block], sure: Sequence[BoolArray]) -> BoolArray:
    """Cells of a row that another level of the emotion reliably matches to another number."""
    forbidden = np.zeros_like(sure[k])
    for other, block in enumerate(blocks):
        if other != k and block.emotion == blocks[k].emotion:
            for row, column in np.argwhere(sure[other]):
                off = np.abs(blocks[k].position - block.position[column])
                forbidden[row] |= off > 2 * _MOVED
    return forbidden


def _usual(k: int, blocks: Sequence[Block], sure: Sequence[BoolArray]) -> BoolArray:
    """Cells near the sentence's position in another block, counted from the blocks' starts."""
    usual = np.zeros_like(sure[k])
    place = blocks[k].position - blocks[k].position[0]
    for other, block in enumerate(blocks):
        if other != k:
            for row, column in np.argwhere(sure[other]):
                there = block.position[column] - block.position[0]
                usual[row] |= np.abs(place - there) <= _MOVED
    return usual
