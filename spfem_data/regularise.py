"""The sampler for the regularisation of a generator (CDRL 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, get_args

import numpy as np

from spfem_data.audio import AudioWindows
from spfem_data.conditions import Condition, check_conditions
from spfem_data.datasets import Batch, BatchDataset, ColumnReader
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Shards
from spfem_data.references import SEVEN, TIGHT, References, Whose, labels
from spfem_data.rng import I64, KeyedRng


class Regularisation(BatchDataset):
    """A source frame with its audio, and a reference with its emotion (CDRL 3.3, eq. 4 to 6).

    source and reference are (n, 3, h, w), audio is float32 (n, samples) centred on the source, and
    emotion (n,) is that of the reference, as an index in `EMOTIONS`. Emotion and reference are
    chosen at random in each epoch, among those that exist for the source.

    Parameters
    ----------
    reference
        Speaker of the reference: the `same` (intra-ID), an `other` (cross-ID), or `any`.
    window_s
        Length of the audio.
    """

    IMAGES = ("source", "reference")
    _rows: I64

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        reference: Whose = "any",
        window_s: float = 0.2,
        where: Sequence[Condition] | None = (),
        image_format: ImageFormat = TIGHT,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads=1)
        if reference not in get_args(Whose):
            raise PipelineError(f"reference {reference!r}: expected same, other or any")
        self._whose: Whose = reference
        frames = Shards(folder, "frames", split, cache=cache, options=options)
        self._frames = ColumnReader(
            frames,
            ["image_id", "speaker", "emotion", "take_id"],
            [*check_conditions(where), SEVEN],
        )
        self._audio = AudioWindows(folder, split, window_s, cache=cache, options=options)
        self._references = References(self._frames)
        self._choices = self._emotions_of_speakers()
        with_audio = self._audio.has(list(self._frames.values("take_id")))
        with_reference = np.array(
            [bool(self._choices[speaker]) for speaker in self._frames.values("speaker")], np.bool_
        )
        self._readers = self._frames, self._audio.reader
        self._rows = np.flatnonzero(with_audio & with_reference)
        self._settings = [self._whose, self._audio.samples]
        if not len(self._rows):
            raise TableError(f"none of {len(self._frames)} frames of {split} has audio and a "
                             f"reference of the {reference} speaker")  # fmt: skip

    def _emotions_of_speakers(self) -> dict[str, list[str]]:
        """For each speaker of a source: the emotions that have a reference."""
        emotions = {}
        for speaker in sorted(set(self._frames.values("speaker"))):
            counts = self._references.counts(self._whose, [speaker] * 7, list(EMOTIONS))
            emotions[speaker] = [e for e, n in zip(EMOTIONS, counts, strict=True) if n]
        return emotions

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """Sources, audio and references."""
        reader = self._frames
        rows = self._rows[indices]
        speakers, takes = reader.column("speaker", rows), reader.column("take_id", rows)
        choices = [self._choices[speaker] for speaker in speakers]
        picks = rng.below("emotion", np.array([len(c) for c in choices], np.int64))
        wanted = [c[pick] for c, pick in zip(choices, picks.tolist(), strict=True)]
        references = self._references.sample(rng, self._whose, speakers, wanted)
        times_s = np.asarray(reader.column("time_s", rows))
        return {
            "source": self.images(reader, "image", rows, pool),
            "audio": self._audio.windows(takes, times_s),
            "reference": self.images(reader, "image", references, pool),
            "emotion": labels(wanted), "source_emotion": labels(reader.column("emotion", rows)),
            "speaker": speakers, "reference_speaker": reader.column("speaker", references),
            "source_id": reader.column("image_id", rows),
            "reference_id": reader.column("image_id", references),
        }  # fmt: skip
