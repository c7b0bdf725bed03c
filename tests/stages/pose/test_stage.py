from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import OutOfOrderError
from pipeline.records import Clip, Pair, PosedPair, PosePair, Rejected
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, read_table, write_rows, write_table
from pipeline.stages.pose import stage as pose
from pipeline.stages.pose.worker import POSES
from tests.builders.dataset import changed, make_inputs, make_run, true_affine, write_take


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    make_inputs(run)
    return run


def with_pose(run: Run, **section: object) -> Run:
    params = run.params.model_copy(update={"pose": run.params.pose.model_copy(update=section)})
    return Run(run.dataset, params, run.data, run.options)


def poses_of(run: Run, speaker: str) -> list[PosePair]:
    return read_rows(run.items("pose").path(speaker, POSES), PosePair)


def files_of(run: Run) -> dict[str, bytes]:
    folder = run.folder("pose")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["affine", "affine_robust", "similarity"])
def test_true_motion_is_found(made: Run, method: str) -> None:
    run = with_pose(made, method=method)
    summary = pose.run(run)
    assert (summary.planned, summary.kept) == (4, 4)
    for row in poses_of(run, "S1"):
        seed = {"happy": 1, "angry": 2}[row.pair_id.split("+")[1]]
        truth = true_affine(0, row.frame_a, seed, row.frame_b)
        np.testing.assert_allclose(np.reshape(row.affine, (2, 3)) @ [160, 150, 1],
                                   truth @ [160, 150, 1], atol=0.05)  # fmt: skip
        np.testing.assert_allclose(np.reshape(row.affine, (2, 3))[:, :2], truth[:, :2], atol=2e-3)
        both = np.vstack([np.reshape(row.affine, (2, 3)), [0, 0, 1]]) @ [
            *np.reshape(row.inverse, (2, 3)),
            [0, 0, 1],
        ]
        np.testing.assert_allclose(both, np.eye(3), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("section", [{"shear_prior": 0.0}, {"shear_prior": 50.0}])
def test_a_change_of_the_section_redoes_all(made: Run, section: dict[str, float]) -> None:
    pose.run(made)
    again = pose.run(with_pose(made, **section))
    assert (again.done, again.reused) == (2, 0)


def test_smoothing_keeps_the_true_motion_over_lost_frames(made: Run) -> None:
    """The angry take's map leaps where its frames do: five pairs, then two three frames on."""
    pose.run(with_pose(made, smooth_s=0.08))
    for row in poses_of(made, "S1"):
        truth = true_affine(0, row.frame_a, {"happy": 1, "angry": 2}[row.pair_id.split("+")[1]],
                            row.frame_b)  # fmt: skip
        found = np.reshape(row.affine, (2, 3)) @ [160, 150, 1]
        np.testing.assert_allclose(found, truth @ [160, 150, 1], atol=0.25)


def test_residual_falls_and_differences_are_b_minus_a(made: Run) -> None:
    pose.run(made)
    for row in poses_of(made, "S1"):
        assert row.residual_after < 0.002
        assert row.residual_before > 3 * row.residual_after
        assert row.yaw_difference_deg == {"happy": 1, "angry": 2}[row.pair_id.split("+")[1]]
        assert row.pitch_difference_deg == 0
        assert row.mouth_difference == pytest.approx(row.mouth_open_b - row.mouth_open_a, abs=1e-6)


def test_residual_before_is_that_of_the_stored_crops(made: Run) -> None:
    """The head's own motion inside the crops, nothing of where the crops lie."""
    pose.run(made)
    first = poses_of(made, "S1")[0]
    clips = read_rows(made.table("extract", "clips"), Clip)
    moved = [
        Clip(**{**vars(c), "crop_x_px": c.crop_x_px + 5}) if c.emotion == "neutral" else c
        for c in clips
    ]
    write_rows(made.table("extract", "clips"), moved, Clip)
    pose.run(made)
    assert poses_of(made, "S1")[0].residual_before != first.residual_before
    assert poses_of(made, "S1")[0].affine == first.affine


def test_frames_without_a_face_are_counted(made: Run) -> None:
    pose.run(made)
    rows = {row.pair_id: row for row in read_rows(made.table("pose", "pose_pairs"), PosedPair)}
    angry = rows["S1_neutral+angry"]  # its frames 11 to 13 have no face
    assert (angry.n_frames, angry.n_kept, angry.n_no_face) == (9, 6, 3)
    assert rows["S1_neutral+happy"].n_kept == 12


def test_rejects_have_reasons(made: Run) -> None:
    assert pose.run(with_pose(made, max_residual=1e-12)).reasons == {"large_residual": 4}
    rejects = read_rows(made.table("pose", "rejected"), Rejected)
    assert rejects[0].detail.startswith("of 9 frame pairs: 3 no face, 6 large residual")

    clips = read_rows(made.table("extract", "clips"), Clip)
    silent = [
        Clip(**{**vars(c), "n_frames": 0, "n_found": 0, "frames_sha256": None})
        if c.take_id == "S1_happy"
        else c
        for c in clips
    ]
    write_rows(made.table("extract", "clips"), silent, Clip)
    assert pose.run(made).reasons == {"audio_only": 1}


def test_faces_that_do_not_match_are_degenerate(made: Run) -> None:
    path = made.items("extract").path("S1/S1_happy", ".frames.parquet")
    table = read_table(path)
    flat = np.zeros((len(table), 1434), np.float32) + 5
    column = table.schema.field("landmarks").type
    landmarks = pa.array(list(flat), column)
    at = table.schema.get_field_index("landmarks")
    write_table(path, table.set_column(at, "landmarks", landmarks))
    assert pose.run(made).reasons == {"degenerate_pose": 1}


def test_second_run_reuses_and_a_change_of_input_redoes_its_speaker(made: Run) -> None:
    assert (pose.run(made).done, pose.run(made).reused) == (2, 2)
    pairs = read_rows(made.table("align", "pairs"), Pair)
    write_rows(made.table("align", "pairs"), pairs[:-1], Pair)
    again = pose.run(made)
    assert (again.done, again.reused, again.planned) == (1, 1, 3)


@pytest.mark.slow
def test_same_bytes_for_any_number_of_workers(made: Run) -> None:
    pose.run(made)
    one = files_of(made)
    pose.run(changed(made, force=True, workers=2))
    assert files_of(made) == one


def test_without_align_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(OutOfOrderError, match="spfem-data extract --dataset made"):
        pose.run(make_run(tmp_path))


def two_people(run: Run) -> None:
    """S1's happy take shows another face than its neutral and angry ones."""
    items = run.items("extract").folder
    other = write_take(items, "S1", "S1_happy", "happy", 1, face_seed=77)
    clips = read_rows(run.table("extract", "clips"), Clip)
    kept = [other if clip.take_id == other.take_id else clip for clip in clips]
    write_rows(run.table("extract", "clips"), kept, Clip)


def test_pairs_of_two_people_under_one_name_are_rejected(made: Run) -> None:
    pose.run(made)
    before = {row.pair_id: row for row in read_rows(made.table("pose", "pose_pairs"), PosedPair)}
    assert max(row.face_difference or 9 for row in before.values()) < 0.2
    two_people(made)
    assert pose.run(made).reasons == {"other_face": 1}
    (row,) = read_rows(made.table("pose", "rejected"), Rejected)
    assert row.item == "S1_neutral+happy"
    assert row.detail.startswith("the faces of S1_neutral and S1_happy differ by ")
    assert row.detail.endswith("of one person by at most 0.5; 2 and 1 takes of S1 show them")


def test_pairs_of_two_people_can_be_kept(made: Run) -> None:
    two_people(made)
    summary = pose.run(with_pose(made, other_face="keep"))
    assert summary.kept == 4
    assert "1 kept clip pairs seem to show two people (other_face)" in summary.notes
    rows = {row.pair_id: row for row in read_rows(made.table("pose", "pose_pairs"), PosedPair)}
    assert [pair for pair, row in rows.items() if row.other_face] == ["S1_neutral+happy"]
    assert rows["S1_neutral+happy"].face_difference > 0.8
    assert pose.run(with_pose(made, max_face_difference=0.0)).reasons == {}
