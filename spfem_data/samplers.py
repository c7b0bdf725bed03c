"""Samplers for the losses of ASCCL, STCCL and CCRL (the content part of CDRL).

Each is a dataset for `Loader`. Random choices are functions of (seed, epoch, position), so a
resumed run repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from spfem_data.audio import AudioWindows
from spfem_data.conditions import Condition, check_conditions
from spfem_data.datasets import Batch, BatchDataset, ColumnReader, Pairs, Windows
from spfem_data.errors import TableError
from spfem_data.images import ImageFormat
from spfem_data.reader import Shards
from spfem_data.references import GroupIndex, joined
from spfem_data.rng import I64, KeyedRng

ARCFACE = ImageFormat(size=224, values="-1..1")
"""224 px (STCCL 8.2), in the value range of ArcFace."""

_NEUTRAL: Condition = ("emotion_a", "==", "neutral")
_IMAGES = {"x": "source", "y": "target"}


class AscclPairs(Pairs):
    """x, a neutral frame, and y, the same instant in another emotion (ASCCL 4.1): (n, 3, h, w).

    y is aligned to x by the pair's affine, so corresponding regions have the same coordinates.

    Parameters
    ----------
    neutral
        Whether x must be neutral, as in the paper; otherwise any two emotions.
    columns
        Further columns of the config `pairs`.
    """

    IMAGES = tuple(_IMAGES)

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b"),
        neutral: bool = True,
        image_format: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=[*check_conditions(where), _NEUTRAL] if neutral else where,
            columns=[*columns, *_IMAGES.values()], image_format=image_format, cache=cache,
            options=options,
        )  # fmt: skip

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """x, y and the columns."""
        return _renamed(super().read_batch(indices, rng, pool))


class StcclWindows(Windows):
    """X and Y, consecutive aligned frames (STCCL 4.2): x, y (n, t, 3, h, w), weights (n, t).

    For both of its correlations: visual disparity (VD) and correlation matrix (CM).

    Parameters
    ----------
    length
        T, which the paper does not give; None: as stored (9 by default, as in its public code).
    """

    IMAGES = tuple(_IMAGES)

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        length: int | None = None,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b"),
        image_format: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=where, columns=[*columns, *_IMAGES.values()], length=length,
            image_format=image_format, cache=cache, options=options,
        )  # fmt: skip

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """x, y, weights and the columns."""
        return _renamed(super().read_batch(indices, rng, pool))


def _renamed(batch: Batch) -> Batch:
    """Rename source and target to x and y."""
    for name, column in _IMAGES.items():
        batch[name] = batch.pop(column)
    return batch


class CcrlTriplets(BatchDataset):
    """(I_x, a_x), (I_y, a_y), (I_z, a_z) of one speaker (CDRL 3.1).

    x and y are a frame pair: the same content in two emotions. z has y's emotion, view and speaker
    and another sentence; it is chosen again in each epoch. x, y, z are (n, 3, h, w); audio_x,
    audio_y, audio_z are float32 (n, samples) at 16 kHz, centred on the frame.

    Parameters
    ----------
    window_s
        Length of the audio; the paper does not give it.
    columns
        Of x's and y's row of the config `pairs`. `z_id` is the sample_id of z's row.

    Raises
    ------
    TableError
        If no pair has a z.

    Attributes
    ----------
    left_out
        Number of selected pairs without a z or without audio.
    """

    IMAGES = ("x", "y", "z")
    _rows: I64

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        window_s: float = 0.2,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] = ("sample_id", "speaker", "emotion_a", "emotion_b", "sentence"),
        image_format: ImageFormat = ARCFACE,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads=1)
        shards = Shards(folder, "pairs", split, cache=cache, options=options)
        self._pairs = ColumnReader(shards, columns, where)
        self._audio = AudioWindows(folder, split, window_s, cache=cache, options=options)
        self._readers = self._pairs, self._audio.reader
        self._settings = [self._audio.samples]
        self._rows, self._candidates, self._partners = self._match()
        self.left_out = len(self._pairs) - len(self._rows)

    def _match(self) -> tuple[I64, I64, GroupIndex]:
        """The pairs that have a z, the candidates for z, and the candidates by group."""
        reader = self._pairs
        candidates = np.flatnonzero(
            self._audio.has(list(reader.values("take_a")))
            & self._audio.has(list(reader.values("take_b")))
        )
        groups, sentences = self._groups(candidates)
        partners = GroupIndex(groups, sentences)
        index = candidates[partners.counts(groups, sentences) > 0]
        if not len(index):
            raise TableError(
                f"none of {len(reader)} frame pairs has a z: a take with audio of the same speaker "
                "in the same emotion with another sentence"
            )
        return index, candidates, partners

    def _groups(self, indices: I64) -> tuple[list[str], list[str]]:
        """What z has in common with y, and the sentence, which must differ."""
        parts = (self._pairs.column(name, indices) for name in ("speaker", "view", "emotion_b"))
        return joined(*parts), self._pairs.column("sentence", indices)

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """The triplets."""
        reader = self._pairs
        pairs = self._rows[indices]
        others = self._candidates[self._partners.sample(rng, "z", *self._groups(pairs))]
        batch = reader.scalars(pairs)
        batch["z_id"] = reader.column("sample_id", others)
        sides = (("x", "source", "a", pairs), ("y", "target", "b", pairs),
                 ("z", "target", "b", others))  # fmt: skip
        for name, column, side, rows in sides:
            batch[name] = self.images(reader, column, rows, pool)
            times_s = np.asarray(reader.column(f"time_{side}_s", rows))
            takes = reader.column(f"take_{side}", rows)
            batch[f"audio_{name}"] = self._audio.windows(takes, times_s)
        return batch
