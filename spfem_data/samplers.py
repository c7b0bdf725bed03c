"""What the losses of ASCCL, STCCL and CDRL's content part (CCRL) read, batch by batch.

Each is a dataset for `shards.loader.Loader`; whatever it draws is a function of (seed, epoch,
position), so that a resumed run draws it again. SSERD, CERL and the regularisation of a generator
stand in `shards.mixtures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from spfem_data.audio import Sounds
from spfem_data.datasets import Batch, Pairs, Rows, Samples, Windows
from spfem_data.errors import TableError
from spfem_data.groups import Pool, joined
from spfem_data.images import ImageFormat
from spfem_data.reader import Condition, Shards
from spfem_data.rng import F64, I64, Draws

ARCFACE = ImageFormat(size=224, values="-1..1")
"""224 px (STCCL 8.2), in the range that ArcFace's networks take."""

_NEUTRAL: Condition = ("emotion_a", "==", "neutral")
_PICTURES = {"x": "source", "y": "target"}


class AscclPairs(Pairs):
    """x, the neutral frame, and y, the same instant in another emotion (ASCCL 4.1): (n, 3, h, w).

    y is laid onto x by the pair's affine: regions correspond at equal coordinates.

    Parameters
    ----------
    neutral
        Whether x must be neutral, as in the paper; else any two emotions that the shards pair.
    columns
        Of the config `pairs`, beside the pictures.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b"),
        neutral: bool = True,
        form: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=[*where, _NEUTRAL] if neutral else where,
            columns=[*columns, *_PICTURES.values()], form=form, cache=cache, options=options,
        )  # fmt: skip

    def pictures(self) -> frozenset[str]:
        """x and y."""
        return frozenset(_PICTURES)

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """x, y and the columns."""
        return _renamed(super().take(indices, draws, pool))


class StcclWindows(Windows):
    """X and Y, consecutive aligned frames (STCCL 4.2): x, y (n, t, 3, h, w), weights (n, t).

    The same for both of its correlations, by visual disparity (VD) and by matrices (CM).

    Parameters
    ----------
    length
        T, which the paper does not give; None: as stored (9 by default, as its public code has it).
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        length: int | None = None,
        where: Sequence[Condition] = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b"),
        form: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=where, columns=[*columns, *_PICTURES.values()], length=length,
            form=form, cache=cache, options=options,
        )  # fmt: skip

    def pictures(self) -> frozenset[str]:
        """x and y."""
        return frozenset(_PICTURES)

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """x, y, weights and the columns."""
        return _renamed(super().take(indices, draws, pool))


def _renamed(batch: Batch) -> Batch:
    """source and target as x and y."""
    for name, column in _PICTURES.items():
        batch[name] = batch.pop(column)
    return batch


class CcrlTriplets(Samples):
    """(I_x, a_x), (I_y, a_y), (I_z, a_z) of one speaker (CDRL 3.1).

    x and y are a frame pair: the same content, two emotions. z has y's emotion, view and speaker
    and says another sentence; a new one is drawn in every epoch. x, y, z are (n, 3, h, w), sound_x,
    sound_y, sound_z float32 (n, samples), 16 kHz, the frame's instant in the middle.

    Parameters
    ----------
    window_s
        Length of the sound around each frame; the paper does not give it.
    columns
        Of x's and y's row of the config `pairs`; `z_id` is the sample_id of z's.

    Raises
    ------
    TableError
        Where no pair has a z.

    Attributes
    ----------
    left_out
        Chosen pairs without a z, or without a sound.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        window_s: float = 0.2,
        where: Sequence[Condition] = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b", "sentence"),
        form: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads=1)
        shards = Shards(folder, "pairs", split, cache=cache, options=options)
        self._pairs = Rows(shards, columns, where)
        self._sounds = Sounds(folder, split, window_s, cache=cache, options=options)
        self._index, self._partners = self._match()
        self.left_out = len(self._pairs) - len(self._index)

    def _match(self) -> tuple[I64, Pool]:
        """The pairs that have a z, and where z is drawn from."""
        rows = self._pairs
        heard = np.flatnonzero(
            self._sounds.has(list(rows.values("take_a")))
            & self._sounds.has(list(rows.values("take_b")))
        )
        groups, sentences = self._groups(heard)
        pool = Pool(groups, sentences)
        index = heard[pool.counts(groups, sentences) > 0]
        if not len(index):
            raise TableError(
                f"none of {len(rows)} frame pairs has a z: a take with sound by the same speaker "
                "in the same emotion that says another sentence"
            )
        self._heard = heard
        return index, pool

    def _groups(self, indices: I64) -> tuple[list[str], list[str]]:
        """Of pairs: what z shares with y, and the sentence, which it does not."""
        parts = (self._pairs.column(name, indices) for name in ("speaker", "view", "emotion_b"))
        return joined(*parts), self._pairs.column("sentence", indices)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self) -> Sequence[Rows]:
        """Of the configs pairs and takes."""
        return self._pairs, self._sounds.rows

    def runs(self) -> list[int]:
        """As the pairs lie in the files."""
        return self._pairs.chosen[self._index].runs()

    def weights(self, column: str) -> F64:
        """Of the pairs."""
        return np.asarray(super().weights(column)[self._index])

    def identity(self) -> list[object]:
        """Also the sound's length."""
        return [*super().identity(), self._sounds.samples]

    def pictures(self) -> frozenset[str]:
        """x, y and z."""
        return frozenset("xyz")

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """The triplets."""
        rows = self._pairs
        pairs = self._index[indices]
        others = self._heard[self._partners.draw(draws, "z", *self._groups(pairs))]
        batch = rows.scalars(pairs)
        batch["z_id"] = rows.column("sample_id", others)
        sides = (("x", "source", "a", pairs), ("y", "target", "b", pairs),
                 ("z", "target", "b", others))  # fmt: skip
        for name, column, side, at in sides:
            batch[name] = self.picture(rows, column, at, pool)
            times_s = np.asarray(rows.column(f"time_{side}_s", at))
            batch[f"sound_{name}"] = self._sounds.pieces(rows.column(f"take_{side}", at), times_s)
        return batch
