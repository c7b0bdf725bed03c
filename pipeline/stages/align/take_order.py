"""What the order of a MEAD speaker's takes says about who says the same: support and contradiction.

MEAD's tables (see `pipeline.corpora.mead_sentences`) put sentences into blocks, and lost clips and
both orders of the blocks leave two things of them standing, which are used here instead of the
numbers themselves:

- inside a block neighbours stay neighbours: if take 7 says what neutral take 12 says, take 8 or 9
  likely says what 13 or 14 does (*near*: 1 where both numbers go one on, half where a clip must
  have been lost between);
- a sentence is said in all emotions or in one: a neutral take that a single emotion matches is
  of neutral's own, and the match a near twin or an accident (*echo*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.stages.align.utterances import FloatArray

BoolArray = npt.NDArray[np.bool_]

_REACH = 2
"""How far off a neighbour may be, in takes of either side: one clip lost between."""
_APART = 4
"""How far off its block a match may be, likewise, before it cannot be of that block."""
_FAMILY, _FAMILY_SHARE = 0.3, 0.5
"""How much worse than the median of its block's matches a score may be: so much, or that share of
the median if more. Measured: right ones lie within 0.26 where the median is 0.4 and within 0.37
where it is 0.9; a near twin of a lost clip lay 0.4 off where it was 0.55."""
_FULL = 20
"""Takes (MEAD: 30) from which on the order of a block may forbid; fewer may be of anywhere."""
_MOVED = 4
"""How many takes a sentence may lie off its neighbours: more were never lost at once."""
_EVIDENT = 3
"""Matches with a neighbour, from which on a block can be seen to be in order."""
_ECHOED, _ALONE = 1 / 2, 1 / 3
"""Share of the other emotions that says a sentence: parallel from the first on, not so below the
second."""


@dataclass(frozen=True, eq=False)
class Block:
    """The takes of one emotion and level beside all neutral takes.

    Attributes
    ----------
    emotion : str
    position : int [shape=(n_takes,)]
        Place of each take in the order of their numbers, comparable between levels.
    score : float64 [shape=(n_neutral, n_takes)]
        Low is alike; infinite: cannot be.
    """

    emotion: str
    position: npt.NDArray[np.int64]
    score: FloatArray


@dataclass(frozen=True, eq=False)
class Bearing:
    """What the order says to every cell of a block: `support` in [0, 1], and where it forbids."""

    support: FloatArray
    forbidden: BoolArray


def bearings(
    blocks: Sequence[Block], heard: Sequence[BoolArray], matched: Sequence[BoolArray]
) -> list[Bearing]:
    """What the matches of all blocks say about every cell of each.

    Parameters
    ----------
    blocks : of one speaker
    heard, matched : one bool [shape=(n_neutral, n_takes)] a block
        The cells that the sound alone matches, and those that are matched so far. Only the first
        count as echo: else a neutral take that many are a little alike would carry them all.
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
    """The matches that have a neighbour; none where most have none, for then it is by chance.

    None either in a block of few takes, whose order says little.
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
    """Which cells have a match a little before or after them, in both numberings."""
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

    An emotion matches it when at least half of its levels do; blocks of few takes are not asked.
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
    """Cells far from where their row's neighbours surely are, or on the wrong side of them."""
    forbidden = np.zeros_like(sure)
    for row, column in np.argwhere(sure):
        for other in range(max(row - _REACH, 0), min(row + _REACH + 1, len(sure))):
            off = position - position[column]
            far = np.abs(off - (other - row)) > _MOVED
            forbidden[other] |= far | (np.sign(off) != np.sign(other - row))
    return forbidden


def _placed(k: int, blocks: Sequence[Block], sure: Sequence[BoolArray]) -> BoolArray:
    """Cells of a row that another level of the emotion has surely matched to another number."""
    forbidden = np.zeros_like(sure[k])
    for other, block in enumerate(blocks):
        if other != k and block.emotion == blocks[k].emotion:
            for row, column in np.argwhere(sure[other]):
                off = np.abs(blocks[k].position - block.position[column])
                forbidden[row] |= off > 2 * _MOVED
    return forbidden


def _usual(k: int, blocks: Sequence[Block], sure: Sequence[BoolArray]) -> BoolArray:
    """Cells about where another block surely has the sentence, counted from each one's start."""
    usual = np.zeros_like(sure[k])
    place = blocks[k].position - blocks[k].position[0]
    for other, block in enumerate(blocks):
        if other != k:
            for row, column in np.argwhere(sure[other]):
                there = block.position[column] - block.position[0]
                usual[row] |= np.abs(place - there) <= _MOVED
    return usual
