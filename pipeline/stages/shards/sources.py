"""What the rows of one file are made of: items of earlier stages, opened on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.faces.framing import Framing
from pipeline.params import Shards
from pipeline.records import CLEAR_SCHEMA, Clip, PosePair
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.shards.shard_plan import KeptPair
from pipeline.takes.framed_images import FrameTo, framing_of

POSES, CLEAR, SCORES = ".poses.parquet", ".clear.parquet", ".scores.parquet"
_FRAMINGS_IN_MEMORY = 256
_SPEAKERS_IN_MEMORY = 4


class Sources:
    """The items of the stages in `stores`, and the framings of the takes."""

    def __init__(self, stores: Mapping[str, Path], section: Shards) -> None:
        self.section = section
        self._stores = {stage: ItemStore(folder) for stage, folder in stores.items()}
        self.framing = self._framing(section.framing)
        self.frames_framing = self._framing(section.frames.framing)
        self._poses = self._by_speaker("pose", POSES, PosePair.SCHEMA)
        self._clear = self._by_speaker("filter", CLEAR, CLEAR_SCHEMA)

    def _framing(self, name: Framing) -> Callable[[Clip], FrameTo]:
        """Of each take, the matrices from its frames to the images of a config."""
        return lru_cache(_FRAMINGS_IN_MEMORY)(
            lambda clip: framing_of(name, self.section.size_px, clip, self.frames_file(clip))
        )

    def _by_speaker(self, stage: str, suffix: str, schema: pa.Schema) -> Callable[[str], pa.Table]:
        return lru_cache(_SPEAKERS_IN_MEMORY)(
            lambda speaker: read_table(self._stores[stage].path(speaker, suffix), schema)
        )

    def file(self, stage: str, clip: Clip, suffix: str) -> Path:
        """A file of a take."""
        return self._stores[stage].path(f"{clip.speaker}/{clip.take_id}", suffix)

    def frames_file(self, clip: Clip) -> Path:
        """The frames of a take."""
        return self.file("extract", clip, ".frames.parquet")

    def poses(self, kept: KeptPair) -> pa.Table:
        """The rows of `PosePair` of the kept frame pairs, in their order."""
        table = self._poses(kept.pair.speaker)
        table = table.filter(pc.equal(table["pair_id"], kept.pair.pair_id))
        frames = pa.array([frame for frame, _ in kept.frames()], pa.int32())
        return table.filter(pc.is_in(table["frame_a"], frames))

    def decided(self, clip: Clip) -> pa.Table:
        """The rows of `CLEAR_SCHEMA` of the take's kept frames."""
        table = self._clear(clip.speaker)
        own, kept = pc.equal(table["take_id"], clip.take_id), pc.equal(table["verdict"], "kept")
        return table.filter(pc.and_(own, kept))
