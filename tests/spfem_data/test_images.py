"""How pictures are given: order of colours, size, values; memory that is used again; bad files."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
import torch

from pipeline.errors import PipelineError, TableError
from spfem_data import ImageFormat, Loader, Pairs, Shards
from spfem_data.images import BadPicture, Blocks, decode_into, decodes_on
from tests.spfem_data.made_shards import face, jpeg, write_pairs

FILES = [jpeg(face("S1", "happy", k / 4, k)) for k in range(5)]
PIXELS = torch.from_numpy(np.stack([simplejpeg.decode_jpeg(f, "RGB") for f in FILES]))
PIXELS = PIXELS.permute(0, 3, 1, 2)


def given(form: ImageFormat) -> torch.Tensor:
    return form.finish(decode_into(FILES, form.order, Blocks()))


def test_as_stored() -> None:
    assert torch.equal(given(ImageFormat()), PIXELS)
    assert torch.equal(given(ImageFormat("BGR")), PIXELS.flip(1))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ("0..1", PIXELS / 255),
        ("-1..1", PIXELS / 127.5 - 1),
        (
            "imagenet",
            (PIXELS / 255 - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1))
            / torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1),
        ),
    ],
)
def test_values(values: str, wanted: torch.Tensor) -> None:
    for order, right in (("RGB", wanted), ("BGR", wanted.flip(1))):
        found = given(ImageFormat(order, values=values))
        assert found.dtype == torch.float32
        assert torch.allclose(found, right, atol=1e-5)


def test_size_is_scaled_without_aliasing() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    file = bytes(simplejpeg.encode_jpeg(stripes, 100, "RGB", colorsubsampling="444"))
    found = ImageFormat(size=16).finish(decode_into([file], "RGB", Blocks()))
    assert found.shape == (1, 3, 16, 16)
    assert found.dtype == torch.uint8
    assert (found[..., 1:-1].float() - 127.5).abs().max() < 1
    assert ImageFormat(size=96).finish(PIXELS).shape == (5, 3, 96, 96)


def test_windows_are_scaled_alike() -> None:
    form = ImageFormat(size=24, values="0..1")
    assert torch.equal(form.finish(PIXELS[None])[0], form.finish(PIXELS))


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"order": "GBR"}, "order 'GBR': expected RGB or BGR"),
        ({"values": "float"}, "values 'float': expected 'uint8'"),
        ({"size": 0}, "size 0: expected at least 1 pixel"),
    ],
)
def test_impossible_forms_are_refused(form: dict[str, object], says: str) -> None:
    with pytest.raises(PipelineError, match=says):
        ImageFormat(**form)


def test_memory_is_used_again_only_when_nobody_holds_it() -> None:
    blocks = Blocks()
    first = blocks.take((4, 4))
    address = first.data_ptr()
    view = first[1:]
    del first
    gc.collect()
    second = blocks.take((4, 4))
    assert second.data_ptr() != address
    del view
    assert blocks.take((4, 4)).data_ptr() == address
    assert blocks.take((5, 4)).shape == (5, 4)


def test_memory_that_is_held_does_not_grow_the_store() -> None:
    blocks = Blocks(kept=3)
    held = [blocks.take((8,)).fill_(k) for k in range(10)]
    assert [int(block[0]) for block in held] == list(range(10))
    assert len({block.data_ptr() for block in held}) == 10


def test_bad_pictures_are_numbered() -> None:
    with pytest.raises(BadPicture) as bad:
        decode_into([FILES[0], FILES[1][:200]], "RGB", Blocks())
    assert bad.value.number == 1
    larger = bytes(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8)))
    for files in ([FILES[0], larger], [larger, FILES[0]]):
        with pytest.raises(BadPicture) as bad:
            decode_into(files, "RGB", Blocks())
        assert bad.value.number == 1
    with pytest.raises(BadPicture) as bad:
        decode_into([b"no jpeg"], "RGB", Blocks())
    assert bad.value.number == 0


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"], files=1)
    path = Shards(tmp_path, "pairs", "train").files[0]
    table = pq.read_table(path)
    values = table["target"].to_pylist()
    values[13]["bytes"] = values[13]["bytes"][:300]
    place = table.schema.get_field_index("target")
    spoilt = table.set_column(place, "target", pa.array(values, table.schema.field("target").type))
    pq.write_table(
        spoilt, path, compression="none", use_dictionary=False, row_group_size=10
    )  # fmt: skip
    loader = Loader(Pairs(tmp_path, "train", columns=["target"]), 8, shuffle="none")
    with pytest.raises(TableError, match=r"target of row 3 in row group 1: .*build the file again"):
        list(loader)


def test_decoding_on_a_device_is_asked_of_the_device() -> None:
    assert not decodes_on(None)
    assert not decodes_on(torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"])
    form = ImageFormat(size=32, values="-1..1")
    pairs = Pairs(tmp_path, "train", columns=["target", "confidence"], form=form)
    for decode in ("cpu", "device"):
        here, there = Loader(pairs, 16), Loader(pairs, 16, device="cuda", decode=decode)
        for a, b in zip(here, there, strict=True):
            assert b["target"].device.type == b["confidence"].device.type == "cuda"
            bound = 0.02 if decode == "cpu" else 0.1
            assert (a["target"] - b["target"].cpu()).abs().mean() < bound
