"""What regularises a generator (CDRL 3.3): a source and its sound, a reference and its emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, get_args

import numpy as np

from spfem_data.audio import Sounds
from spfem_data.datasets import Batch, Rows, Samples
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Condition, Shards
from spfem_data.references import SEVEN, TIGHT, References, Whose, labels
from spfem_data.rng import F64, I64, Draws


class Regularisation(Samples):
    """A source frame with its sound, and a reference with its emotion (CDRL 3.3, eq. 4 to 6).

    source, reference (n, 3, h, w), sound float32 (n, samples) around the source's instant, emotion
    (n,) of the reference as a place in `schema.EMOTIONS`. The emotion is drawn among those that the
    frames can show for the source; so is the reference, anew in each epoch.

    Parameters
    ----------
    reference
        Whose: of the `same` speaker (intra-ID), of an `other` (cross-ID), or `any`.
    window_s
        Length of the sound.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        reference: Whose = "any",
        window_s: float = 0.2,
        where: Sequence[Condition] = (),
        form: ImageFormat = TIGHT,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads=1)
        if reference not in get_args(Whose):
            raise PipelineError(f"reference {reference!r}: expected same, other or any")
        self._whose: Whose = reference
        frames = Shards(folder, "frames", split, cache=cache, options=options)
        self._frames = Rows(frames, ["image_id", "speaker", "emotion", "take_id"], [*where, SEVEN])
        self._sounds = Sounds(folder, split, window_s, cache=cache, options=options)
        self._references = References(self._frames)
        self._choices = self._find_choices()
        speakers = self._frames.values("speaker")
        heard = self._sounds.has(list(self._frames.values("take_id")))
        able = np.array([bool(self._choices[speaker]) for speaker in speakers], np.bool_)
        self._index = np.flatnonzero(heard & able)
        if not len(self._index):
            raise TableError(f"none of {len(self._frames)} frames of {split} has a sound and a "
                             f"reference of the {reference} speaker")  # fmt: skip

    def _find_choices(self) -> dict[str, list[str]]:
        """The emotions that a reference of each speaker's sources can show."""
        speakers = sorted(set(self._frames.values("speaker")))
        found = {}
        for speaker in speakers:
            counts = self._references.counts(self._whose, [speaker] * 7, list(EMOTIONS))
            found[speaker] = [e for e, n in zip(EMOTIONS, counts, strict=True) if n]
        return found

    def __len__(self) -> int:
        return len(self._index)

    def rows(self) -> Sequence[Rows]:
        """Of the configs frames and takes."""
        return self._frames, self._sounds.rows

    def runs(self) -> list[int]:
        """As the frames lie in the files."""
        return self._frames.chosen[self._index].runs()

    def weights(self, column: str) -> F64:
        """Of the sources."""
        return np.asarray(super().weights(column)[self._index])

    def identity(self) -> list[object]:
        """Also whose the references are, and the sound's length."""
        return [*super().identity(), self._whose, self._sounds.samples]

    def pictures(self) -> frozenset[str]:
        """source and reference."""
        return frozenset({"source", "reference"})

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """Sources, sounds and references."""
        rows = self._frames
        at = self._index[indices]
        speakers, takes = rows.column("speaker", at), rows.column("take_id", at)
        choices = [self._choices[speaker] for speaker in speakers]
        lots = draws.below("emotion", np.array([len(c) for c in choices]))
        wanted = [c[lot] for c, lot in zip(choices, lots.tolist(), strict=True)]
        references = self._references.draw(draws, self._whose, speakers, wanted)
        times_s = np.asarray(rows.column("time_s", at))
        return {
            "source": self.picture(rows, "image", at, pool),
            "sound": self._sounds.pieces(takes, times_s),
            "reference": self.picture(rows, "image", references, pool),
            "emotion": labels(wanted), "source_emotion": labels(rows.column("emotion", at)),
            "speaker": speakers, "reference_speaker": rows.column("speaker", references),
            "source_id": rows.column("image_id", at),
            "reference_id": rows.column("image_id", references),
        }  # fmt: skip
