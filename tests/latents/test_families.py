"""The way from codes to families, on a generator that draws: the truth of every mouth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import simplejpeg

from pipeline import params
from pipeline.latents.mouths import Calibrator, Judge
from pipeline.records import Clip, Direction, InvertedTake, MadeImage
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, read_table
from pipeline.stages.directions.worker import DIRECTION, FitJob, Fitter, fit_direction
from pipeline.stages.synth.family import MakeJob, Maker
from pipeline.stages.synth.worker import FAMILIES, make_families
from tests.builders.drawing_generator import JAW, SIZE_PX, SMILE, DrawnNets
from tests.builders.inverted_takes import write_take

BASE = params.load(None)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def calibrator() -> Calibrator:
    return Calibrator()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two speakers with two takes of neutral and of happy each, and one who is held out."""
    data = tmp_path_factory.mktemp("families")
    takes = [
        write_take(data, speaker, emotion, k, split="test" if speaker == "C" else "train")
        for speaker in "ABC"
        for emotion in ("neutral", "happy")
        for k in range(2)
    ]
    return SimpleNamespace(data=data, clips=[c for c, _ in takes], takes=[t for _, t in takes])


def _fit_job(made: SimpleNamespace, emotion: str = "happy", **changes: object) -> FitJob:
    section = BASE.directions.model_copy(
        update={"calibration_frames": 6, "rounds": 4, "folds": 2, "c": 1.0, **changes}
    )
    takes = tuple(take for take in made.takes if take.split == "train")
    clips = {clip.take_id: clip for clip in made.clips}
    return FitJob(
        emotion, None, takes, tuple(clips[take.take_id] for take in takes),
        made.data / "invert" / "items", made.data / "extract" / "items", section,
    )  # fmt: skip


@pytest.fixture(scope="module")
def happy(made: SimpleNamespace, calibrator: Calibrator) -> Direction:
    store = ItemStore(made.data / "directions" / "items")
    outcome = fit_direction(Fitter(DrawnNets(), calibrator), store, "happy", _fit_job(made))
    assert not outcome.rejects
    return read_rows(store.path("happy", DIRECTION), Direction)[0]


def _axis(direction: Direction, name: str) -> np.ndarray:
    return np.array(getattr(direction, name))


@pytest.mark.slow
def test_direction_is_the_emotion_with_the_mouth_taken_out(happy: Direction) -> None:
    plain, vector = _axis(happy, "plain"), _axis(happy, "vector")
    assert np.linalg.norm(plain) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    assert plain[SMILE] > 0.7
    assert plain[JAW] > 0.4
    assert vector[SMILE] > 0.85
    assert abs(vector[JAW]) < 0.1
    moves = _axis(happy, "moves")
    assert np.abs(moves).argmax() == JAW
    assert moves[JAW] == pytest.approx(4.8, abs=0.5)  # of jaw for an opening of 1


def test_loop_is_closed_on_what_is_measured(happy: Direction) -> None:
    assert happy.measures == ("mouth_open",)
    assert happy.shift_before[0] > 0.1
    assert abs(happy.shift_after[0]) < 0.1 * happy.shift_before[0]
    assert happy.n_calibration == 6


def test_gap_and_accuracies_are_told(happy: Direction) -> None:
    assert happy.class_gap == pytest.approx(np.hypot(0.6, 0.4), abs=0.15)
    assert happy.accuracy_by_take == 1.0
    assert happy.accuracy_by_speaker == 1.0
    assert (happy.n_neutral, happy.n_emotion, happy.n_speakers, happy.n_takes) == (64, 64, 2, 8)
    # What the loop leaves of the step is along `vector`, `gap_length` lengths of it a gap.
    along = happy.gap_length * _axis(happy, "vector")[SMILE]
    assert along == pytest.approx(happy.class_gap * _axis(happy, "plain")[SMILE], abs=0.08)


def test_test_speakers_teach_nothing(
    made: SimpleNamespace, happy: Direction, calibrator: Calibrator, tmp_path: Path
) -> None:
    from pipeline.stages.directions.stage import _units

    run = SimpleNamespace(
        params=BASE.model_copy(update={"directions": _fit_job(made).section}),
        items=lambda stage: ItemStore(made.data / stage / "items"),
    )
    chosen = SimpleNamespace(identity=lambda section: ["w"], missing="it is not named")
    train = [take for take in made.takes if take.split == "train"]
    clips = {clip.take_id: clip for clip in made.clips}
    units = _units(run, train, clips, chosen)
    assert [unit.name for unit in units] == [
        "happy", "angry", "surprised", "fear", "sad", "disgusted",
    ]  # fmt: skip
    assert {take.speaker for take in units[0].payload.takes} == {"A", "B"}


