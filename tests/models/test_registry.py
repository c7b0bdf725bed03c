import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.digests import sha256_of
from pipeline.errors import MissingWeightsError, ParameterError, PipelineError
from pipeline.models import registry as models
from pipeline.models.registry import Weights, find_weights, read_weights, write_weights
from pipeline.params import ModelFile, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    notes = {"kind": json.dumps("toy"), "plain": "not json"}
    save_file({"b": torch.ones(2), "a": torch.zeros(3)}, path, notes)
    return path


def entry(path: Path | str = "", url: str = "", sha256: str = "0" * 64) -> ModelFile:
    return ModelFile(path=str(path), url=url, sha256=sha256)


def test_a_file_is_found_and_read(file: Path, tmp_path: Path) -> None:
    known = {"toy": entry(file, sha256=sha256_of(file))}
    weights = find_weights(known, "toy", tmp_path / "data", "mead")
    assert weights == Weights("toy", file, sha256_of(file))
    tensors, metadata = read_weights(weights)
    assert list(tensors) == ["a", "b"]
    assert tensors["b"].tolist() == [1, 1]
    assert metadata == {"kind": "toy", "plain": "not json"}


def test_a_hash_is_remembered_until_the_file_changes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"toy": entry(file, sha256=sha256_of(file))}
    find_weights(known, "toy", tmp_path / "data", "mead")
    monkeypatch.setattr("pipeline.runtime.store.FileHashes._read", lambda *_: "read again")
    find_weights(known, "toy", tmp_path / "data", "mead")
    file.write_bytes(file.read_bytes() + b"0")
    with pytest.raises(ParameterError, match="its sha256 is read again"):
        find_weights(known, "toy", tmp_path / "data", "mead")


def test_what_fetch_stored_is_found(file: Path, tmp_path: Path) -> None:
    known = {"toy": entry(url="https://example.org/a/net.safetensors", sha256=sha256_of(file))}
    with pytest.raises(MissingWeightsError, match=r"models\.toy\.url.*spfem-data models fetch toy"):
        find_weights(known, "toy", tmp_path, "mead")
    place = models.stored_path(known["toy"], "toy", tmp_path)
    assert place == tmp_path / "models" / "toy.safetensors"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(file.read_bytes())
    assert find_weights(known, "toy", tmp_path, "mead").path == place


@pytest.mark.parametrize(
    ("own", "kind", "says"),
    [
        (
            entry("gone.safetensors"),
            MissingWeightsError,
            r"toy\.path.*are not at gone.*copy it",
        ),
        (entry(), MissingWeightsError, "neither path nor url"),
    ],
)
def test_missing_weights_are_told(
    own: ModelFile, kind: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=says):
        find_weights({"toy": own}, "toy", tmp_path, "mead")


def test_networks_of_drawn_faces_serve_the_demo_only(tmp_path: Path) -> None:
    models = load(None).models
    for name in ("demo-clip", "demo-generator", "demo-encoder"):
        assert find_weights(models, name, tmp_path, "demo").sha256 == models[name].sha256
        for corpus in ("mead", "ravdess", "custom"):
            with pytest.raises(MissingWeightsError, match="drawn faces and serve corpus demo only"):
                find_weights(models, name, tmp_path, corpus)


def test_a_renamed_copy_of_them_does_not_either(tmp_path: Path) -> None:
    own = load(None).models["demo-clip"]
    with pytest.raises(MissingWeightsError, match="'mine' were trained on drawn faces"):
        find_weights({"mine": own}, "mine", tmp_path, "mead")


def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no model 'x' under models; it lists: toy"):
        find_weights({"toy": entry()}, "x", tmp_path, "mead")


def test_another_file_than_meant(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"models\.toy\.sha256 of params\.yaml says 000"):
        find_weights({"toy": entry(file)}, "toy", tmp_path, "mead")


def test_no_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(PipelineError, match=r"\(models\.toy\) is not a safetensors file"):
        read_weights(Weights("toy", path, ""))


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.tensor([1.0, float("inf")])}, path)
    with pytest.raises(PipelineError, match="the tensor a holds numbers that are not finite"):
        read_weights(Weights("toy", path, ""))


def test_a_file_beyond_all_measure(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_WEIGHTS_BYTES", 100)
    with pytest.raises(PipelineError, match=r"has \d+ bytes, at most 100 are read"):
        read_weights(Weights("toy", file, ""))


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.arange(6.0).reshape(2, 3) + k for k, name in enumerate("bca")}
    notes = {f"note {k}": {"é": k, "a": [1, "x"]} for k in range(9)}
    for name in ("one", "two"):
        write_weights(tmp_path / name, tensors, notes)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found, metadata = read_weights(Weights("toy", tmp_path / "one", ""))
    assert metadata == notes
    assert {name: t.tolist() for name, t in found.items()} == {
        name: t.tolist() for name, t in tensors.items()
    }
