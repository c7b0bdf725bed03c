"""Which networks a dataset uses, and the list of what others would add."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline import params
from pipeline.models.networks import describe, networks
from pipeline.models.slots import GUIDE, SLOTS
from pipeline.params import Params
from pipeline.yaml_files import parse_yaml


def of_corpus(corpus: str, **weights: str) -> Params:
    loaded = params.load(None)
    entry = loaded.dataset("demo").model_copy(update={"corpus": corpus})
    invert = loaded.invert.model_copy(update=weights)
    return loaded.model_copy(update={"datasets": {"demo": entry}, "invert": invert})


def test_the_demo_uses_its_own_networks(tmp_path: Path) -> None:
    named = networks(of_corpus("demo"), "demo", tmp_path)
    assert [one.name for one in named] == ["demo-clip", "demo-generator", "demo-encoder", "", ""]
    assert [one.why_not for one in named[:3]] == ["", "", ""]
    assert describe(named) == (
        "score.weights demo-clip (sha256 e8b02be6de23), invert.generator demo-generator (sha256 "
        "67cb41120119), invert.encoder demo-encoder (sha256 b725dd345e88)"
    )


def test_real_takes_have_none_of_them(tmp_path: Path) -> None:
    named = networks(of_corpus("mead", identity="mine", encoder=""), "demo", tmp_path)
    assert describe(named) == "none"
    assert [one.why_not for one in named] == [
        "demo-clip was trained on drawn faces and serves corpus demo only",
        "demo-generator was trained on drawn faces and serves corpus demo only",
        "invert.encoder is empty",
        "params.yaml lists no model 'mine' under models",
        "invert.perceptual is empty",
    ]


def test_the_guide_has_the_same_list(repository: Path) -> None:
    text = (repository / GUIDE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (`[a-z].+?) \| (.+?) \| (\[.+\)) \|$", text, re.MULTILINE)
    assert [(row[0], row[2], re.findall(r"\[(.+?)\]\((.+?)\)", row[3])) for row in rows] == [
        (slot.network, slot.adds, list(slot.sources)) for slot in SLOTS
    ]
    assert all(f"`{slot.setting}`" in row[1] for slot, row in zip(SLOTS, rows, strict=True))


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.setting)
def test_the_lines_to_paste_name_the_setting(slot) -> None:
    value = parse_yaml(slot.yaml, "slot")
    section, key = slot.setting.split(".")
    assert value[section][key] in value["models"]
    assert set(value["models"][value[section][key]]) == {"path", "url", "sha256"}