@pytest.mark.parametrize(
    ("emotion", "changes", "reason"),
    [("sad", {}, "few_codes"), ("happy", {"readout_frames": 4}, "mouth_unmeasured")],
)
def test_directions_that_cannot_be_are_rejected(
    made: SimpleNamespace, tmp_path: Path, calibrator: Calibrator, emotion: str,
    changes: dict[str, object], reason: str,
) -> None:  # fmt: skip
    fitter = Fitter(DrawnNets(), calibrator)
    job = _fit_job(made, emotion, **changes)
    outcome = fit_direction(fitter, ItemStore(tmp_path), emotion, job)
    assert [row.reason for row in outcome.rejects] == [reason]
    assert not outcome.suffixes


def test_without_measures_nothing_is_taken_out_and_no_image_made(
    made: SimpleNamespace, tmp_path: Path, calibrator: Calibrator
) -> None:
    nets = DrawnNets()
    job = _fit_job(made, compensate=[], norm="per_layer")
    fit_direction(Fitter(nets, calibrator), ItemStore(tmp_path), "happy", job)
    row = read_rows(ItemStore(tmp_path).path("happy", DIRECTION), Direction)[0]
    np.testing.assert_array_equal(row.vector, row.plain)
    assert np.linalg.norm(row.plain) == pytest.approx(np.sqrt(2), abs=1e-6)
    assert nets.n_made == 0


class _Make:
    """Makes the families of one neutral take and reads them back."""

    def __init__(self, made: SimpleNamespace, happy: Direction, judge: Judge,
                 calibrator: Calibrator) -> None:  # fmt: skip
        self.made, self.happy, self.judge, self.calibrator = made, happy, judge, calibrator

    def __call__(self, folder: Path, nets: DrawnNets | None = None, **changes: object) -> tuple:
        section = BASE.synth.model_copy(
            update={"frames_per_take": 3, "min_images": 1, "beta": 1.5, "corrections": 0,
                    **changes}
        )  # fmt: skip
        clip, take = self._of("C_neutral0")
        paths = (self.made.data / stage / "items" / "C" for stage in ("extract", "invert"))
        frames, codes = (
            path / f"C_neutral0.{what}.parquet"
            for path, what in zip(paths, ("frames", "codes"), strict=True)
        )
        job = MakeJob(clip, take, frames, codes, {"happy": self.happy}, section, "head")
        maker = Maker(nets or DrawnNets(), self.judge, self.calibrator)
        store = ItemStore(folder)
        outcome = make_families(maker, store, "C/C_neutral0", job)
        rows = read_table(store.path("C/C_neutral0", FAMILIES)).to_pylist()
        return outcome, rows

    def _of(self, take_id: str) -> tuple[Clip, InvertedTake]:
        clip = next(c for c in self.made.clips if c.take_id == take_id)
        return clip, next(t for t in self.made.takes if t.take_id == take_id)


@pytest.fixture
def make(made: SimpleNamespace, happy: Direction, judge: Judge, calibrator: Calibrator) -> _Make:
    return _Make(made, happy, judge, calibrator)


def _moved(rows: list[dict]) -> float:
    return float(np.median([abs(r["mouth_open_difference"]) for r in _edits(rows)]))


def _edits(rows: list[dict]) -> list[dict]:
    return [row for row in rows if not row["is_reconstruction"]]


def test_families_keep_the_mouth_and_inherit_the_split(make: _Make, tmp_path: Path) -> None:
    outcome, rows = make(tmp_path, max_open=0.5)
    assert [row["family_id"] for row in outcome.rows["families"]] == [
        f"C_neutral0-{k:06d}" for k in (0, 8, 15)
    ]
    assert {row["split"] for row in rows} == {"test"}
    assert len(rows) == 6
    first = rows[:2]
    assert [row["is_reconstruction"] for row in first] == [True, False]
    assert (first[0]["emotion"], first[0]["beta"], first[0]["direction_sha256"]) == (
        "neutral", 0.0, None,
    )  # fmt: skip
    _, plain = make(tmp_path / "plain", max_open=0.5, keep_mouth=False)
    assert _moved(rows) < 0.4 * _moved(plain)
    assert _moved(rows) < 0.03
    assert _moved(plain) > 0.06
    # The generator draws what the encoder saw: the reconstruction's mouth is the frame's.
    own = [abs(row["mouth_open_difference"]) for row in rows if row["is_reconstruction"]]
    assert max(own) < 0.02


def test_images_are_what_they_say(make: _Make, tmp_path: Path) -> None:
    _, rows = make(tmp_path, max_open=0.5)
    image = simplejpeg.decode_jpeg(_edits(rows)[0]["image"], colorspace="RGB")
    assert image.shape == (SIZE_PX, SIZE_PX, 3)
    assert all(row["composed"] is None for row in rows)
    assert {row["gaps"] for row in _edits(rows)} == {1.5}
    np.testing.assert_allclose(rows[0]["frame_to_image"], [1, 0, 0, 0, 1, 0], atol=1e-12)
    assert _edits(rows)[0]["mouth_corner_difference"] > 0.0  # it smiles


