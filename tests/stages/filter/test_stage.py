from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import OutOfOrderError, TableError
from pipeline.records import (
    CLEAR_SCHEMA,
    ClarityThreshold,
    Clip,
    FilteredTake,
    Rejected,
    ScoredTake,
    Sentence,
    Suspect,
    YieldPoint,
)
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, read_table, write_rows
from pipeline.stages.filter import stage
from pipeline.stages.filter.worker import CLEAR
from tests.builders.dataset import changed, make_inputs, make_run
from tests.builders.scores import WEIGHTS, rising, sharp, turned, write_scores


@pytest.fixture
def made(tmp_path: Path) -> Run:
    """Two speakers, a neutral, a happy and an angry take each; scores rise with the frames."""
    run = make_run(tmp_path)
    make_inputs(run)
    write_scores(run)
    return run


def having(run: Run, **section: Any) -> Run:
    """The run with other values in its section; nested ones as dicts."""
    old = run.params.filter
    new = {
        name: getattr(old, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in section.items()
    }
    return replace(run, params=run.params.model_copy(update={"filter": old.model_copy(update=new)}))


def rows_of(run: Run, speaker: str) -> list[dict[str, Any]]:
    path = run.items("filter").path(speaker, CLEAR)
    return read_table(path, CLEAR_SCHEMA).to_pylist()


def kept_of(run: Run, take: str) -> list[int]:
    rows = rows_of(run, take.split("_")[0])
    return [r["frame"] for r in rows if r["take_id"] == take and r["verdict"] == "kept"]


def table(run: Run, name: str, kind: Any) -> list[Any]:
    return read_rows(run.table("filter", name), kind)


def outputs(run: Run) -> dict[str, bytes]:
    folder = run.folder("filter")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_frames_above_the_threshold_are_kept(made: Run) -> None:
    summary = stage.run(made)
    assert (summary.planned, summary.kept, summary.reasons) == (6, 6, {})
    # p is 0.1 + 0.9 k / 14, so 0.6 is passed from frame 8 on; angry has faces up to frame 10.
    assert kept_of(made, "S1_happy") == [8, 9, 10, 11, 12, 13]
    assert kept_of(made, "S1_angry") == [8, 9, 10]
    assert kept_of(made, "S1_neutral") == list(range(14))
    assert len(rows_of(made, "S1")) == 14 + 14 + 11


def test_a_row_tells_clarity_rank_and_split(made: Run) -> None:
    stage.run(made)
    row = next(r for r in rows_of(made, "S1") if (r["take_id"], r["frame"]) == ("S1_happy", 12))
    assert row["clarity"] == pytest.approx(0.1 + 0.9 * 12 / 14)
    assert (row["emotion"], row["split"], row["rank"]) == ("happy", "train", 2)
    low = next(r for r in rows_of(made, "S1") if (r["take_id"], r["frame"]) == ("S1_happy", 3))
    assert (low["verdict"], low["rank"]) == ("unclear", None)


def test_takes_are_accounted_for(made: Run) -> None:
    stage.run(having(made, thresholds={"angry": 0.8}))
    takes = {row.take_id: row for row in table(made, "filtered_takes", FilteredTake)}
    happy = takes["S2_happy"]
    assert (happy.n_scored, happy.n_kept, happy.n_unclear) == (14, 6, 8)
    assert (happy.split, happy.weights_sha256) == ("test", WEIGHTS)
    assert happy.clarity == pytest.approx(0.1 + 0.9 * 10.5 / 14)
    assert takes["S2_angry"].clarity is None
    rejects = table(made, "rejected", Rejected)
    assert [(r.item, r.reason) for r in rejects] == [
        ("S1_angry", "unclear"),
        ("S2_angry", "unclear"),
    ]
    assert rejects[0].detail == "of 11 frames: 11 unclear, the clearest has 0.74"


def test_the_split_is_that_of_the_take(made: Run) -> None:
    sentences = read_rows(made.table("align", "sentences"), Sentence)
    lost = [replace(s, split=None) if s.utterance_id == "S1_happy" else s for s in sentences]
    write_rows(made.table("align", "sentences"), lost, Sentence)
    stage.run(made)
    assert {r["split"] for r in rows_of(made, "S1") if r["take_id"] == "S1_happy"} == {None}
    assert {r["split"] for r in rows_of(made, "S1") if r["take_id"] == "S1_angry"} == {"train"}


def test_a_quantile_is_fitted_on_train_alone(made: Run) -> None:
    """The test speaker's happy takes are clear throughout and must not raise the threshold."""
    write_scores(
        made,
        lambda clip, k: (
            (sharp("happy", 0.99), turned(10 * k))
            if clip.take_id == "S2_happy"
            else rising(clip, k)
        ),
    )
    summary = stage.run(having(made, policy="quantile", quantile=0.5, floor=0.0))
    found = {row.emotion: row for row in table(made, "thresholds", ClarityThreshold)}
    assert found["happy"].threshold == pytest.approx(0.1 + 0.9 * 6.5 / 14)
    assert (found["happy"].how, found["happy"].n_fit) == ("quantile", 14)
    assert (found["sad"].threshold, found["sad"].n_fit) == (None, 0)
    assert kept_of(made, "S1_happy") == [7, 8, 9, 10, 11, 12, 13]
    assert len(kept_of(made, "S2_happy")) == 14
    assert any("no frames in train to fit a threshold on: surprised" in n for n in summary.notes)


def test_the_floor_holds_under_a_quantile(made: Run) -> None:
    stage.run(having(made, policy="quantile", quantile=0.0, floor=0.8))
    found = {row.emotion: row for row in table(made, "thresholds", ClarityThreshold)}
    assert (found["happy"].threshold, found["happy"].how) == (0.8, "floor")
    assert kept_of(made, "S1_happy") == [11, 12, 13]


def test_a_quota_takes_the_clearest_of_each_speaker_and_emotion(made: Run) -> None:
    summary = stage.run(having(made, policy="quota", quota=2, floor=0.5))
    assert kept_of(made, "S1_happy") == [12, 13]
    assert kept_of(made, "S2_happy") == [12, 13]
    assert kept_of(made, "S1_neutral") == [0, 1]
    takes = {row.take_id: row for row in table(made, "filtered_takes", FilteredTake)}
    assert takes["S1_happy"].n_over_quota == 5  # frames 7 to 11
    assert summary.kept == 6


def test_a_take_whose_frames_all_exceed_the_quota_says_so(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    clips = [replace(c, emotion="happy") if c.take_id == "S1_angry" else c for c in clips]
    write_rows(made.table("extract", "clips"), clips, Clip)
    write_scores(made)
    summary = stage.run(having(made, policy="quota", quota=2))
    assert summary.reasons == {"over_quota": 1}
    (reject,) = table(made, "rejected", Rejected)
    assert reject.item == "S1_angry"


def test_equal_numbers_of_every_emotion(made: Run) -> None:
    stage.run(having(made, equal_per_emotion=True))
    for speaker in ("S1", "S2"):
        kept = Counter(r["emotion"] for r in rows_of(made, speaker) if r["verdict"] == "kept")
        assert kept == {"neutral": 3, "happy": 3, "angry": 3}
    assert kept_of(made, "S1_happy") == [11, 12, 13]


def test_near_duplicates_are_thinned_inside_a_take(made: Run) -> None:
    write_scores(made, lambda clip, k: (rising(clip, k)[0], turned(0)))
    stage.run(having(made, duplicates={"within_s": 0.08}))
    assert kept_of(made, "S1_happy") == [10, 13]  # two frames are 0.08 s, the clearest is the last
    takes = {row.take_id: row for row in table(made, "filtered_takes", FilteredTake)}
    assert takes["S1_happy"].n_duplicate == 4
    stage.run(having(made, duplicates={"within_s": 0.0}))
    assert len(kept_of(made, "S1_happy")) == 6


def mislabelled(clip: Clip, k: int) -> tuple[np.ndarray, np.ndarray]:
    """S1's happy take is angry but for its last two frames."""
    if clip.take_id == "S1_happy" and k < 12:
        return sharp("angry", 0.9), turned(10 * k)
    return rising(clip, k)


def test_a_take_that_looks_mislabelled_is_listed_and_left_out(made: Run) -> None:
    write_scores(made, mislabelled)
    summary = stage.run(made)
    (suspect,) = table(made, "suspects", Suspect)
    assert (suspect.take_id, suspect.recorded, suspect.seen) == ("S1_happy", "happy", "angry")
    assert suspect.share == pytest.approx(12 / 14)
    assert suspect.n_clear == 14
    assert kept_of(made, "S1_happy") == []
    assert summary.reasons == {"looks_mislabelled": 1}
    assert any(
        "takes that look mislabelled, excluded: S1_happy (shows angry)" in n for n in summary.notes
    )


def test_suspects_may_stay(made: Run) -> None:
    write_scores(made, mislabelled)
    stage.run(having(made, suspects={"drop": False}))
    assert len(table(made, "suspects", Suspect)) == 1
    assert kept_of(made, "S1_happy") == [12, 13]
    verdicts = [r["verdict"] for r in rows_of(made, "S1") if r["take_id"] == "S1_happy"]
    assert verdicts == ["other_emotion"] * 12 + ["kept"] * 2


def test_without_the_recorded_label_a_frame_goes_where_it_looks(made: Run) -> None:
    write_scores(made, mislabelled)
    stage.run(having(made, require_recorded=False, suspects={"drop": False}))
    rows = [r for r in rows_of(made, "S1") if r["take_id"] == "S1_happy"]
    assert [r["emotion"] for r in rows] == ["angry"] * 12 + ["happy"] * 2
    assert kept_of(made, "S1_happy") == list(range(14))


def test_clarity_against_the_own_neutral(made: Run) -> None:
    """S2's neutral face smiles at 0.5: what rises to 0.6 has gone a fifth of the way left."""

    def smiling(clip: Clip, k: int) -> tuple[np.ndarray, np.ndarray]:
        p, at = rising(clip, k)
        if clip.take_id == "S2_neutral":
            p = np.array([0.4, 0.5, 0.02, 0.02, 0.02, 0.02, 0.02])
        return p, at

    write_scores(made, smiling)
    stage.run(having(made, relative_to_neutral=True, thresholds={"neutral": 0.3}))
    low = (0.1 + 0.9 * 12 / 14 - 0.5) / 0.5
    row = next(r for r in rows_of(made, "S2") if (r["take_id"], r["frame"]) == ("S2_happy", 12))
    assert row["clarity"] == pytest.approx(low, abs=1e-6)
    assert kept_of(made, "S2_happy") == [11, 12, 13]
    assert len(kept_of(made, "S2_neutral")) == 14


def test_a_speaker_without_neutral_frames_cannot_be_compared(made: Run) -> None:
    takes = [take for take in write_scores(made) if take.take_id != "S2_neutral"]
    write_rows(made.table("score", "scores"), takes, ScoredTake)
    summary = stage.run(having(made, relative_to_neutral=True))
    assert summary.reasons == {"no_neutral": 2}
    rejects = table(made, "rejected", Rejected)
    assert [r.item for r in rejects] == ["S2_angry", "S2_happy"]


def test_contempt_is_scored_and_never_clear(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    clips = [replace(c, emotion="contempt") if c.take_id == "S1_happy" else c for c in clips]
    write_rows(made.table("extract", "clips"), clips, Clip)
    write_scores(made, lambda clip, k: (sharp("angry", 0.99), turned(10 * k)))
    summary = stage.run(having(made, require_recorded=False, suspects={"drop": False}))
    assert summary.reasons == {"not_of_seven": 1}
    rows = [r for r in rows_of(made, "S1") if r["take_id"] == "S1_happy"]
    assert {(r["emotion"], r["clarity"], r["verdict"]) for r in rows} == {
        ("contempt", None, "other_emotion")
    }


def test_yields_count_frames_by_threshold(made: Run) -> None:
    stage.run(made)
    rows = {(r.emotion, r.threshold): r for r in table(made, "yields", YieldPoint)}
    at = rows["happy", 0.6]
    assert (at.n_scored, at.n_passing) == (28, 12)
    assert rows["happy", 0.0].n_passing == 28
    assert rows["sad", 0.0].n_scored == 0
    curve = [rows["happy", t].n_passing for e, t in sorted(rows) if e == "happy"]
    assert curve == sorted(curve, reverse=True)


def test_a_second_run_writes_nothing_and_a_threshold_redoes_whom_it_touches(made: Run) -> None:
    assert (stage.run(made).done, stage.run(made).reused) == (2, 2)
    write_scores(
        made,
        lambda clip, k: (
            (sharp(clip.emotion, 0.95), turned(10 * k)) if clip.speaker == "S2" else rising(clip, k)
        ),
    )
    stage.run(made)
    again = stage.run(having(made, thresholds={"happy": 0.7}))
    assert (again.done, again.reused) == (1, 1)


def test_no_image_and_no_embedding_is_read_for_a_threshold(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a take with no two clear frames close together nothing but probabilities is opened."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no comparison was asked for")

    monkeypatch.setattr(stage, "instants_and_embeddings", refuse)
    assert stage.run(having(made, duplicates={"within_s": 0.0})).kept == 6


def test_same_bytes_for_any_number_of_workers(made: Run) -> None:
    stage.run(made)
    one = outputs(made)
    stage.run(changed(made, force=True, workers=3))
    assert outputs(made) == one


def test_without_scores_it_writes_empty_tables(made: Run) -> None:
    write_rows(made.table("score", "scores"), [], ScoredTake)
    summary = stage.run(made)
    assert (summary.planned, summary.kept) == (0, 0)
    assert summary.notes == ("no clear frames: no take has scores (see score)",)
    assert table(made, "filtered_takes", FilteredTake) == []
    assert made.items("filter").folder.is_dir()


def test_scores_of_a_take_that_is_gone_are_refused(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    write_rows(made.table("extract", "clips"), clips[1:], Clip)
    with pytest.raises(TableError, match=r"score names take S1_neutral .* rerun score"):
        stage.run(made)


def test_items_that_the_table_does_not_know_are_refused(made: Run) -> None:
    rows = read_rows(made.table("score", "scores"), ScoredTake)
    write_rows(made.table("score", "scores"), [replace(rows[0], n_scored=9), *rows[1:]], ScoredTake)
    with pytest.raises(TableError, match="14 frames have scores, but score's table says 9"):
        stage.run(made)


def test_without_score_it_says_what_to_run(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run)
    with pytest.raises(OutOfOrderError, match="spfem-data score --dataset made"):
        stage.run(run)
