import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg
import soundfile

from pipeline import params
from pipeline.errors import OutOfOrderError
from pipeline.faces.affine import compose, invert
from pipeline.records import Rejected, ScoredTake, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_bytes, write_json
from pipeline.runtime.summaries import Summary
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.pose.worker import POSES
from pipeline.stages.shards import stage as shards
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from spfem_data.masks import valid_mask
from spfem_data.schema import COLUMNS
from tests.builders.dataset import changed, make_inputs, make_run
from tests.builders.scores import WEIGHTS, turned, write_scores


def build(run: Run) -> Summary:
    pose.run(run)
    return shards.run(run)


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    make_inputs(run)
    build(run)
    return run


def published(run: Run) -> dict[str, bytes]:
    folder = run.folder("shards")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(run: Run, config: str, split: str) -> list[dict[str, object]]:
    files = sorted((run.folder("shards") / "data" / config).glob(f"{split}-*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def image(row: dict[str, object], name: str) -> np.ndarray:
    return simplejpeg.decode_jpeg(row[name]["bytes"], "RGB").astype(float)


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a[mask] - b[mask]) ** 2)))


def test_files_are_named_by_config_split_and_number(made: Run) -> None:
    found = [name for name in published(made) if name.endswith(".parquet") and "data/" in name]
    assert found == [
        f"data/{config}/{split}-{i:05d}-of-{n:05d}.parquet"
        for config, n in (("frames", 1), ("pairs", 2), ("sequences", 1), ("takes", 1))
        for split in ("test", "train")
        for i in range(n)
    ]
    for name in found:
        config = name.split("/")[1]
        columns = [column.name for column in COLUMNS[config]]
        assert pq.read_schema(made.folder("shards") / name).names == columns


def test_rows_are_the_posed_frame_pairs(made: Run) -> None:
    rows = rows_of(made, "pairs", "train")
    assert len(rows) == 12 + 6
    by_id = {row["sample_id"]: row for row in rows}
    row = by_id["S1_neutral+happy/000003-000003"]
    assert (row["take_a"], row["take_b"], row["split"]) == ("S1_neutral", "S1_happy", "train")
    assert row["time_a_s"] == pytest.approx(3.5 / 25)
    assert row["confidence"] == pytest.approx(3 / 12)
    assert row["mouth_agreement"] == pytest.approx(0.9)
    assert by_id["S1_neutral+angry/000007-000010"]["mouth_agreement"] is None


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["ned256", "head", "ffhq"])
def test_target_lies_on_source(tmp_path: Path, framing: str) -> None:
    run = make_run(tmp_path, framing=framing)
    make_inputs(run)
    build(run)
    for row in rows_of(run, "pairs", "train"):
        source, target = image(row, "source"), image(row, "target")
        masks = [
            valid_mask(row[f"frame_to_{name}"], row[f"valid_{which}"], 128)
            for name, which in (("source", "a"), ("target", "b"))
        ]
        # The affine also fits how the face's form differs: only nearly the same image.
        assert psnr(source, target, masks[0] & masks[1]) > 27
        assert row["source_covered"] == pytest.approx(masks[0].mean())
        assert row["target_covered"] == pytest.approx(masks[1].mean())
        assert row["target_covered"] > 0.5


@pytest.mark.slow
def test_matrices_compose(made: Run) -> None:
    poses = {
        (row["pair_id"], row["frame_a"]): np.reshape(row["affine"], (2, 3))
        for row in pq.read_table(made.items("pose").path("S1", POSES)).to_pylist()
    }
    framings = {}
    for row in rows_of(made, "pairs", "train"):
        to_source, to_target, affine = (
            np.reshape(row[name], (2, 3))
            for name in ("frame_to_source", "frame_to_target", "affine")
        )
        b_to_a = poses[row["pair_id"], row["frame_a"]]
        np.testing.assert_allclose(to_target, compose(to_source, b_to_a), atol=1e-9)
        framings.setdefault(row["take_a"], to_source)
        np.testing.assert_array_equal(framings[row["take_a"]], to_source)  # still over a take
        own = compose(invert(affine), to_target)
        np.testing.assert_allclose([own[0, 1], own[1, 0]], 0, atol=1e-9)  # b's framing is upright