def test_correction_of_each_image_helps(make: _Make, tmp_path: Path) -> None:
    """A direction that was never compensated: what is left to do is done on each image."""
    happy = make.happy
    make.happy = replace(happy, vector=happy.plain, gap_length=happy.class_gap)
    _, once = make(tmp_path / "0", max_open=0.5)
    _, more = make(tmp_path / "1", max_open=0.5, corrections=2)
    assert _moved(once) > 0.06
    assert _moved(more) < 0.3 * _moved(once)


def test_beta_shrinks_until_the_mouth_stays(make: _Make, tmp_path: Path) -> None:
    outcome, rows = make(tmp_path, max_open=0.03, keep_mouth=False, tries=8, shrink=0.7)
    edits = _edits(rows)
    assert {row["verdict"] for row in edits} == {"kept"}
    for row in edits:
        assert row["tries"] > 1
        assert row["gaps"] == pytest.approx(1.5 * 0.7 ** (row["tries"] - 1), rel=1e-6)
        assert row["beta"] == pytest.approx(row["gaps"] * make.happy.class_gap, rel=1e-5)
    assert len(outcome.rows["families"]) == 3


def test_what_does_not_come_right_is_rejected(make: _Make, tmp_path: Path) -> None:
    outcome, rows = make(tmp_path, max_open=0.01, keep_mouth=False, tries=1)
    assert not outcome.rows["families"]
    assert {row["verdict"] for row in _edits(rows)} == {"mouth_moved"}
    assert not any(row["family_kept"] for row in rows)
    by_grain = {(row.grain, row.reason) for row in outcome.rejects}
    assert by_grain == {
        ("source frame", "few_images"), ("image", "mouth_moved"), ("image", "no_direction"),
    }  # fmt: skip
    families = [row for row in outcome.rejects if row.grain == "source frame"]
    assert families[0].detail == "0 of 1, synth.min_images is 1"


def test_no_face_and_unclear_emotions_have_their_reasons(make: _Make, tmp_path: Path) -> None:
    outcome, _ = make(tmp_path / "0", DrawnNets(broken=0.3), tries=1)
    assert ("image", "no_face_made") in {(row.grain, row.reason) for row in outcome.rejects}
    never = DrawnNets(clarity=lambda images: np.full((len(images), 7), 1 / 7, np.float32))
    outcome, rows = make(tmp_path / "1", never, max_open=0.0, min_clarity_rise=0.2)
    assert ("image", "unclear_emotion") in {(row.grain, row.reason) for row in outcome.rejects}
    assert _edits(rows)[0]["clarity"] == pytest.approx(1 / 7)
    assert _edits(rows)[0]["clarity_rise"] == pytest.approx(0.0, abs=1e-6)
    assert _edits(rows)[0]["tries"] == 1  # a smaller step would be less clear


def test_beta_in_lengths_is_the_paper_s(make: _Make, tmp_path: Path) -> None:
    _, rows = make(tmp_path, max_open=0.0, beta=0.5, beta_in="lengths")
    edit = _edits(rows)[0]
    assert edit["beta"] == pytest.approx(0.5, rel=1e-6)
    assert edit["gaps"] == pytest.approx(0.5 / make.happy.gap_length, rel=1e-6)


def test_image_goes_back_into_its_crop(make: _Make, tmp_path: Path) -> None:
    _, rows = make(tmp_path, max_open=0.5, compose_back=True, jpeg_quality=100)
    edit = _edits(rows)[0]
    back = simplejpeg.decode_jpeg(edit["composed"], colorspace="RGB").astype(int)
    image = simplejpeg.decode_jpeg(edit["image"], colorspace="RGB").astype(int)
    middle = slice(SIZE_PX // 4, 3 * SIZE_PX // 4)
    assert np.abs(back[middle, middle] - image[middle, middle]).mean() < 2.0
    assert back.shape == (SIZE_PX, SIZE_PX, 3)


def test_rows_are_the_table_s(make: _Make, tmp_path: Path) -> None:
    outcome, _ = make(tmp_path, max_open=0.5)
    rows = [MadeImage.from_row(row) for row in outcome.rows["images"]]
    assert len(rows) == 6
    assert rows[1].norm == "flattened"


@pytest.mark.slow
def test_a_family_s_digest_tells_of_its_images(make: _Make, tmp_path: Path) -> None:
    """What packs them looks at the digest alone: a changed quality changes no number of theirs."""
    digests = [
        [row["rows_sha256"] for row in outcome.rows["families"]]
        for outcome, _ in (
            make(tmp_path / "0", max_open=0.5),
            make(tmp_path / "1", max_open=0.5),
            make(tmp_path / "2", max_open=0.5, jpeg_quality=60),
        )
    ]
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])
