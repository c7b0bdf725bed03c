from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
from safetensors.torch import load_file, save_file

from pipeline.clip.judge import find_judge, load_scorer
from pipeline.digests import sha256_of
from pipeline.errors import OutOfOrderError, ParameterError
from pipeline.params import ModelFile
from pipeline.records import SCORES_SCHEMA, Clip, Rejected, ScoredTake
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, read_table, write_rows, write_table
from pipeline.stages.score import stage as score
from pipeline.stages.score.worker import SCORES
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.dataset import changed, make_inputs, make_run
from tests.builders.tiny_clip import made_network


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path / "data")
    make_inputs(run)
    _, config, weights = made_network(tmp_path)
    entry = ModelFile(path=str(weights), url="", sha256=sha256_of(weights))
    params = run.params.model_copy(update={"models": {"tiny": entry}})
    return with_score(
        replace(run, params=params), network=str(config), weights="tiny", batch=5, device="cpu"
    )


def with_score(run: Run, **section: object) -> Run:
    own = run.params.score.model_copy(update=section)
    return replace(run, params=run.params.model_copy(update={"score": own}))


def scores_of(run: Run, take: str) -> pa.Table:
    path = run.items("score").path(f"{take[:2]}/{take}", SCORES)
    return read_table(path, SCORES_SCHEMA)


def files_of(run: Run) -> dict[str, bytes]:
    folder = run.folder("score")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["ned256", "ffhq", "head"])
def test_every_frame_with_a_face_has_probabilities(made: Run, framing: str) -> None:
    summary = score.run(with_score(made, framing=framing))
    assert (summary.planned, summary.kept, summary.reasons) == (6, 6, {})
    table = scores_of(made, "S1_angry")  # its frames 11 to 13 have no face
    assert table["frame"].to_pylist() == list(range(11))
    p = np.column_stack([table[f"p_{name}"].to_numpy() for name in SEVEN_EMOTIONS])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert p.std(axis=0).max() > 1e-5
    lengths = np.linalg.norm(np.array(table["embedding"].to_pylist()), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_takes_tell_of_their_files(made: Run) -> None:
    score.run(made)
    rows = {row.take_id: row for row in read_rows(made.table("score", "scores"), ScoredTake)}
    angry, table = rows["S1_angry"], scores_of(made, "S1_angry")
    assert (angry.n_frames, angry.n_scored, angry.emotion) == (14, 11, "angry")
    p = [float(table[f"p_{name}"].to_numpy().mean()) for name in SEVEN_EMOTIONS]
    np.testing.assert_allclose(angry.p, p, atol=1e-6)
    path = made.items("score").path("S1/S1_angry", SCORES)
    assert angry.scores_sha256 == sha256_of(path)
    assert angry.weights_sha256 == made.params.models["tiny"].sha256


@pytest.mark.slow
def test_the_stored_crop_is_scored_as_it_is(made: Run) -> None:
    """Under `head` a row is what the network says of the stored crop."""
    run = with_score(made, framing="head")
    score.run(run)
    frames = run.items("extract").path("S2/S2_happy", ".frames.parquet")
    crops = read_table(frames, columns=["crop"])["crop"].to_pylist()
    scorer = load_scorer(find_judge(run.params.score, run.params.models, run.data, "mead"))
    expected = scorer.probabilities([simplejpeg.decode_jpeg(crop) for crop in crops])
    table = scores_of(run, "S2_happy")
    found = np.column_stack([table[f"p_{name}"].to_numpy() for name in SEVEN_EMOTIONS])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_a_budget_scores_so_many_frames(made: Run) -> None:
    score.run(with_score(made, frames_per_take=4))
    numbers = scores_of(made, "S1_happy")["frame"].to_pylist()
    assert len(numbers) == 4
    assert np.diff(numbers).min() >= 2
    full = with_score(made, frames_per_take=0)
    score.run(full)
    assert len(scores_of(full, "S1_happy")) == 14


@pytest.mark.slow
def test_same_bytes_whatever_the_workers(made: Run) -> None:
    score.run(made)
    first = files_of(made)
    again = changed(made, workers=2, force=True)
    assert score.run(again).done == 6
    assert files_of(again) == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "section",
    [
        {"frames_per_take": 3}, {"framing": "head"}, {"precision": "bf16"}, {"ensemble": "words"},
        {"batch": 4},
    ],
)  # fmt: skip
def test_a_change_of_the_section_redoes_all(made: Run, section: dict[str, object]) -> None:
    assert score.run(made).done == 6
    assert score.run(made).reused == 6
    assert score.run(with_score(made, **section)).done == 6


@pytest.mark.slow
def test_other_ensembles_and_thresholds_redo_nothing(made: Run) -> None:
    score.run(made)
    ensembles = dict(made.params.score.ensembles)
    ensembles["words"] = ensembles["photo"]
    params = made.params.model_copy(
        update={"filter": made.params.filter.model_copy(update={"quota": 3})}
    )
    again = with_score(replace(made, params=params), ensembles=ensembles)
    assert score.run(again).reused == 6


@pytest.mark.slow
def test_changed_weights_redo_all(made: Run) -> None:
    score.run(made)
    path = Path(made.params.models["tiny"].path)
    entry = made.params.models["tiny"]
    state = load_file(path)
    state["visual.proj"] = state["visual.proj"] * 1.5
    save_file(state, path)
    with pytest.raises(ParameterError, match=r"models\.tiny\.sha256 of params\.yaml says"):
        score.run(made)
    named = entry.model_copy(update={"sha256": sha256_of(path)})
    params = made.params.model_copy(update={"models": {"tiny": named}})
    assert score.run(replace(made, params=params)).done == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"weights": ""}, "score.weights is empty"),
        ({"weights": "lost"}, "are not at nowhere.safetensors"),
    ],
)
def test_without_weights_nothing_is_scored(made: Run, section: dict[str, str], says: str) -> None:
    score.run(made)
    entry = ModelFile(path="nowhere.safetensors", url="", sha256="0" * 64)
    models = {**made.params.models, "lost": entry}
    run = with_score(
        replace(made, params=made.params.model_copy(update={"models": models})), **section
    )
    summary = score.run(run)
    assert (summary.planned, summary.kept) == (0, 0)
    assert says in summary.notes[0]
    assert read_rows(run.table("score", "scores"), ScoredTake) == []
    assert score.run(made).reused == 6  # what was scored is still there


def test_rejects_have_reasons(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    silent = {"n_frames": 0, "n_found": 0, "frames_sha256": None}
    changed_clips = [
        replace(clip, **silent) if clip.take_id == "S1_happy" else clip for clip in clips
    ]
    write_rows(made.table("extract", "clips"), changed_clips, Clip)
    path = made.items("extract").path("S2/S2_angry", ".frames.parquet")
    table = read_table(path)
    lost = pa.array([False] * len(table))
    write_table(path, table.set_column(table.schema.get_field_index("found"), "found", lost))
    summary = score.run(made)
    assert (summary.kept, summary.reasons) == (4, {"no_face": 1, "audio_only": 1})
    told = {r.item: r.detail for r in read_rows(made.table("score", "rejected"), Rejected)}
    assert told == {
        "S1_happy": "an audio-only take", "S2_angry": "none of 14 frames has a face",
    }  # fmt: skip


def test_score_comes_after_extract(tmp_path: Path) -> None:
    with pytest.raises(OutOfOrderError, match="spfem-data extract --dataset made"):
        score.run(make_run(tmp_path))
