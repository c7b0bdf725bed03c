"""The sampler for SSERD's hybrid training: synthetic pairs and real frames, with two references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.conditions import Condition, check_conditions
from spfem_data.datasets import Batch, BatchDataset, ColumnReader
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.reader import Shards
from spfem_data.references import SEVEN, TIGHT, GroupIndex, References, labels
from spfem_data.rng import I64, KeyedRng, shuffled_cycle

Mask = NDArray[np.bool_]


class SserdQuads(BatchDataset):
    """I_s, I_t, I_r1, I_r2 and the indicator of SSERD's hybrid training (3.3, eq. 13 and 14).

    source, target, reference_same and reference_other are (n, 3, h, w). If `synthetic` (n,) is 1,
    source and target are two images of one family. If it is 0, the source is a real frame, and the
    target, which it lacks, is black. The references are real frames that show the target emotion,
    one of the source's speaker and one of another. emotion (n,) and source_emotion (n,) are indices
    in `EMOTIONS`.

    Parameters
    ----------
    synthetic_share
        Of the samples; the paper does not give it.
    where
        Conditions on the config `families`: `("mouth_open_difference", "<", 0.03)`.
    where_frames
        Conditions on the config `frames`.

    Raises
    ------
    TableError
        If no family or no frame has both references.
    """

    IMAGES = ("source", "target", "reference_same", "reference_other")

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        synthetic_share: float = 0.5,
        where: Sequence[Condition] | None = (),
        where_frames: Sequence[Condition] | None = (),
        image_format: ImageFormat = TIGHT,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads=1)
        if not 0 < synthetic_share <= 1:
            raise PipelineError(f"synthetic_share {synthetic_share}: expected above 0, at most 1")
        if image_format.size is None:
            raise PipelineError("SserdQuads needs image_format=ImageFormat(size=...), because "
                                "synthetic images and real frames may differ in size")  # fmt: skip
        columns = ("image_id", "family_id", "speaker", "emotion")
        families = Shards(folder, "families", split, cache=cache, options=options)
        frames = Shards(folder, "frames", split, cache=cache, options=options)
        self._synthetic = ColumnReader(families, columns, where)
        self._real = ColumnReader(
            frames, ("image_id", "speaker", "emotion"), [*check_conditions(where_frames), SEVEN]
        )
        self._readers = self._synthetic, self._real
        self._references = References(self._real)
        self._families = GroupIndex(
            list(self._synthetic.values("family_id")), list(self._synthetic.values("image_id"))
        )
        self._targets = self._synthetic_targets()
        self._real_sources = self._sources_with_references()
        share = (1 - synthetic_share) / synthetic_share
        self._n_real = round(len(self._targets) * share)
        self._settings = [self._n_real]
        if not len(self._targets) or (self._n_real and not len(self._real_sources)):
            raise TableError(
                f"{len(self._synthetic)} synthetic images and {len(self._real)} real frames of "
                f"{split} give no quad: it needs two images of a family, and real frames of the "
                "target emotion by the same and by another speaker"
            )

    def _synthetic_targets(self) -> I64:
        """Synthetic images that have another image in their family and both references."""
        speakers, emotions = self._synthetic.values("speaker"), self._synthetic.values("emotion")
        families, images = self._synthetic.values("family_id"), self._synthetic.values("image_id")
        others = self._families.counts(list(families), list(images)) > 0
        return np.flatnonzero(others & self._references.both(list(speakers), list(emotions)))

    def _sources_with_references(self) -> I64:
        """Real frames whose speaker has both references of an emotion other than the frame's."""
        speakers, emotions = self._real.values("speaker"), self._real.values("emotion")
        choices = self._references.choices
        return np.array(
            [
                k
                for k, (speaker, emotion) in enumerate(zip(speakers, emotions, strict=True))
                if set(choices.get(speaker, ())) - {emotion}
            ],
            np.int64,
        )

    def __len__(self) -> int:
        return len(self._targets) + self._n_real

    def runs(self) -> list[int]:
        """The images of a quad are in different row groups."""
        return [1] * len(self)

    def weights(self, column: str) -> Any:
        """Not supported: a quad has rows of two configs."""
        raise PipelineError("SserdQuads does not support weights: use synthetic_share and where=")

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """The quads. Images are resized here, because those of two configs may differ in size."""
        mask = indices < len(self._targets)
        targets = self._targets[indices[mask]]
        sources, reals = self._sources(targets, rng, mask), self._reals(indices, rng, mask)
        speakers = _merged(mask, self._synthetic.column("speaker", sources),
                           self._real.column("speaker", reals))  # fmt: skip
        own = _merged(mask, self._synthetic.column("emotion", sources),
                      self._real.column("emotion", reals))  # fmt: skip
        wanted = _merged(mask, self._synthetic.column("emotion", targets),
                         self._target_emotions(rng, mask, speakers, own))  # fmt: skip
        same = self._references.sample(rng, "same", speakers, wanted)
        other = self._references.sample(rng, "other", speakers, wanted)
        size = self.image_format.size
        assert size is not None
        source = torch.zeros(len(indices), 3, size, size, dtype=torch.uint8)
        target = torch.zeros_like(source)
        self._fill(source, mask, self._synthetic, sources, pool)
        self._fill(source, ~mask, self._real, reals, pool)
        self._fill(target, mask, self._synthetic, targets, pool)
        return {
            "source": source, "target": target,
            "reference_same": self._resized(self._real, same, pool),
            "reference_other": self._resized(self._real, other, pool),
            "synthetic": torch.from_numpy(mask.astype(np.float32)),
            "emotion": labels(wanted), "source_emotion": labels(own), "speaker": speakers,
            "source_id": _merged(mask, self._synthetic.column("image_id", sources),
                                 self._real.column("image_id", reals)),
            "target_id": _merged(mask, self._synthetic.column("image_id", targets),
                                 [None] * int((~mask).sum())),
            "reference_same_id": self._real.column("image_id", same),
            "reference_other_id": self._real.column("image_id", other),
        }  # fmt: skip

    def _sources(self, targets: I64, rng: KeyedRng, mask: Mask) -> I64:
        """Another image of each target's family."""
        families = self._synthetic.column("family_id", targets)
        images = self._synthetic.column("image_id", targets)
        return self._families.sample(rng.subset(mask), "source", families, images)

    def _reals(self, indices: I64, rng: KeyedRng, mask: Mask) -> I64:
        """Real frames, each equally often, in a random order of their own."""
        positions = indices[~mask] - len(self._targets)
        return shuffled_cycle(self._real_sources, positions, rng.subset(~mask), 1)

    def _target_emotions(
        self, rng: KeyedRng, mask: Mask, speakers: list[str], own: list[str]
    ) -> list[str]:
        """For real sources: a random other emotion that has both references."""
        wanted = []
        bits = rng.subset(~mask).bits("emotion").tolist()
        real = np.flatnonzero(~mask).tolist()
        for number, k in zip(bits, real, strict=True):
            choices = [e for e in self._references.choices[speakers[k]] if e != own[k]]
            wanted.append(choices[number % len(choices)])
        return wanted

    def _fill(
        self,
        images: torch.Tensor,
        mask: Mask,
        reader: ColumnReader,
        rows: I64,
        pool: Executor | None,
    ) -> None:
        if len(rows):
            images[torch.from_numpy(np.flatnonzero(mask))] = self._resized(reader, rows, pool)

    def _resized(self, reader: ColumnReader, rows: I64, pool: Executor | None) -> torch.Tensor:
        size_only = ImageFormat(self.image_format.order, self.image_format.size)
        return size_only.apply(reader.images("image", rows, self.image_format, pool))


def _merged(mask: Mask, inside: Sequence[Any], outside: Sequence[Any]) -> list[Any]:
    """The values of `inside` where the mask is true, and those of `outside` elsewhere, in order."""
    first, second = iter(inside), iter(outside)
    return [next(first) if chosen else next(second) for chosen in mask.tolist()]
