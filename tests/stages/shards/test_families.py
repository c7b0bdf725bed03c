"""From what synth leaves to the config `families` and back to a batch."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.errors import TableError
from pipeline.runtime.run import Run
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from spfem_data import Families
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.dataset import make_inputs, make_run
from tests.builders.families import FRAMES, SIZE_PX, write_families

KEPT = [emotion for emotion in SEVEN_EMOTIONS if emotion != "fear"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("made"))
    make_inputs(run)
    pose.run(run)
    write_families(run)
    shards.run(run)
    return run


def _rows(run: Run, split: str) -> list[dict]:
    folder = run.folder("shards") / "data" / "families"
    table = pq.read_table(folder / f"{split}-00000-of-00001.parquet")
    return table.to_pylist()


@pytest.mark.slow
def test_kept_images_go_with_the_split_of_their_source(made: Run) -> None:
    for split, speaker in (("train", "S1"), ("test", "S2")):
        rows = _rows(made, split)
        assert {row["speaker"] for row in rows} == {speaker}
        assert Counter(row["emotion"] for row in rows) == dict.fromkeys(KEPT, len(FRAMES))
        assert [row["image_id"] for row in rows[:2]] == [
            f"{speaker}_neutral-000002-own", f"{speaker}_neutral-000002-happy",
        ]  # fmt: skip
        assert {row["generator_sha256"] for row in rows} == {"g"}
        assert {row["direction_sha256"] for row in rows if not row["is_reconstruction"]} == {"d"}
        assert {row["beta"] for row in rows} == {0.0, 4.0}


def test_any_two_of_a_family_are_a_pair(made: Run) -> None:
    pairs = Families(made.folder("shards"), "train")
    assert len(pairs) == len(FRAMES) * len(list(permutations(KEPT, 2)))
    batch = pairs.__getitems__(range(len(pairs)))
    assert batch["source"].shape == (60, 3, SIZE_PX, SIZE_PX)
    assert all(
        (a, b) in set(permutations(KEPT, 2))
        for a, b in zip(batch["source_emotion"], batch["target_emotion"], strict=True)
    )
    # The image is that of the emotion that its column names.
    frames = np.array([int(name.rsplit("-", 1)[1]) for name in batch["family_id"]])
    for side in ("source", "target"):
        greys = batch[side].float().mean(dim=(1, 2, 3)).numpy()
        told = np.array([SEVEN_EMOTIONS.index(e) for e in batch[f"{side}_emotion"]])
        np.testing.assert_allclose(greys, 20 + 30 * told + frames, atol=2)
    assert isinstance(batch["target_mouth_open_difference"], torch.Tensor)


def test_pairs_can_begin_with_the_reconstruction_and_be_chosen(made: Run) -> None:
    own = Families(made.folder("shards"), "train", from_own=True)
    assert len(own) == len(FRAMES) * 5
    batch = own.__getitems__(range(len(own)))
    assert set(batch["source_emotion"]) == {"neutral"}
    still = Families(made.folder("shards"), "train", where=[("mouth_open_difference", "<", 0.025)])
    assert {e for e in still.__getitems__(range(len(still)))["target_emotion"]} == {
        "neutral", "happy", "angry",
    }  # fmt: skip
    with pytest.raises(TableError, match="no two images of one family in 'train' meet `where`"):
        Families(made.folder("shards"), "train", where=[("mouth_open_difference", "<", -1)])


def test_a_changed_family_rewrites_its_file_alone(made: Run) -> None:
    before = {p: p.read_bytes() for p in (made.folder("shards") / "data").rglob("*.parquet")}
    write_families(made, lost=None)
    summary = shards.run(made)
    assert summary.done == 2  # of train and of test
    after = {p: p.read_bytes() for p in before}
    assert {p.parent.name for p in before if before[p] != after[p]} == {"families"}
    assert len(_rows(made, "train")) == 2 * 7
