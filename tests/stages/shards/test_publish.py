"""What stands beside the Parquet files, and what is refused before anything is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.params import Dataset
from pipeline.records import Pair, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from pipeline.stages.shards.croissant import croissant
from pipeline.stages.shards.publish import refuse_leaks
from pipeline.stages.shards.terms import TERMS, faces
from spfem_data import read_protocol
from spfem_data.schema import COLUMNS, CONFIGS
from tests.builders.dataset import make_inputs, make_run
from tests.builders.spoken_takes import spoken_take


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    make_inputs(run)
    pose.run(run)
    return run


def respoken(run: Run, **changes: object) -> None:
    """Write what S1's neutral spoken_take says anew, as a split that went wrong would leave it."""
    path = run.table("align", "sentences")
    rows = [
        replace(row, **changes) if row.utterance_id == "S1_neutral" else row
        for row in read_rows(path, Sentence)
    ]
    write_rows(path, rows, Sentence)


@pytest.mark.slow
def test_speaker_in_two_splits_is_refused_by_name(made: Run) -> None:
    respoken(made, split="test")
    with pytest.raises(
        PipelineError,
        match=r"^shards: 1 speaker is in more than one split: S1 \(test, train\); the split's "
        "unit is speaker: rerun align and the stages after it",
    ):
        shards.run(made)
    assert not (made.folder("shards") / "manifest.json").exists()


def with_rule(run: Run, rule: str) -> Run:
    entry = run.params.dataset("made").model_copy(update={"split": rule})
    return replace(run, params=run.params.model_copy(update={"datasets": {"made": entry}}))


@pytest.mark.slow
def test_sentence_in_two_splits_is_refused_by_name(made: Run) -> None:
    with pytest.raises(PipelineError, match=r"1 sentence is in .*: s1 \(test, train\); the spl"):
        shards.run(with_rule(made, "by_sentence"))


@pytest.mark.slow
def test_take_of_another_split_than_its_pair_is_refused(made: Run) -> None:
    run = with_rule(made, "ravdess6")  # unit spoken_take: speakers and sentences may be shared
    assert shards.run(run).kept == 4
    path = run.table("align", "pairs")
    rows = read_rows(path, Pair)
    write_rows(path, [replace(rows[0], split="test"), *rows[1:]], Pair)
    with pytest.raises(PipelineError, match=r"2 takes are in .*: S1_happy \(test, train\), S1_neu"):
        shards.run(run)


def test_leaks_of_other_configs_are_refused() -> None:
    one = spoken_take("M003", "sad", "1", "c01", "train")
    refuse_leaks("speaker+sentence", [one], [], [(one.clip, "train")])
    with pytest.raises(PipelineError, match=r"M003\+c01 \(test, train\)"):
        refuse_leaks("speaker+sentence", [one], [], [(one.clip, "test")])


@pytest.mark.slow
def test_manifest_names_all_files_beside_the_shards(made: Run) -> None:
    shards.run(made)
    folder = made.folder("shards")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["split"] == {"rule": "by_speaker", "unit": "speaker"}
    assert sorted(manifest["documents"]) == [
        "README.md", "croissant.json", "protocols/cross_id.csv", "protocols/intra_id.csv",
    ]  # fmt: skip
    for name, facts in manifest["documents"].items():
        content = (folder / name).read_bytes()
        assert facts == {
            "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content),
        }  # fmt: skip
    assert read_protocol(folder, "intra_id") == ()  # all of S2's takes say the same sentence


@pytest.mark.slow
def test_lists_that_are_no_more_are_removed(made: Run) -> None:
    shards.run(made)
    stray = made.folder("shards") / "protocols" / "old.csv"
    stray.write_text("x")
    shards.run(made)
    assert not stray.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corpus", "licence", "said"),
    [
        ("demo", "license: mit", "Its images may be shown: they show no real person."),
        ("mead", "license: other\nlicense_name: research-only", "do not share images, audio"),
        ("ravdess", "license: cc-by-nc-sa-4.0", "no commercial use, share alike"),
        (
            "custom",
            "license: other\nlicense_name: as-its-sources",
            "Its terms, and the consent of its",
        ),
    ],
)
def test_card_has_the_terms_of_its_corpus(made: Run, corpus: str, licence: str, said: str) -> None:
    entry = Dataset.model_validate({**made.params.dataset("made").model_dump(), "corpus": corpus})
    run = replace(made, params=made.params.model_copy(update={"datasets": {"made": entry}}))
    shards.run(run)
    card = (run.folder("shards") / "README.md").read_text("utf-8")
    assert licence in card.split("---")[1]
    assert said in card
    used = "none" if corpus != "demo" else "score.weights demo-clip (sha256 e8b02be6de23), invert."
    assert f"- Networks: {used}" in card
    # no face where the corpus does not allow one: a card holds no image at all
    assert "![" not in card
    assert "<img" not in card
    if corpus != "demo":
        assert "This card contains no image of the dataset" in card
    assert "no speaker is in two splits" in card
    assert "| `protocols/intra_id.csv` | 0 | none |" in card


def test_only_drawn_faces_may_be_shown() -> None:
    assert [name for name, terms in TERMS.items() if terms.show_faces] == ["demo"]
    assert "none may be added" in faces(TERMS["mead"])


def test_croissant_has_every_file_and_every_column() -> None:
    files = {f"data/{c}/train-00000-of-00001.parquet": f"{k:064d}" for k, c in enumerate(CONFIGS)}
    made = croissant("demo", "about", "1.0", TERMS["ravdess"], files)
    objects = [d for d in made["distribution"] if d["@type"] == "cr:FileObject"]
    assert {d["contentUrl"]: d["sha256"] for d in objects} == files
    assert made["license"] == "https://creativecommons.org/licenses/by-nc-sa/4.0/"
    assert [r["name"] for r in made["recordSet"]] == list(CONFIGS)
    for record in made["recordSet"]:
        columns = COLUMNS[record["name"]]
        assert [f["name"] for f in record["field"]] == [c.name for c in columns]
    fields = {f["name"]: f for f in made["recordSet"][0]["field"]}
    assert fields["source"]["dataType"] == "sc:ImageObject"
    assert fields["source"]["source"]["transform"] == {"jsonPath": "bytes"}
    assert (fields["affine"]["dataType"], fields["affine"]["repeated"]) == ("sc:Float", True)
    assert (fields["frame_a"]["dataType"], "repeated" in fields["frame_a"]) == ("sc:Integer", False)


def test_croissant_leaves_out_configs_without_files() -> None:
    made = croissant("demo", "about", "1.0", TERMS["demo"], {"data/takes/train-x": "0" * 64})
    assert [r["name"] for r in made["recordSet"]] == ["takes"]
    assert "citeAs" not in made


@pytest.mark.slow
def test_croissant_of_the_stage_is_that_of_its_files(made: Run) -> None:
    shards.run(made)
    folder = made.folder("shards")
    content = json.loads((folder / "croissant.json").read_bytes())
    listed = json.loads((folder / "manifest.json").read_bytes())["files"]
    found = {d["contentUrl"]: d["sha256"] for d in content["distribution"] if "contentUrl" in d}
    assert found == {path: facts["sha256"] for path, facts in listed.items()}
    assert str(made.data) not in (folder / "croissant.json").read_text("utf-8")
