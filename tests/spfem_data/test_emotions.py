from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch

from pipeline.errors import TableError
from pipeline.runtime.run import Run
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from spfem_data import Emotions, Loader
from spfem_data.labels import EMOTIONS
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from spfem_data.reader import Shards
from tests.builders.dataset import make_inputs, make_run
from tests.builders.scores import turned, write_scores


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("data"))
    make_inputs(run)
    pose.run(run)
    write_scores(run)
    filter_stage.run(run)
    shards.run(run)
    return run


@pytest.fixture
def folder(made: Run) -> Path:
    return made.folder("shards")


def test_labels_are_in_the_order_of_the_records() -> None:
    assert EMOTIONS == SEVEN_EMOTIONS


@pytest.mark.slow
def test_a_batch_has_images_labels_and_embeddings(folder: Path) -> None:
    clear = Emotions(folder, "train")
    plain = list(Shards(folder, "emotions", "train").rows())
    assert len(clear) == len(plain) == 14 + 6 + 3
    order = [20, 0, 7]
    batch = clear.__getitems__(order)
    assert batch["image"].shape == (3, 3, 128, 128)
    assert batch["label"].tolist() == [
        {"neutral": 0, "happy": 1, "angry": 2}[plain[i]["emotion"]] for i in order
    ]
    for k, i in enumerate(order):
        assert batch["embedding"][k].tolist() == plain[i]["embedding"]
        assert batch["clarity"][k] == plain[i]["clarity"]
        pixels = simplejpeg.decode_jpeg(plain[i]["image"]["bytes"], "RGB")
        assert torch.equal(batch["image"][k].permute(1, 2, 0), torch.from_numpy(pixels))


def test_labels_alone(folder: Path) -> None:
    assert np.bincount(Emotions(folder, "train").labels()).tolist() == [14, 6, 3]


def test_the_clearest_r_of_every_emotion(folder: Path) -> None:
    clear = Emotions(folder, "test", where=[("rank", "<=", 3)], columns=["image_id", "embedding"])
    assert len(clear) == 9
    batch = clear.__getitems__(range(9))
    assert set(batch) == {"image_id", "embedding"}
    happy = batch["image_id"].index("S2_happy/000013")
    assert batch["embedding"][happy].tolist() == pytest.approx(turned(130).tolist(), abs=1e-6)


def test_a_loader_returns_each_once(folder: Path) -> None:
    clear = Emotions(folder, "train", columns=["image_id", "emotion"])
    loader = Loader(clear, batch_size=4, seed=1)
    ids = [i for batch in loader for i in batch["image_id"]]
    assert sorted(ids) == sorted(r["image_id"] for r in Shards(folder, "emotions", "train").rows())


def test_a_missing_config_is_reported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no file of the split 'train'"):
        Emotions(tmp_path, "train")