def test_windows_are_those_counted_by_hand(made: Run) -> None:
    rows = rows_of(made, "sequences", "train")
    starts = [(r["pair_id"].split("+")[1], r["frames_a"][0], r["frames_b"][0]) for r in rows]
    # angry keeps (0, 0) to (4, 4), and (7, 10), which lies three frames on: 5 - 4 + 1 windows.
    assert starts == [("angry", 0, 0), ("angry", 1, 1)] + [("happy", k, k) for k in range(9)]
    for row in rows:
        pairs = pq.read_table(made.folder("shards") / row["file"]).to_pylist()
        there = [pairs[place] for place in row["rows"]]
        assert [r["sample_id"] for r in there] == row["sample_ids"]
        assert [r["frame_b"] for r in there] == row["frames_b"]
        assert row["min_confidence"] == min(r["confidence"] for r in there)
        assert row["max_residual_after"] == max(r["residual_after"] for r in there)


def test_takes_hold_the_audio(made: Run, tmp_path: Path) -> None:
    rows = rows_of(made, "takes", "train")
    assert [row["take_id"] for row in rows] == ["S1_angry", "S1_happy", "S1_neutral"]
    audio = tmp_path / "audio.flac"
    audio.write_bytes(rows[0]["audio"]["bytes"])
    samples, rate = soundfile.read(audio)
    assert (len(samples), rate) == (8960, 16000)


def test_confidence_floor_drops_frames_and_names_empty_pairs(made: Run) -> None:
    run = make_run(made.data, min_confidence=0.6)
    summary = shards.run(run)
    assert (summary.planned, summary.kept, summary.reasons) == (4, 2, {"low_confidence": 2})
    assert [row["confidence"] for row in rows_of(run, "pairs", "train")] == pytest.approx(
        [k / 12 for k in (8, 9, 10, 11)]
    )
    rejects = read_rows(run.table("shards", "rejected"), Rejected)
    assert [r.item for r in rejects] == ["S1_neutral+angry", "S2_neutral+angry"]


def test_take_without_split_is_named(made: Run) -> None:
    sentences = read_rows(made.table("align", "sentences"), Sentence)
    sentences[0] = Sentence(**{**vars(sentences[0]), "split": None})
    write_rows(made.table("align", "sentences"), sentences, Sentence)
    shards.run(made)
    (reject,) = read_rows(made.table("shards", "rejected"), Rejected)
    assert (reject.item, reject.reason) == (sentences[0].utterance_id, "no_split")


@pytest.mark.slow
def test_same_bytes_for_any_number_of_workers(made: Run) -> None:
    one = published(made)
    shards.run(changed(made, force=True, workers=2))
    assert published(made) == one


@pytest.mark.slow
def test_same_bytes_after_a_take_went_and_came_back(made: Run) -> None:
    before = published(made)
    make_inputs(made, without="S1_happy")
    gone = build(made)
    assert gone.kept == 3
    assert 0 < gone.reused < len(made.items("shards").units())
    assert published(made) != before
    make_inputs(made)
    build(made)
    assert published(made) == before


def test_second_run_writes_nothing(made: Run) -> None:
    stamps = {p: p.stat().st_mtime_ns for p in made.folder("shards").rglob("data/*/*.parquet")}
    again = shards.run(made)
    assert (again.done, again.reused) == (0, 10)
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_how_well_a_sentence_was_matched_rewrites_nothing(made: Run) -> None:
    sentences = read_rows(made.table("align", "sentences"), Sentence)
    nearer = [replace(row, anchor="S1_neutral", score=0.2, margin=0.9) for row in sentences]
    write_rows(made.table("align", "sentences"), nearer, Sentence)
    assert shards.run(made).done == 0
    heard = [replace(row, verified=not row.verified) for row in sentences]
    write_rows(made.table("align", "sentences"), heard, Sentence)
    assert shards.run(made).done == 2  # takes, of train and of test


