"""The stages invert, directions, synth: plan, reuse, notes, on tiny networks of random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import OutOfOrderError, PipelineError
from pipeline.params import ModelFile, load
from pipeline.records import (
    CODES_SCHEMA,
    Clip,
    Direction,
    InvertedTake,
    MadeFamily,
    MadeImage,
    Rejected,
    ScoredTake,
)
from pipeline.runtime import executor as engine
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, read_table, write_rows
from pipeline.stages.directions import stage as directions
from pipeline.stages.invert import stage as invert
from pipeline.stages.invert.worker import smoothed
from pipeline.stages.score import stage as score
from pipeline.stages.synth import stage as synth
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import save_network
from tests.builders.dataset import changed, make_inputs, make_run

N_LATENT, DIM = 8, 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    networks = {
        "demo-generator": Generator(GeneratorConfig(32, (8, 8, 8, 8), style_dim=DIM, n_mlp=1)),
        "demo-encoder": WPlusEncoder(
            EncoderConfig("e4e", N_LATENT, DIM, 32, (1, 1, 1, 1), (4, 4, 8, 8), 8)
        ),
    }
    found = {}
    for name, network in networks.items():
        path = folder / f"{name}.safetensors"
        save_network(network.eval(), path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = ModelFile(path=str(path), url="", sha256=sha256)
    return found


def _run(data: Path, weights: dict[str, ModelFile], **sections: dict[str, Any]) -> Run:
    run = make_run(data)
    changes = {
        "invert": {"max_pixel_error": 0.0, "frames_per_take": 4, "device": "cpu",
                   "encoder": "demo-encoder", "generator": "demo-generator"},
        "directions": {"min_takes": 1, "compensate": []},
        "synth": {"frames_per_take": 2},
        "score": {"weights": ""},
    }  # fmt: skip
    sections_of = {
        name: getattr(run.params, name).model_copy(update={**own, **sections.get(name, {})})
        for name, own in changes.items()
    }
    params = run.params.model_copy(update={**sections_of, "models": weights})
    return Run(run.dataset, params, run.data, run.options)


@pytest.fixture
def made(tmp_path: Path, weights: dict[str, ModelFile]) -> Run:
    run = _run(tmp_path, weights)
    make_inputs(run)
    return run


def _files(run: Run, stage: str) -> dict[str, bytes]:
    folder = run.folder(stage)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_codes_are_kept_with_their_errors(made: Run) -> None:
    summary = invert.run(made)
    assert (summary.planned, summary.kept, summary.done) == (6, 6, 6)
    assert summary.notes[0] == "24 of 24 frames kept, codes of 8 x 8, framed as ffhq"
    takes = read_rows(made.table("invert", "inverted"), InvertedTake)
    assert {take.split for take in takes if take.speaker == "S2"} == {"test"}
    assert all(take.n_kept == take.n_asked == 4 for take in takes)
    table = read_table(made.items("invert").path("S1/S1_angry", ".codes.parquet"), CODES_SCHEMA)
    assert table["frame"].to_pylist() == [0, 3, 7, 10]  # 11 to 13 have no face
    assert len(table["code"][0]) == N_LATENT * DIM
    assert table["identity"].null_count == 4
    error = table["pixel_error"].to_numpy()
    assert ((error > 0.05) & (error < 1)).all()


@pytest.mark.slow
def test_same_bytes_for_any_workers_and_nothing_redone(made: Run) -> None:
    invert.run(changed(made, workers=2))
    first = _files(made, "invert")
    again = invert.run(made)
    assert (again.done, again.reused) == (0, 6)
    invert.run(changed(made, force=True))
    assert _files(made, "invert") == first


@pytest.mark.slow
def test_a_changed_beta_redoes_synth_alone(made: Run, weights: dict[str, ModelFile]) -> None:
    for stage in (invert, directions, synth):
        assert stage.run(made).reused == 0
    other = _run(made.data, weights, synth={"beta": 1.1})
    counts = [(s.done, s.reused) for s in (stage.run(other) for stage in (invert, directions))]
    assert counts == [(0, 6), (0, 6)]
    assert (synth.run(other).done, synth.run(other).done) == (2, 0)
    # Other frames are other codes: then all is done anew.
    more = _run(made.data, weights, invert={"frames_per_take": 5})
    assert [stage.run(more).reused for stage in (invert, directions, synth)] == [0, 0, 0]


@pytest.mark.slow
def test_directions_are_fitted_on_train_alone(made: Run) -> None:
    invert.run(made)
    summary = directions.run(made)
    assert (summary.planned, summary.kept) == (6, 2)
    assert summary.reasons == {"few_codes": 4}
    rows = read_rows(made.table("directions", "directions"), Direction)
    assert [row.emotion for row in rows] == ["angry", "happy"]
    assert {(row.n_neutral, row.n_emotion, row.n_speakers) for row in rows} == {(4, 4, 1)}
    assert {row.accuracy_by_speaker for row in rows} == {None}
    assert summary.notes[0] == "norm flattened: a step of 15 is 5.30 per row of 8"


@pytest.mark.slow
def test_each_speaker_may_have_its_own(made: Run, weights: dict[str, ModelFile]) -> None:
    own = _run(made.data, weights, directions={"speakers": "each"})
    invert.run(own)
    directions.run(own)
    rows = read_rows(own.table("directions", "directions"), Direction)
    assert [(row.direction_id, row.speaker) for row in rows] == [
        ("S1/angry", "S1"), ("S1/happy", "S1"),
    ]  # fmt: skip
    summary = synth.run(own)
    rejects = read_rows(own.table("synth", "rejected"), Rejected)
    lost = {row.item for row in rejects if row.reason == "no_direction"}
    assert f"S2_neutral-{0:06d}/happy" in lost
    assert summary.planned == 4


@pytest.mark.slow
def test_families_of_faceless_images_are_all_rejected(made: Run) -> None:
    """Random weights draw no face: every family has its reason, and the counts hold."""
    for stage in (invert, directions):
        stage.run(made)
    summary = synth.run(made)
    assert (summary.grain, summary.planned, summary.kept) == ("source frame", 4, 0)
    assert summary.reasons == {"no_face_made": 4}
    assert read_rows(made.table("synth", "families"), MadeFamily) == []
    images = read_rows(made.table("synth", "images"), MadeImage)
    assert {row.verdict for row in images} == {"no_face_made"}
    assert {row.split for row in images if row.speaker == "S2"} == {"test"}


@pytest.mark.slow
def test_bounds_reject_frames_and_takes(made: Run, weights: dict[str, ModelFile]) -> None:
    invert.run(made)
    takes = read_rows(made.table("invert", "inverted"), InvertedTake)
    errors = np.concatenate(
        [
            read_table(made.items("invert").path(f"{t.speaker}/{t.take_id}", ".codes.parquet"))[
                "pixel_error"
            ].to_numpy()
            for t in takes
        ]
    )
    strict = _run(made.data, weights, invert={"max_pixel_error": float(np.median(errors))})
    summary = invert.run(strict)
    kept = read_rows(strict.table("invert", "inverted"), InvertedTake)
    assert sum(t.n_kept for t in kept) == pytest.approx(len(errors) / 2, abs=1)
    assert summary.kept + sum(summary.reasons.values()) == 6
    none = invert.run(_run(made.data, weights, invert={"max_pixel_error": 0.001}))
    assert none.reasons == {"poor_inversion": 6}
    rejects = read_rows(made.table("invert", "rejected"), Rejected)
    assert rejects[0].detail == "4 of 4 frames have large error"


def test_takes_without_image_or_face_have_reasons(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    silent = Clip(**{**vars(clips[0]), "n_frames": 0, "n_found": 0, "frames_sha256": None})
    write_rows(made.table("extract", "clips"), [silent, *clips[1:]], Clip)
    path = made.items("extract").path(f"{clips[1].speaker}/{clips[1].take_id}", ".frames.parquet")
    table = read_table(path)
    place = table.schema.get_field_index("landmarks")
    nulls = table.slice(0, 0)["landmarks"].type
    import pyarrow as pa

    from pipeline.runtime.tables import write_table

    write_table(path, table.set_column(place, "landmarks", pa.array([None] * len(table), nulls)))
    assert invert.run(made).reasons == {"no_face": 1, "audio_only": 1}


@pytest.mark.slow
def test_smoothing_runs_over_time_and_leaves_the_mean(
    made: Run, weights: dict[str, ModelFile]
) -> None:
    times_s = np.array([0.0, 0.04, 0.08, 1.0])
    codes = np.array([[0.0], [1.0], [2.0], [9.0]], np.float32)
    found = smoothed(codes, times_s, 0.1)
    assert found[1, 0] == pytest.approx(1.0, abs=1e-6)
    assert 0.2 < found[0, 0] < 1.0
    assert found[3, 0] == pytest.approx(9.0, abs=1e-6)  # far from all others in time

    def codes_of(run: Run) -> np.ndarray:
        invert.run(run)
        table = read_table(run.items("invert").path("S1/S1_happy", ".codes.parquet"))
        return np.array(table["code"].to_pylist())

    plain = codes_of(_run(made.data, weights, invert={"frames_per_take": 0}))
    smooth = codes_of(
        _run(made.data, weights, invert={"frames_per_take": 0, "smooth_codes_s": 0.2})
    )
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.5 * np.abs(np.diff(plain, axis=0)).mean()


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["ned256", "ffhq"])
def test_squares_tell_where_images_were_taken(
    made: Run, weights: dict[str, ModelFile], framing: str
) -> None:
    run = _run(made.data, weights, invert={"framing": framing})
    invert.run(run)
    table = read_table(run.items("invert").path("S1/S1_happy", ".codes.parquet"))
    quads = np.array(table["quad"].to_pylist()).reshape(-1, 4, 2)
    sides = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    assert ((sides > 100) & (sides < 320)).all()
    if framing == "ned256":
        assert np.ptp(quads, axis=0).max() == 0


def test_absent_weights_are_told_in_one_line_and_stop_nothing(
    made: Run, weights: dict[str, ModelFile]
) -> None:
    gone = {
        **weights,
        "demo-encoder": ModelFile(path="not/there.safetensors", url="", sha256="0" * 64),
    }
    run = _run(made.data, gone)
    summary = invert.run(run)
    assert (summary.planned, summary.kept) == (0, 0)
    assert len(summary.notes) == 1
    assert summary.notes[0].startswith(
        "no frames are inverted: the weights 'demo-encoder' (models.demo-encoder.path"
    )
    assert read_rows(run.table("invert", "inverted"), InvertedTake) == []
    assert directions.run(run).notes == ("no directions are fitted: no take of train has codes",)
    assert synth.run(run).notes == (
        "no families are generated: there are no codes or no directions",
    )


def test_no_name_is_no_weights(made: Run, weights: dict[str, ModelFile]) -> None:
    summary = invert.run(_run(made.data, weights, invert={"encoder": ""}))
    assert summary.notes == (
        "no frames are inverted: invert.encoder is empty. A StyleGAN2 generator and its encoder "
        "add W+ codes, directions and synthetic families; see docs/howto/real-weights.md",
    )


@pytest.mark.parametrize("corpus", ["mead", "custom"])
def test_networks_of_drawn_faces_never_see_recorded_ones(made: Run, corpus: str) -> None:
    default = load(None)
    run = _run(made.data, default.models)
    entry = run.entry.model_copy(update={"corpus": corpus})
    params = run.params.model_copy(
        update={"datasets": {run.dataset: entry}, "score": default.score}
    )
    run = Run(run.dataset, params, run.data, run.options)
    refused = "were trained on drawn faces and serve corpus demo only"
    for stage in (score, invert, directions, synth):
        summary = stage.run(run)
        assert (summary.planned, summary.kept) == (0, 0)
        assert len(summary.notes) == 1
        if stage in (score, invert):
            assert refused in summary.notes[0]
            assert "see docs/howto/real-weights.md" in summary.notes[0]
    assert read_rows(run.table("score", "scores"), ScoredTake) == []
    assert read_rows(run.table("invert", "inverted"), InvertedTake) == []


def test_wrong_weights_stop_with_one_line(made: Run, weights: dict[str, ModelFile]) -> None:
    run = _run(made.data, weights, invert={"encoder": "demo-generator"})
    with pytest.raises(PipelineError, match="which hold a Generator; a WPlusEncoder is expected"):
        invert.run(run)


def test_out_of_order_names_the_command(made: Run) -> None:
    with pytest.raises(OutOfOrderError, match="run first: spfem-data invert --dataset made"):
        directions.run(made)
    invert.run(made)
    with pytest.raises(OutOfOrderError, match="run first: spfem-data directions --dataset made"):
        synth.run(made)


@pytest.mark.slow
def test_a_take_whose_worker_died_is_told_beside_the_count(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is of source frames; how many a dead worker's take had is not made up."""
    for stage in (invert, directions):
        stage.run(made)
    original = engine.run

    def dying(fn: Any, items: Any, **others: Any) -> Any:
        for key, outcome in original(fn, items, **others):
            yield key, engine.Died(3) if key.startswith("S2") else outcome

    monkeypatch.setattr(engine, "run", dying)
    summary = synth.run(made)
    assert (summary.planned, summary.kept, summary.reasons) == (2, 0, {"no_face_made": 2})
    assert (
        "1 takes have no families because their worker died; see rejected.parquet" in summary.notes
    )
    rejects = read_rows(made.table("synth", "rejected"), Rejected)
    assert [(row.item, row.kind) for row in rejects if row.reason == "worker_died"] == [
        ("S2/S2_neutral", "failed")
    ]
