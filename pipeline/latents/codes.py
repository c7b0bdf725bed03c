"""Read a dataset's codes take by take: selected rows, and sums over all rows.

Memory holds the selected rows and the sums; only row indices grow with the number of takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import TableError
from pipeline.latents.mouths import LIPS, MEASURES
from pipeline.records import Direction, InvertedTake
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stylegan import mouth, svm_direction
from pipeline.stylegan.svm_direction import F64

_COLUMNS = ("frame", "quad", "code", "verdict", *MEASURES)


@dataclass(frozen=True)
class Rows:
    """Kept rows of takes: speaker, emotion and take of each; codes are not read.

    `takes` are indices into the list of takes.
    """

    speakers: NDArray[np.str_]
    emotions: NDArray[np.str_]
    takes: NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """Kept codes (n, d), with the mouths of their frames (n, k), speakers and emotions."""

    codes: F64
    mouths: F64
    speakers: NDArray[np.str_]
    takes: NDArray[np.str_]
    emotions: NDArray[np.str_]
    frames: NDArray[np.int64]
    quads: F64

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Coded:
        """Some of the rows."""
        return Coded(*(column[rows] for column in vars(self).values()))


@dataclass(frozen=True)
class Gathered:
    """The result of one pass over all takes.

    Attributes
    ----------
    some
        The requested rows, by purpose.
    centres
        The centre (d,) of each speaker's codes.
    scale
        Root mean squared length of all codes, centred per speaker.
    pattern
        Change of the codes per change of the requested measures.
    """

    some: Mapping[str, Coded]
    centres: Mapping[str, F64]
    scale: float
    pattern: mouth.Pattern


def rows_of(takes: Sequence[InvertedTake]) -> Rows:
    """The kept rows of takes, in order, by invert's table."""
    counts = [take.n_kept for take in takes]

    def repeated(name: str) -> NDArray[np.str_]:
        return np.repeat(np.array([str(getattr(take, name)) for take in takes]), counts)

    return Rows(repeated("speaker"), repeated("emotion"), np.repeat(np.arange(len(takes)), counts))


def gather(
    takes: Sequence[InvertedTake],
    inverted: Path,
    asked: Mapping[str, NDArray[np.int64]],
    measured: Sequence[int],
) -> Gathered:
    """Read every take once; return the requested rows and the sums.

    Parameters
    ----------
    asked
        Ascending indices among all kept rows, by purpose.
    measured
        The `MEASURES` of the pattern.
    """
    parts: dict[str, list[Coded]] = {name: [] for name in asked}
    middles: dict[str, svm_direction.Middle] = {}
    pattern, first = mouth.Pattern(len(measured)), 0
    for take, coded in _each(takes, inverted):
        last = first + len(coded.codes)
        for name, rows in asked.items():
            here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)] - first
            parts[name].append(coded.chosen(here))
        middles.setdefault(take.speaker, svm_direction.Middle()).add(coded.codes)
        pattern.add(f"{take.speaker}/{take.emotion}", coded.codes, coded.mouths[:, measured])
        first = last
    n = sum(middle.n for middle in middles.values())
    squares = sum(middle.squares() for middle in middles.values())
    return Gathered(
        some={name: _joined(found) for name, found in parts.items()},
        centres={speaker: middle.centre() for speaker, middle in middles.items()},
        scale=float(np.sqrt(squares / n)),
        pattern=pattern,
    )


def _each(takes: Sequence[InvertedTake], inverted: Path) -> Iterator[tuple[InvertedTake, Coded]]:
    store = ItemStore(inverted)
    for take in takes:
        path = store.path(f"{take.speaker}/{take.take_id}", CODES)
        table = read_table(path, columns=_COLUMNS)
        kept = np.array(table["verdict"].to_pylist()) == "kept"
        n = int(kept.sum())
        if n != take.n_kept:
            raise TableError(
                f"{path} has {n} kept codes, invert's table says {take.n_kept}; rerun invert"
            )
        flat = table["code"].combine_chunks().flatten().to_numpy()
        columns = [table[name].to_numpy().astype(np.float64) for name in MEASURES]
        yield (
            take,
            Coded(
                codes=flat.reshape(len(table), -1)[kept].astype(np.float64),
                mouths=np.stack(columns, axis=1)[kept],
                speakers=np.repeat(np.array([take.speaker]), n),
                takes=np.repeat(np.array([take.take_id]), n),
                emotions=np.repeat(np.array([take.emotion]), n),
                frames=table["frame"].to_numpy().astype(np.int64)[kept],
                quads=np.array(table["quad"].to_pylist()).reshape(-1, 4, 2)[kept],
            ),
        )


def _joined(parts: Sequence[Coded]) -> Coded:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Coded(*(np.concatenate(column) for column in columns))


CODES = ".codes.parquet"


def as_vectors(direction: Direction) -> dict[str, Any]:
    """`vector`, `plain` (d,), `moves` (k, d) and `readout` (k, 80) as arrays."""
    d = direction.n_latent * direction.dim
    return {
        "vector": np.array(direction.vector),
        "plain": np.array(direction.plain),
        "moves": np.array(direction.moves).reshape(len(direction.measures), d),
        "readout": np.array(direction.readout).reshape(len(direction.measures), 2 * len(LIPS)),
    }