def test_other_framing_redoes_pairs_alone(made: Run) -> None:
    again = shards.run(make_run(made.data, framing="head"))
    assert (again.done, again.reused) == (4, 6)


def test_orphans_and_other_counts_are_removed(made: Run) -> None:
    stray = made.folder("shards") / "data" / "pairs" / "train-00007-of-00009.parquet"
    stray.write_bytes(b"stray")
    summary = shards.run(
        make_run(
            made.data,
            n_shards=params.ShardsCounts(
                pairs=3, sequences=1, takes=1, emotions=1, families=1, frames=1
            ),
        )
    )
    names = [p.name for p in (made.folder("shards") / "data" / "pairs").iterdir()]
    assert sorted(names) == [
        f"{split}-{i:05d}-of-00003.parquet" for split in ("test", "train") for i in range(3)
    ]
    assert summary.removed == 4


def test_manifest_proves_the_files(made: Run) -> None:
    manifest = json.loads(published(made)["manifest.json"])
    assert manifest["rows"]["pairs"] == {"test": 18, "train": 18}
    for name, facts in manifest["files"].items():
        content = published(made)[name]
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["bytes"] == len(content)
    assert set(manifest["versions"]) == {"opencv", "pyarrow", "simplejpeg"}
    assert str(made.data) not in published(made)["manifest.json"].decode()


def test_card_names_files_counts_and_terms(made: Run) -> None:
    card = published(made)["README.md"].decode()
    assert card.startswith("---\n")
    assert "    path: data/pairs/train-*.parquet" in card
    assert "| train | 1 | 2 | 18 | 11 | 3 | 24 |" in card
    assert "contains no real person" in card


def test_images_are_stored_plain_and_rows_in_small_groups(made: Run) -> None:
    files = (made.folder("shards") / "data" / "pairs").glob("train-*.parquet")
    groups = []
    for path in files:
        footer = pq.read_metadata(path)
        for g in range(footer.num_row_groups):
            groups.append(footer.row_group(g).num_rows)
            for c in range(footer.num_columns):
                chunk = footer.row_group(g).column(c)
                media = chunk.path_in_schema in ("source.bytes", "target.bytes")
                assert (chunk.compression == "UNCOMPRESSED") == (
                    chunk.path_in_schema.split(".")[0] in ("source", "target")
                )
                if media:
                    assert not chunk.is_stats_set
                    assert "RLE_DICTIONARY" not in chunk.encodings
    assert max(groups) == 5
    assert sum(groups) == 18


def test_without_pose_it_says_what_to_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run)
    with pytest.raises(OutOfOrderError, match="spfem-data pose --dataset made"):
        shards.run(run)


def with_emotions(run: Run, **section: object) -> Run:
    """Scores and the filter, then the shards again."""
    write_scores(run)
    changed_section = run.params.filter.model_copy(update=section)
    run = replace(run, params=run.params.model_copy(update={"filter": changed_section}))
    filter_stage.run(run)
    shards.run(run)
    return run


