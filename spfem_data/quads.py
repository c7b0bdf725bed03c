"""What SSERD's hybrid training reads: made pairs and real frames, each with two references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.datasets import Batch, Rows, Samples
from spfem_data.errors import PipelineError, TableError
from spfem_data.groups import Pool
from spfem_data.images import ImageFormat
from spfem_data.reader import Condition, Shards
from spfem_data.references import SEVEN, TIGHT, References, labels
from spfem_data.rng import I64, Draws, again_and_again

Mask = NDArray[np.bool_]


class SserdQuads(Samples):
    """I_s, I_t, I_r1, I_r2 and the indicator of SSERD's hybrid training (3.3, eq. 13 and 14).

    source, target, reference_same and reference_other are (n, 3, h, w). Where `synthetic` is 1,
    source and target are two pictures of one family; where it is 0, the source is a real frame and
    the target is black: it has none. The references are real frames that show the target emotion,
    of the source's speaker and of another. emotion (n,) and source_emotion (n,) are places in
    `schema.EMOTIONS`.

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
        Where no family or frame can be given both references.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        synthetic_share: float = 0.5,
        where: Sequence[Condition] = (),
        where_frames: Sequence[Condition] = (),
        form: ImageFormat = TIGHT,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads=1)
        if not 0 < synthetic_share <= 1:
            raise PipelineError(f"synthetic_share {synthetic_share}: expected above 0, at most 1")
        if form.size is None:
            raise PipelineError("SserdQuads needs form=ImageFormat(size=...): made pictures and "
                                "real frames may differ in size")  # fmt: skip
        kept = ("image_id", "family_id", "speaker", "emotion")
        made = Shards(folder, "families", split, cache=cache, options=options)
        real = Shards(folder, "frames", split, cache=cache, options=options)
        self._made = Rows(made, kept, where)
        self._real = Rows(real, ("image_id", "speaker", "emotion"), [*where_frames, SEVEN])
        self._references = References(self._real)
        self._families = Pool(
            list(self._made.values("family_id")), list(self._made.values("image_id"))
        )
        self._targets = self._find_targets()
        self._others = self._find_others()
        share = (1 - synthetic_share) / synthetic_share
        self._n_real = round(len(self._targets) * share)
        if not len(self._targets) or (self._n_real and not len(self._others)):
            raise TableError(
                f"{len(self._made)} made pictures and {len(self._real)} real frames of {split} "
                "give no quad: it needs two pictures of a family, and real frames of the target "
                "emotion by the same and by another speaker"
            )

    def _find_targets(self) -> I64:
        """Made pictures with another of their family and with both references."""
        speakers, emotions = self._made.values("speaker"), self._made.values("emotion")
        families, names = self._made.values("family_id"), self._made.values("image_id")
        others = self._families.counts(list(families), list(names)) > 0
        return np.flatnonzero(others & self._references.both(list(speakers), list(emotions)))

    def _find_others(self) -> I64:
        """Real frames whose speaker has references of another emotion than the frame's."""
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

    def rows(self) -> Sequence[Rows]:
        """Of the configs families and frames."""
        return self._made, self._real

    def runs(self) -> list[int]:
        """Quads are drawn from everywhere."""
        return [1] * len(self)

    def identity(self) -> list[object]:
        """Also how many are real."""
        return [*super().identity(), self._n_real]

    def pictures(self) -> frozenset[str]:
        """All four."""
        return frozenset({"source", "target", "reference_same", "reference_other"})

    def weights(self, column: str) -> Any:
        """Refused: a quad is of two configs."""
        raise PipelineError("SserdQuads takes no weights: see synthetic_share and where=")

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """The quads; pictures are scaled here, since those of two configs may differ in size."""
        made = indices < len(self._targets)
        targets = self._targets[indices[made]]
        sources, reals = self._sources(targets, draws, made), self._reals(indices, draws, made)
        speakers = _scattered(made, self._made.column("speaker", sources),
                              self._real.column("speaker", reals))  # fmt: skip
        own = _scattered(made, self._made.column("emotion", sources),
                         self._real.column("emotion", reals))  # fmt: skip
        wanted = _scattered(made, self._made.column("emotion", targets),
                            self._wanted(draws, made, speakers, own))  # fmt: skip
        same = self._references.draw(draws, "same", speakers, wanted)
        other = self._references.draw(draws, "other", speakers, wanted)
        size = self.form.size
        assert size is not None
        source = torch.zeros(len(indices), 3, size, size, dtype=torch.uint8)
        target = torch.zeros_like(source)
        self._put(source, made, self._made, sources, pool)
        self._put(source, ~made, self._real, reals, pool)
        self._put(target, made, self._made, targets, pool)
        return {
            "source": source, "target": target,
            "reference_same": self._scaled(self._real, same, pool),
            "reference_other": self._scaled(self._real, other, pool),
            "synthetic": torch.from_numpy(made.astype(np.float32)),
            "emotion": labels(wanted), "source_emotion": labels(own), "speaker": speakers,
            "source_id": _scattered(made, self._made.column("image_id", sources),
                                    self._real.column("image_id", reals)),
            "target_id": _scattered(made, self._made.column("image_id", targets),
                                    [None] * int((~made).sum())),
            "reference_same_id": self._real.column("image_id", same),
            "reference_other_id": self._real.column("image_id", other),
        }  # fmt: skip

    def _sources(self, targets: I64, draws: Draws, made: Mask) -> I64:
        """Another picture of each target's family."""
        families = self._made.column("family_id", targets)
        names = self._made.column("image_id", targets)
        return self._families.draw(draws.of(made), "source", families, names)

    def _reals(self, indices: I64, draws: Draws, made: Mask) -> I64:
        """Real frames, each as often as the others, in an order of their own."""
        places = indices[~made] - len(self._targets)
        return again_and_again(self._others, places, draws.of(~made), 1)

    def _wanted(self, draws: Draws, made: Mask, speakers: list[str], own: list[str]) -> list[str]:
        """For the real sources: one of the other emotions that have both references."""
        found = []
        lots = draws.of(~made).bits("emotion").tolist()
        real = np.flatnonzero(~made).tolist()
        for lot, k in zip(lots, real, strict=True):
            choices = [e for e in self._references.choices[speakers[k]] if e != own[k]]
            found.append(choices[lot % len(choices)])
        return found

    def _put(
        self, block: torch.Tensor, here: Mask, rows: Rows, at: I64, pool: Executor | None
    ) -> None:
        if len(at):
            block[torch.from_numpy(np.flatnonzero(here))] = self._scaled(rows, at, pool)

    def _scaled(self, rows: Rows, at: I64, pool: Executor | None) -> torch.Tensor:
        size_alone = ImageFormat(self.form.order, self.form.size)
        return size_alone.finish(rows.pictures("image", at, self.form, pool))


def _scattered(here: Mask, inside: Sequence[Any], outside: Sequence[Any]) -> list[Any]:
    """Two lists back in the places where a mask took them from."""
    first, second = iter(inside), iter(outside)
    return [next(first) if chosen else next(second) for chosen in here.tolist()]
