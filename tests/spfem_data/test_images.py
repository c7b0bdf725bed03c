"""Image formats: colour order, size, values; reused memory; damaged files."""

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
from spfem_data.images import BufferPool, InvalidImage, decode_into, decodes_on
from tests.builders.shards import face, jpeg, write_pairs

FILES = [jpeg(face("S1", "happy", k / 4, k)) for k in range(5)]
PIXELS = torch.from_numpy(np.stack([simplejpeg.decode_jpeg(f, "RGB") for f in FILES]))
PIXELS = PIXELS.permute(0, 3, 1, 2)
NOT_DECODED = r"JPEG image|too small to decode|48x48 px in a batch of 64x64 px"


def decoded(image_format: ImageFormat) -> torch.Tensor:
    return image_format.apply(decode_into(FILES, image_format.order, BufferPool()))


def test_as_stored() -> None:
    assert torch.equal(decoded(ImageFormat()), PIXELS)
    assert torch.equal(decoded(ImageFormat("BGR")), PIXELS.flip(1))


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
        pixels = decoded(ImageFormat(order, values=values))
        assert pixels.dtype == torch.float32
        assert torch.allclose(pixels, right, atol=1e-5)


def test_size_is_scaled_without_aliasing() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    file = bytes(simplejpeg.encode_jpeg(stripes, 100, "RGB", colorsubsampling="444"))
    image = ImageFormat(size=16).apply(decode_into([file], "RGB", BufferPool()))
    assert image.shape == (1, 3, 16, 16)
    assert image.dtype == torch.uint8
    assert (image[..., 1:-1].float() - 127.5).abs().max() < 1
    assert ImageFormat(size=96).apply(PIXELS).shape == (5, 3, 96, 96)


def test_windows_are_scaled_alike() -> None:
    small = ImageFormat(size=24, values="0..1")
    assert torch.equal(small.apply(PIXELS[None])[0], small.apply(PIXELS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": "GBR"}, "order 'GBR': expected RGB or BGR"),
        ({"values": "float"}, "values 'float': expected 'uint8'"),
        ({"size": 0}, "size 0: expected at least 1 pixel"),
    ],
)
def test_impossible_formats_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        ImageFormat(**arguments)


def test_memory_is_reused_only_without_references() -> None:
    buffers = BufferPool()
    first = buffers.take((4, 4))
    address = first.data_ptr()
    view = first[1:]
    del first
    gc.collect()
    second = buffers.take((4, 4))
    assert second.data_ptr() != address
    del view
    assert buffers.take((4, 4)).data_ptr() == address
    assert buffers.take((5, 4)).shape == (5, 4)


def test_referenced_memory_does_not_grow_the_pool() -> None:
    buffers = BufferPool(kept=3)
    held = [buffers.take((8,)).fill_(k) for k in range(10)]
    assert [int(buffer[0]) for buffer in held] == list(range(10))
    assert len({buffer.data_ptr() for buffer in held}) == 10


def test_invalid_images_are_numbered() -> None:
    with pytest.raises(InvalidImage, match=NOT_DECODED) as invalid:
        decode_into([FILES[0], FILES[1][:200]], "RGB", BufferPool())
    assert invalid.value.number == 1
    larger = bytes(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8)))
    for files in ([FILES[0], larger], [larger, FILES[0]]):
        with pytest.raises(InvalidImage, match=NOT_DECODED) as invalid:
            decode_into(files, "RGB", BufferPool())
        assert invalid.value.number == 1
    with pytest.raises(InvalidImage, match=NOT_DECODED) as invalid:
        decode_into([b"no jpeg"], "RGB", BufferPool())
    assert invalid.value.number == 0


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"], files=1)
    path = Shards(tmp_path, "pairs", "train").files[0]
    table = pq.read_table(path)
    values = table["target"].to_pylist()
    values[13]["bytes"] = values[13]["bytes"][:300]
    column = table.schema.get_field_index("target")
    damaged = table.set_column(
        column, "target", pa.array(values, table.schema.field("target").type)
    )
    pq.write_table(
        damaged, path, compression="none", use_dictionary=False, row_group_size=10
    )  # fmt: skip
    loader = Loader(Pairs(tmp_path, "train", columns=["target"]), 8, shuffle="none")
    with pytest.raises(TableError, match=r"target of row 3 in row group 1: .*build the file again"):
        list(loader)


def test_only_cuda_decodes() -> None:
    assert not decodes_on(None)
    assert not decodes_on(torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_and_cpu_agree(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"])
    small = ImageFormat(size=32, values="-1..1")
    pairs = Pairs(tmp_path, "train", columns=["target", "confidence"], image_format=small)
    for decode in ("cpu", "device"):
        here, there = Loader(pairs, 16), Loader(pairs, 16, device="cuda", decode=decode)
        for a, b in zip(here, there, strict=True):
            assert b["target"].device.type == b["confidence"].device.type == "cuda"
            bound = 0.02 if decode == "cpu" else 0.1
            assert (a["target"] - b["target"].cpu()).abs().mean() < bound