def test_clear_frames_make_the_config_emotions(made: Run) -> None:
    with_emotions(made)
    rows = rows_of(made, "emotions", "train")
    assert [r["image_id"] for r in rows if r["take_id"] == "S1_happy"] == [
        f"S1_happy/{k:06d}" for k in range(8, 14)
    ]
    row = next(r for r in rows if r["image_id"] == "S1_happy/000012")
    assert (row["emotion"], row["speaker"], row["split"], row["rank"]) == (
        "happy", "S1", "train", 2,
    )  # fmt: skip
    assert row["p_happy"] == row["clarity"] == pytest.approx(0.1 + 0.9 * 12 / 14)
    assert row["time_s"] == pytest.approx(12.5 / 25)
    assert row["embedding"] == pytest.approx(turned(120).tolist(), abs=1e-6)
    assert sum(row[f"p_{emotion}"] for emotion in SEVEN_EMOTIONS) == pytest.approx(1)
    assert {r["split"] for r in rows_of(made, "emotions", "test")} == {"test"}


@pytest.mark.slow
def test_the_image_of_a_clear_frame_is_that_of_the_pairs(made: Run) -> None:
    with_emotions(made)
    ours = {r["image_id"]: r for r in rows_of(made, "emotions", "train")}
    for row in rows_of(made, "pairs", "train"):
        other = ours.get(f"{row['take_a']}/{row['frame_a']:06d}")
        if other is not None:
            assert other["image"]["bytes"] == row["source"]["bytes"]
            assert other["frame_to_image"] == row["frame_to_source"]
            assert other["image_covered"] == row["source_covered"]


def test_files_of_emotions_say_who_judged(made: Run) -> None:
    with_emotions(made)
    path = made.folder("shards") / "data" / "emotions" / "train-00000-of-00001.parquet"
    metadata = pq.read_schema(path).metadata
    assert metadata[b"spfem_data.clip_weights_sha256"].decode() == WEIGHTS
    manifest = json.loads(published(made)["manifest.json"])
    assert manifest["rows"]["emotions"] == {"test": 23, "train": 23}
    card = published(made)["README.md"].decode()
    assert "    path: data/emotions/train-*.parquet" in card
    assert "| train | 1 | 2 | 18 | 11 | 3 | 23 | 24 |" in card


def test_another_threshold_redoes_emotions_alone(made: Run) -> None:
    run = with_emotions(made)
    higher = run.params.filter.thresholds.model_copy(update={"happy": 0.9})
    section = run.params.filter.model_copy(update={"thresholds": higher})
    run = replace(run, params=run.params.model_copy(update={"filter": section}))
    filter_stage.run(run)
    again = shards.run(run)
    assert (again.done, again.reused) == (2, 10)
    assert len(rows_of(run, "emotions", "train")) == 23 - 5  # frame 13 alone is above 0.9


def test_without_scores_there_is_no_config_emotions(made: Run) -> None:
    assert any("no config emotions: filter has not run" in n for n in shards.run(made).notes)
    write_rows(made.table("score", "scores"), [], ScoredTake)
    filter_stage.run(made)
    summary = shards.run(made)
    assert any("no config emotions: filter kept no clear frame" in n for n in summary.notes)
    assert not (made.folder("shards") / "data" / "emotions").exists()


@pytest.mark.parametrize("stage", ["score", "filter", "synth"])
def test_a_stage_that_was_stopped_midway_is_refused(made: Run, stage: str) -> None:
    write_json(made.folder(stage) / "tables" / "summary.json", {
        "stage": stage, "grain": "take", "planned": 1, "kept": 1, "reasons": {},
    })  # fmt: skip
    write_bytes(made.unfinished(stage), b"")
    with pytest.raises(OutOfOrderError, match=f"{stage} was stopped before its end"):
        shards.run(made)


def test_a_clear_frame_without_split_is_named(made: Run) -> None:
    sentences = read_rows(made.table("align", "sentences"), Sentence)
    lost = [replace(s, split=None) if s.utterance_id == "S1_happy" else s for s in sentences]
    write_rows(made.table("align", "sentences"), lost, Sentence)
    with_emotions(made)
    rejects = read_rows(made.table("shards", "rejected"), Rejected)
    assert [(r.item, r.detail) for r in rejects] == [
        ("S1_happy", "not in the config takes"),
        ("S1_happy", "not in the config emotions"),
    ]
