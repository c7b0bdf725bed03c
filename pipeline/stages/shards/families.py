"""The config `families`: kept images of kept families, with measures and provenance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pipeline.digests import digest
from pipeline.records import Clip, MadeFamily
from pipeline.runtime.tables import read_table

_SAME = (
    "family_id", "emotion", "is_reconstruction", "take_id", "frame", "time_s", "dataset", "speaker",
    "source_emotion", "level", "view", "split", "beta", "gaps", "norm", "mouth_open", "mouth_width",
    "mouth_corner", "mouth_open_difference", "mouth_width_difference", "mouth_corner_difference",
    "identity", "clarity", "clarity_rise", "generator_sha256", "encoder_sha256", "direction_sha256",
)  # fmt: skip


@dataclass(frozen=True)
class FamilyTake:
    """A take with kept families: clip, split, digest of their rows, number of kept images."""

    clip: Clip
    split: str
    rows_sha256: str
    n_images: int

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.take_id, self.split, self.rows_sha256


def family_takes(
    families: Iterable[MadeFamily], clips: Mapping[str, Clip]
) -> tuple[list[FamilyTake], list[Clip]]:
    """The takes with a kept family, and those of them without a split."""
    by_take: dict[str, list[MadeFamily]] = {}
    for family in families:
        by_take.setdefault(family.take_id, []).append(family)
    with_split, without = [], []
    for take_id, theirs in sorted(by_take.items()):
        split = theirs[0].split
        if split is None:
            without.append(clips[take_id])
        else:
            rows = digest([family.rows_sha256 for family in theirs])
            n_images = sum(1 + family.n_kept for family in theirs)
            with_split.append(FamilyTake(clips[take_id], split, rows, n_images))
    return with_split, without


def family_rows(take: FamilyTake, families_file: Path) -> Iterator[dict[str, Any]]:
    """The rows of one take: the images of a family in sequence, its reconstruction first."""
    table = read_table(families_file, columns=[*_SAME, "frame_to_image", "verdict", "family_kept",
                                               "image"])  # fmt: skip
    kept = pc.and_(table["family_kept"], pc.equal(table["verdict"], "kept"))
    for batch in table.filter(kept).to_batches(64):
        for row in batch.to_pylist():
            name = f"{row['family_id']}-{'own' if row['is_reconstruction'] else row['emotion']}"
            yield {
                "image_id": name,
                "image": {"bytes": row["image"], "path": f"{name}.jpg"},
                **{column: row[column] for column in _SAME},
                "frame_to_image": row["frame_to_image"],
            }
