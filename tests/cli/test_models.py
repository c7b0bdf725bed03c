"""`spfem-data models`: exit codes and what is printed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.digests import sha256_of
from tests.builders import hostile_weights
from tests.builders.stylegan_files import HERE, e4e, saved
from tests.builders.tiny_clip import made_network
from tests.builders.web_server import Served, serving

SOURCE = HERE / "ros_tiny32_converted.pt"


@pytest.fixture
def with_model(repository: Path, tmp_path: Path):
    """params.yaml in the working folder with one more model: (path, url, sha256)."""

    def write(path: str = "", url: str = "", sha256: str = "0" * 64) -> None:
        text = (repository / "params.yaml").read_text(encoding="utf-8")
        entry = f"models:\n  mine: {{path: '{path}', url: '{url}', sha256: '{sha256}'}}\n"
        (tmp_path / "params.yaml").write_text(text.replace("models:\n", entry, 1), encoding="utf-8")

    return write


def test_check_says_what_it_is(call) -> None:
    code, out, _ = call("models", "check", SOURCE)
    assert code == 0
    assert "StyleGAN2 generator, rosinality's layout, converted (torch)" in out
    assert "size 32, channels 16/16/12/8, style_dim 32, n_mlp 4, conv_clamp none" in out
    assert sha256_of(SOURCE) in out
    assert "terms: code MIT" in out
    assert "next: spfem-data models convert" in out


def test_check_prints_the_lines_of_params_yaml(call, tmp_path: Path) -> None:
    _, _, weights = made_network(tmp_path)
    code, out, _ = call("models", "check", weights)
    assert code == 0
    text = out.split("in params.yaml:\n")[1]
    entry = {"path": str(weights), "url": "", "sha256": sha256_of(weights)}
    assert YAML(typ="safe").load(text)["models"] == {"tiny": entry}
    assert YAML(typ="safe").load(text)["score"]["weights"] == "tiny"


@pytest.mark.parametrize("how", ["raw", "torch_zip", "nested"])
def test_check_refuses_what_would_run(how: str, call, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code, out, err = call(
        "models", "check", hostile_weights.RUNNING[how](tmp_path / "planted.pt", mark)
    )
    assert code == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "refused" in err
    assert not mark.exists()


def test_convert_writes_a_file_that_list_knows(call, with_model, tmp_path: Path) -> None:
    code, out, _ = call("models", "convert", SOURCE, "--out", "g.safetensors")
    assert code == 0
    assert "g.safetensors: stylegan2-generator, 0.1 MB" in out
    sha256 = sha256_of(tmp_path / "g.safetensors")
    assert f'  g: {{path: "g.safetensors", url: "", sha256: "{sha256}"}}' in out
    assert "invert:\n  generator: g\n" in out
    with_model(path="g.safetensors", sha256=sha256)
    row = next(line for line in call("models", "list")[1].splitlines() if " mine " in f" {line} ")
    for said in ("ok", "0.1", "converted by this project: stylegan2-gen", sha256[:12], "MIT"):
        assert said in row
    with_model(path="g.safetensors")
    assert "SHA-256 differs" in call("models", "list")[1]


@pytest.mark.slow
def test_convert_takes_parts(call, tmp_path: Path) -> None:
    source = saved(tmp_path / "e4e.pt", e4e())
    code, out, _ = call("models", "convert", source, "--out", "e.safetensors")
    assert code == 0
    assert "e.safetensors: w-plus-encoder" in out
    assert "the file also has its generator: --part generator" in out
    more = ("--part", "generator", "--clamp", "256")
    code, out, _ = call("models", "convert", source, "--out", "g.safetensors", *more)
    assert code == 0
    assert "conv_clamp: given" in out
    code, _, err = call("models", "convert", source, "--out", "e.pt")
    assert code == 1
    assert "a name that ends in .safetensors" in err


def test_list_says_what_is_missing(call, with_model) -> None:
    with_model(url="https://example.org/net.pt")
    code, out, _ = call("models", "list")
    assert code == 0
    row = next(line for line in out.splitlines() if " mine " in f" {line} ")
    assert "missing" in row
    assert "spfem-data models fetch mine" in row
    assert "data/models/mine.pt" in row


def test_fetch_by_name_and_what_to_do_next(call, with_model, tmp_path: Path) -> None:
    content = SOURCE.read_bytes()
    with serving(Served(content, breaks=[50_000])) as served:
        with_model(url=served.url, sha256=hashlib.sha256(content).hexdigest())
        code, out, _ = call("models", "fetch", "mine")
    assert code == 0
    assert (tmp_path / "data" / "models" / "mine.pt").read_bytes() == content
    assert "next: spfem-data models convert data/models/mine.pt" in out
    assert len(served.asked) == 2
    assert "already present" in call("models", "fetch", "mine")[1]


def test_fetch_from_a_url(call, tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path / "some.pt")
    url = (tmp_path / "some.pt").as_uri()
    code, out, _ = call("models", "fetch", "--url", url, "--sha256", sha256_of(SOURCE))
    assert code == 0
    assert "data/models/some.pt: downloaded" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a name under `models` in params.yaml, or --url"),
        (["--url", "https://example.org/net.pt"], "--url needs --sha256"),
        (["nothing"], "params.yaml lists no model 'nothing' under models; it lists: demo-clip"),
        (["mine"], "models.mine in params.yaml has no url; give --url and --sha256"),
        (
            ["--url", "ftp://a/b", "--sha256", "0" * 64],
            "expected a URL with scheme https, http, file",
        ),
    ],
)
def test_fetch_says_what_it_lacks(call, with_model, arguments: list[str], said: str) -> None:
    with_model(path="x.safetensors")
    code, _, err = call("models", "fetch", *arguments)
    assert code == 1
    assert said in err


def test_the_demos_weights_are_not_called_nvidias(call) -> None:
    rows = [line for line in call("models", "list")[1].splitlines() if " demo-" in line]
    assert len(rows) == 3
    assert all("MIT: trained by this project on rendered faces" in row for row in rows)
