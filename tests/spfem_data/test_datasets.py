"""Indexing a dataset, and the first lines that people write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset

from pipeline.errors import PipelineError, TableError
from spfem_data import (
    CerlTuples,
    ImageFormat,
    Loader,
    Pairs,
    Regularisation,
    SserdQuads,
    Windows,
    identity_collate,
)
from tests.builders.shards import PX, write_everything

COLUMNS = ["sample_id", "confidence", "source"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_everything(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(folder: Path) -> Pairs:
    return Pairs(folder, "train", columns=COLUMNS, where=[("speaker", "==", "S1")])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("index", "rows"),
    [
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        (np.array([2, 0]), [2, 0]),
        (torch.tensor([2, 0]), [2, 0]),
        (torch.tensor([5]), [5]),
        ([-1, 0], [215, 0]),
        (slice(-2, None), [214, 215]),
        (slice(None, None, 100), [0, 100, 200]),
        (np.arange(216) == 7, [7]),
        ([], []),
        (slice(5, 5), []),
    ],
)
def test_batches_by_index(pairs: Pairs, index: Any, rows: list[int]) -> None:
    ids = [pairs[k]["sample_id"] for k in rows]
    batch = pairs[index]
    assert batch["sample_id"] == ids
    assert batch["confidence"].shape == (len(rows),)
    assert batch["source"].shape[:2] == (len(rows), 3)
    assert type(batch) is dict


@pytest.mark.parametrize("index", [-1, np.int64(215), torch.tensor(215), torch.tensor(-1)])
def test_the_last_sample(pairs: Pairs, index: Any) -> None:
    sample = pairs[index]
    assert sample["sample_id"] == pairs[215]["sample_id"]
    assert sample["source"].shape == (3, PX, PX)


def test_a_plain_loop_ends(folder: Path) -> None:
    few = Pairs(folder, "train", columns=["sample_id"], where=[("confidence", ">", 0.9)])
    assert sum(1 for _ in few) == len(few) == 54


@pytest.mark.parametrize("index", [216, -217, [0, 216]])
def test_an_index_out_of_range(pairs: Pairs, index: Any) -> None:
    with pytest.raises(IndexError, match=r"index (216|-217) is out of range: there are 216"):
        pairs[index]


@pytest.mark.parametrize("index", ["source", None, 1.5, [0.5], [True, False], [[1, 2]]])
def test_an_invalid_index_is_one_line(pairs: Pairs, index: Any) -> None:
    with pytest.raises(PipelineError, match=r"index .*: expected an integer, a slice or a list of"):
        pairs[index]


def test_empty_batches_of_all_datasets(folder: Path) -> None:
    small = ImageFormat(size=16, values="0..1")
    shapes = {
        "source": Pairs(folder, "train", image_format=small)[:0]["source"],
        "target": Windows(folder, "train", image_format=small)[:0]["target"],
        "image": CerlTuples(folder, image_format=small)[:0]["image"],
        "reference_same": SserdQuads(folder, image_format=small)[:0]["reference_same"],
        "reference": Regularisation(folder, image_format=small)[:0]["reference"],
    }
    assert {name: tuple(images.shape) for name, images in shapes.items()} == {
        "source": (0, 3, 16, 16), "target": (0, 5, 3, 16, 16), "image": (0, 7, 3, 16, 16),
        "reference_same": (0, 3, 16, 16), "reference": (0, 3, 16, 16),
    }  # fmt: skip


def test_data_loader_needs_identity_collate(pairs: Pairs) -> None:
    with pytest.raises(PipelineError, match="pass collate_fn=identity_collate to DataLoader"):
        next(iter(DataLoader(pairs, batch_size=4)))
    some = Subset(pairs, [3, 2, 1])
    batch = next(iter(DataLoader(some, batch_size=2, collate_fn=identity_collate)))
    assert batch["sample_id"] == pairs[[3, 2]]["sample_id"]
    sample = next(iter(DataLoader(pairs, batch_size=None)))
    assert sample["source"].shape == (3, PX, PX)


def test_loader_reads_only_its_own_datasets(pairs: Pairs) -> None:
    for data, name in ((Subset(pairs, [1]), "Subset"), (ConcatDataset([pairs]), "ConcatDataset")):
        with pytest.raises(PipelineError, match=f"reads a dataset of spfem_data, not {name}: sel"):
            Loader(data, 4)


def test_columns(folder: Path) -> None:
    assert list(Pairs(folder, "train", columns=["frame_a", "frame_a"])[0]) == ["frame_a"]
    assert list(Pairs(folder, "train", columns=[])[0]) == []
    with pytest.raises(TableError, match=r"columns='source': expected a list of names, \['"):
        Pairs(folder, "train", columns="source")


def test_the_format_must_be_one(folder: Path) -> None:
    with pytest.raises(PipelineError, match=r"image_format=\{'size': 64\}: expected ImageFormat"):
        Pairs(folder, "train", image_format={"size": 64})
