from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.demo_corpus.truth import MEASURES, frames_table, gather_parts, write_parts
from pipeline.errors import OutOfOrderError, PipelineError, TableError
from pipeline.records import Clip, Pair, Rejected, ScoredTake, rejected
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_bytes, write_json
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages import STAGES
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.report import stage as report
from pipeline.stages.report.images import fringes, grey_uri, jpeg_uri, spectrogram, warped
from pipeline.stages.report.truth import match_times, read_truth
from pipeline.takes.frame_file import read_columns
from tests.builders.dataset import changed, make_inputs, make_run
from tests.builders.report_run import REASONS, with_params
from tests.builders.scores import rising, sharp, turned, write_scores


@pytest.fixture
def made(tmp_path: Path) -> Run:
    """A run with all inputs of the report."""
    run = with_params(make_run(tmp_path / "data"), "custom", tmp_path)
    make_inputs(run)
    pose.run(run)
    write_scores(run)
    filter_stage.run(run)
    rows = {
        "extract": [rejected("extract", "take", "S1_sad_3_front_001", "no_face", "empty chair")],
        "align": [rejected("align", "clip pair", "S1_angry", "no_partner", "says another thing")],
    }
    for stage, rejects in rows.items():
        write_rows(run.table(stage, "rejected"), rejects, Rejected)
    for stage, reasons in REASONS.items():
        summary = {
            "stage": stage, "dataset": "made", "grain": "take", "planned": 6 + len(reasons),
            "kept": 6, "reasons": reasons, "notes": [], "look": [],
        }  # fmt: skip
        write_json(run.folder(stage) / "tables" / "summary.json", summary)
    return run


def test_the_report_counts_every_stage_before_it() -> None:
    assert set(report.REPORTED) == set(STAGES) - {"demo", "report"}
    assert list(report.REPORTED) == [stage for stage in STAGES if stage in report.REPORTED]


def outputs(run: Run) -> dict[str, bytes]:
    folder = run.folder("report")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def page_of(run: Run) -> str:
    return (run.folder("report") / "report.html").read_text()


def metrics_of(run: Run) -> dict:
    return json.loads((run.folder("report") / "metrics.json").read_text())


@pytest.mark.slow
def test_the_page_shows_pairs_overlays_and_rejects(made: Run) -> None:
    summary = report.run(made)
    # three cards, the face beside the reject of a take that has a image, and the sheets: three
    # emotions' clearest and faintest, and what two of them left below the threshold
    assert (summary.planned, summary.kept) == (4 + 8, 4 + 8)
    page = page_of(made)
    assert page.count('class="pair"') == 3
    assert page.count('alt="The paired frames of take') == 3
    assert page.count("both before") == 2
    assert "empty chair" in page
    assert len(page) < 2_000_000


def test_metrics_count_what_the_tables_hold(made: Run) -> None:
    report.run(made)
    metrics = metrics_of(made)
    assert metrics["align"]["pairs"] == 4
    assert metrics["align"]["frame_pairs"] == 2 * (12 + 9)
    assert metrics["align"]["pairs_per_emotion"] == {"happy": 2, "angry": 2}
    assert metrics["align"]["mouth_agreement_median"] == 0.9
    assert metrics["extract"]["rejected"] == {"no_face": 1}
    assert metrics["extract"]["found_share"] == pytest.approx((6 * 14 - 6) / (6 * 14), abs=1e-4)
    assert metrics["pose"]["residual_after_median"] < metrics["pose"]["residual_before_median"]
    assert "truth" not in metrics


def test_plots_are_counts(made: Run) -> None:
    stale = made.folder("report") / "plots" / "confidence.csv"
    write_bytes(stale, b"from,frame pairs\n")
    report.run(made)
    assert not stale.exists()
    plots = made.folder("report") / "plots"
    lines = (plots / "histograms" / "confidence.csv").read_text().splitlines()
    assert lines[0] == "from,count"
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 42
    assert (plots / "histograms" / "residual_before.csv").is_file()
    assert (plots / "histograms" / "residual_after.csv").is_file()
    mouths = [(plots / "mouth_curve" / f"{take}.csv").read_text().splitlines() for take in "ab"]
    assert mouths[0][0] == mouths[1][0] == "place,opening"
    assert len(mouths[0]) == len(mouths[1]) > 9


@pytest.mark.slow
def test_timings_are_in_no_output(made: Run) -> None:
    report.run(made)
    report.run(made)  # the first run of the stage is remembered only when it has ended
    page = made.local("timings.html").read_text()
    row = page[page.index(">pose</th>") :]
    assert "2 of 2" in row[: row.index("</tr>")]
    assert " s</td>" in row
    assert not [name for name in outputs(made) if "timings" in name]


@pytest.mark.slow
def test_a_page_that_would_be_too_large_shows_fewer_pairs(made: Run) -> None:
    report.run(made)
    whole = len(page_of(made).encode())
    small = with_params(made, "custom", Path(), page_mb=(whole - 1000) / 1e6)
    summary = report.run(small)
    assert "left out of the page: report.page_mb is" in summary.notes[0]
    assert summary.done == 0  # the limit redraws nothing
    assert 0 < page_of(small).count('class="pair"') < 3
    assert len(page_of(small).encode()) < whole - 1000


@pytest.mark.slow
def test_same_bytes_twice_and_with_two_workers(made: Run) -> None:
    report.run(made)
    first = outputs(made)
    shutil.rmtree(made.folder("report"))
    report.run(changed(made, workers=2))
    assert outputs(made) == first


@pytest.mark.slow
def test_no_path_of_this_machine_is_on_the_page(made: Run, tmp_path: Path) -> None:
    report.run(made)
    for name in ("report.html", "metrics.json", "plots/mouth_curve/a.csv"):
        assert str(tmp_path) not in outputs(made)[name].decode()


@pytest.mark.slow
def test_a_second_run_draws_nothing(made: Run) -> None:
    report.run(made)
    summary = report.run(made)
    assert (summary.done, summary.reused) == (0, 12)


@pytest.mark.slow
def test_a_pair_that_changed_draws_its_card_alone(made: Run) -> None:
    made = with_params(made, "custom", Path(), pairs=4)
    report.run(made)
    pairs = read_rows(made.table("align", "pairs"), Pair)
    write_rows(
        made.table("align", "pairs"), [replace(pairs[0], length_ratio=1.1), *pairs[1:]], Pair
    )
    assert report.run(made).done == 1


@pytest.mark.parametrize("stage", ["extract", "align", "pose"])
def test_out_of_order_names_the_command(made: Run, stage: str) -> None:
    shutil.rmtree(made.folder(stage))
    with pytest.raises(OutOfOrderError, match=f"spfem-data {stage} --dataset made"):
        report.run(made)


OPTIONAL_STAGES = ("score", "filter", "invert", "directions", "synth", "shards")


def test_extract_align_and_pose_alone_give_a_report(made: Run) -> None:
    for stage in OPTIONAL_STAGES:
        shutil.rmtree(made.folder(stage))
    summary = report.run(made)
    assert "not run: sync, score, filter, invert, directions, synth, shards" in summary.notes
    page = page_of(made)
    note = page[page.index('id="not-run"') : page.index('id="coverage"')]
    for stage in OPTIONAL_STAGES:
        assert f"<code>spfem-data {stage} --dataset made</code>" in note
    assert "There are no scored frames" in page
    assert "<code>invert</code> has not run" in page
    metrics = metrics_of(made)
    assert set(metrics) == {"extract", "align", "pose"}
    assert metrics["align"]["pairs"] == 4


def test_a_demo_report_needs_no_optional_stage(made: Run, tmp_path: Path) -> None:
    for stage in OPTIONAL_STAGES:
        shutil.rmtree(made.folder(stage))
    run = with_params(made, "demo", tmp_path / "corpus")
    make_truth(run, tmp_path / "corpus")
    report.run(run)
    assert metrics_of(run)["truth"]["emotions"] == {}
    assert metrics_of(run)["truth"]["alignment"]["frames"] == 34


@pytest.mark.parametrize("stage", ["extract", "score", "filter", "shards"])
def test_a_stage_that_was_stopped_midway_is_refused(made: Run, stage: str) -> None:
    write_bytes(made.unfinished(stage), b"")
    with pytest.raises(OutOfOrderError, match=f"{stage} was stopped before its end"):
        report.run(made)


def test_findings_are_counted_with_their_policy(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    found = [replace(c, findings=("face_jumps",) if n < 2 else ()) for n, c in enumerate(clips)]
    write_rows(made.table("extract", "clips"), found, Clip)
    lost = rejected(
        "extract", "take", "S1_sad_3_front_002", "rejected_finding", "frozen_video: stands still"
    )
    write_rows(made.table("extract", "rejected"), [lost], Rejected)
    two = rejected("pose", "clip pair", "S1_a--S1_b", "other_face", "the faces differ by 0.82")
    write_rows(made.table("pose", "rejected"), [two], Rejected)
    report.run(made)
    assert metrics_of(made)["extract"]["findings"] == {"face_jumps": 2}
    section = page_of(made)
    section = section[section.index('id="findings"') : section.index('id="coverage"')]
    policies = made.params.extract.policies
    for name, counts in (("face jumps", "2"), ("frozen video", "0 kept, 1 rejected")):
        row = section[section.index(f">{name}</th>") :]
        row = row[: row.index("</tr>")]
        assert f"<td>{counts}</td>" in row
        policy = getattr(policies, name.replace(" ", "_")).replace("_", " ")
        assert f'<td class="soft">{policy}</td>' in row
    row = section[section.index(">other face</th>") :]
    assert "<td>0 kept, 1 rejected</td>" in row[: row.index("</tr>")]


def test_the_page_names_networks_and_what_others_would_add(made: Run) -> None:
    report.run(made)
    page = page_of(made)
    section = page[page.index('<section id="networks">') :]
    section = " ".join(section[: section.index("</section>")].split())
    assert "Networks used: none. These would add more" in section
    assert (
        "<b>CLIP</b>: demo-clip was trained on drawn faces and serves corpus demo only" in section
    )
    assert "<b>ArcFace (optional)</b>: invert.identity is empty" in section
    assert '<a href="https://github.com/deepinsight/insightface" rel="noreferrer">' in section
    assert "invert: identity: arcface</code>" in section
    assert "docs/howto/real-weights.md" in section


def test_pairs_of_clips_that_are_gone_are_refused(made: Run) -> None:
    clips = read_rows(made.table("extract", "clips"), Clip)
    write_rows(made.table("extract", "clips"), clips[1:], Clip)
    with pytest.raises(TableError, match="rerun align"):
        report.run(made)


def test_audio_only_pairs_have_spectrograms_and_no_strip(made: Run) -> None:
    clips = [
        replace(
            c, n_frames=0, n_found=0, frames_sha256=None, video_path=None, audio_path="s",
            crop_x_px=None, crop_y_px=None, crop_side_px=None, crop_px=None,
        )
        for c in read_rows(made.table("extract", "clips"), Clip)
    ]  # fmt: skip
    write_rows(made.table("extract", "clips"), clips, Clip)
    pose.run(made)
    write_rows(made.table("score", "scores"), [], ScoredTake)
    filter_stage.run(made)
    report.run(made)
    page = page_of(made)
    assert page.count("Audio only: no images") == 3
    assert page.count('class="mel"') == 6
    assert 'class="mark"' not in page
    assert "data:image/jpeg" not in page


# against truth


def make_truth(
    run: Run,
    root: Path,
    *,
    wrong: bool = False,
    shift_px: float = 0.0,
    shown: Mapping[str, str] | None = None,
) -> None:
    """Write the truth of the made takes: what extract has, with known faults.

    Phonemes last 0.1 s in every take, so that the true map is the identity. `wrong`: the happy
    takes say another sentence. `shift_px`: how far off the landmarks of extract are. `shown`: what
    mislabelled takes show. Emotions rise evenly from 0 to 1.
    """
    shown = shown or {}
    parts, names = root / "parts", []
    (root / "truth").mkdir(parents=True)
    parts.mkdir()
    clips = read_rows(run.table("extract", "clips"), Clip)
    placed = [replace(c, video_path=f"{c.take_id}.mp4") for c in clips]
    write_rows(run.table("extract", "clips"), placed, Clip)
    for clip in placed:
        path = run.items("extract").path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
        found = read_columns(path, ("time_s", "landmarks", "mouth_open"))
        n = len(found["time_s"])
        landmarks = np.nan_to_num(found["landmarks"][:, :468, :2])
        measures = {name: np.zeros(n) for name in MEASURES}
        measures["mouth_open"] = np.nan_to_num(found["mouth_open"]) / 2
        felt = shown.get(clip.take_id, clip.emotion) != "neutral"
        measures["intensity"] = np.arange(n) / (n - 1) if felt else np.zeros(n)
        row = {
            "take": clip.take_id, "path": f"{clip.take_id}.mp4", "member": "",
            "sentence_id": "other" if wrong and clip.emotion == "happy" else "s1",
            "emotion": clip.emotion, "shown_emotion": shown.get(clip.take_id, clip.emotion),
            "mislabelled": clip.take_id in shown, "phonemes": list("abcd"),
            "image_late_s": 0.0,
            "onsets_s": [0.1, 0.2, 0.3, 0.4, 0.5],
        }  # fmt: skip
        frames = frames_table(
            clip.take_id, found["time_s"] + 0.02, landmarks + shift_px, measures, face=True
        )
        write_parts(parts, clip.take_id, row, frames)
        names.append(clip.take_id)
    gather_parts(parts, names, root / "truth")


@pytest.mark.slow
def test_a_known_time_map_gives_the_known_error(made: Run, tmp_path: Path) -> None:
    run = with_params(made, "demo", tmp_path / "corpus")
    make_truth(run, tmp_path / "corpus")
    summary = report.run(run)
    truth = metrics_of(run)["truth"]
    # happy pairs frame k with k: no error. angry is 3 frames late from frame 7 on.
    assert truth["alignment"]["frames"] == 2 * (10 + 7)
    assert truth["alignment"]["within_40ms_share"] == pytest.approx(26 / 34, abs=1e-4)
    assert truth["alignment"]["p95_ms"] == 120.0
    assert truth["identity"]["pairs_wrong"] == 0
    assert truth["identity"]["parallel_found"] == truth["identity"]["parallel_possible"] == 4
    assert truth["mouth"]["slope"] == pytest.approx(2, abs=0.01)
    assert any("truth, alignment" in note and "demo only" in note for note in summary.notes)
    assert "the demo only" in page_of(run)


@pytest.mark.slow
def test_a_wrong_pair_is_counted_and_shown(made: Run, tmp_path: Path) -> None:
    run = with_params(made, "demo", tmp_path / "corpus", pairs=4)
    make_truth(run, tmp_path / "corpus", wrong=True)
    report.run(run)
    identity = metrics_of(run)["truth"]["identity"]
    assert (identity["pairs_wrong"], identity["pairs"]) == (2, 4)
    assert identity["parallel_possible"] == 2
    assert "2 of 4 (missed)" in page_of(run)
    assert page_of(run).count('class="flag"') == 2


def test_landmarks_that_are_off_are_measured(made: Run, tmp_path: Path) -> None:
    run = with_params(made, "demo", tmp_path / "corpus")
    make_truth(run, tmp_path / "corpus", shift_px=2.0)
    report.run(run)
    truth = metrics_of(run)["truth"]
    assert truth["landmarks"]["error_percent_median"] == pytest.approx(
        100 * np.hypot(2, 2) / 80, rel=0.1
    )
    assert truth["pose"]["residual_ours_median"] == pytest.approx(
        truth["pose"]["residual_claimed_median"], abs=0.01
    )


def test_a_demo_without_truth_is_refused(made: Run, tmp_path: Path) -> None:
    run = with_params(made, "demo", tmp_path / "corpus")
    with pytest.raises(PipelineError, match="spfem-data demo"):
        report.run(run)


def test_truth_of_other_takes_is_refused(made: Run, tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    make_truth(made, root)
    clips = read_rows(made.table("extract", "clips"), Clip)
    with pytest.raises(PipelineError, match="no clip belongs to a take"):
        read_truth(root, [replace(c, video_path="elsewhere.mp4") for c in clips])


def test_frames_meet_their_truth_by_time_and_not_by_number() -> None:
    true_s = (np.arange(10) + 0.5) / 25
    nearest, near = match_times(true_s[3:6] + 0.001, true_s)
    assert nearest.tolist() == [3, 4, 5]
    assert near.all()
    assert not match_times(np.array([5.0]), true_s)[1].any()


# clear frames


def test_the_page_shows_clear_frames_and_metrics_count_them(made: Run) -> None:
    report.run(made)
    page, filtered = page_of(made), metrics_of(made)["filter"]
    assert filtered["frames_scored"] == 2 * (14 + 14 + 11)
    assert filtered["clear_per_emotion"]["happy"] == 12
    assert filtered["thresholds"]["happy"] == 0.6
    assert filtered["suspects"] == 0
    assert page.count('class="sheet"') == 8
    assert 'id="clear-happy"' in page
    assert 'id="clear-sad"' not in page
    assert "<p>None.</p>" in page
    plots = made.folder("report") / "plots"
    yields = (plots / "yields" / "happy.csv").read_text().splitlines()
    assert yields[:2] == ["threshold,share", "0,1"]
    assert (plots / "yields" / "sad.csv").read_text().splitlines()[1] == "0,0"
    lines = (plots / "histograms" / "clarity_happy.csv").read_text().splitlines()[1:]
    assert sum(int(line.split(",")[1]) for line in lines) == 28


def test_without_scores_the_page_says_so(made: Run) -> None:
    write_scores(made)
    write_rows(made.table("score", "scores"), [], ScoredTake)
    filter_stage.run(made)
    report.run(made)
    assert "There are no scored frames" in page_of(made)
    assert metrics_of(made)["filter"]["clear_share"] is None


def test_purity_yield_and_accuracy_are_those_counted_by_hand(made: Run, tmp_path: Path) -> None:
    """Intensity is k / 13 and p is 0.1 + 0.9 k / 14: half is passed at 7, the threshold at 8."""
    run = with_params(made, "demo", tmp_path / "corpus")
    make_truth(run, tmp_path / "corpus")
    summary = report.run(run)
    found = metrics_of(run)["truth"]["emotions"]
    happy = found["per_emotion"]["happy"]
    assert (happy["scored"], happy["truly_clear"], happy["kept"]) == (28, 14, 12)
    assert happy["purity_before"] == 0.5
    assert happy["purity"] == 1.0
    assert happy["truly_clear_kept_share"] == pytest.approx(12 / 14, abs=1e-4)
    neutral = found["per_emotion"]["neutral"]
    assert (neutral["purity_before"], neutral["truly_clear_kept_share"]) == (1.0, 1.0)
    # p of the own emotion is the largest from frame 1 on
    by_intensity = found["accuracy"]["per_emotion"]["happy"]["by_intensity"]
    assert by_intensity == [0.75, 1.0, 1.0, 1.0]
    assert found["accuracy"]["truly_clear"] == 1.0
    assert any("truth, clear frames" in note for note in summary.notes)
    assert "purity before" in page_of(run)


@pytest.mark.slow
def test_mislabelled_takes_are_found_and_shown(made: Run, tmp_path: Path) -> None:
    def says(clip: Clip, k: int) -> tuple[np.ndarray, np.ndarray]:
        if clip.take_id == "S1_happy":
            return sharp("angry", 0.9), turned(10 * k)
        return rising(clip, k)

    write_scores(made, says)
    filter_stage.run(made)
    run = with_params(made, "demo", tmp_path / "corpus")
    make_truth(run, tmp_path / "corpus", shown={"S1_happy": "angry", "S2_angry": "happy"})
    report.run(run)
    found = metrics_of(run)["truth"]["emotions"]
    assert found["mislabelled"] == {
        "takes": 2, "found": 1, "false_alarms": 0, "missed": ["S2_angry"],
    }  # fmt: skip
    # S2's angry take is kept from frame 8 to 10 and is not angry.
    assert found["per_emotion"]["angry"]["purity"] == 0.5
    page = page_of(run)
    assert "S1_happy: recorded happy, shows angry" in page
    assert "(truly angry)" in page


# images


def image_of(uri: str) -> np.ndarray:
    import base64

    content = base64.b64decode(uri.split(",", 1)[1])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_fringes_are_grey_where_faces_meet() -> None:
    left = np.zeros((8, 8, 3), np.uint8)
    left[:4] = 200
    right = np.zeros((8, 8, 3), np.uint8)
    right[:, :4] = 200
    both = fringes(left, right)
    assert both[0, 0].tolist() == [200, 200, 200]
    assert both[0, 7].tolist() == [200, 0, 0]
    assert both[7, 0].tolist() == [0, 200, 200]


def test_a_tone_is_a_dark_line_at_its_height() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    high = np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000).astype(np.float32)
    rows = [
        int(image_of(grey_uri(spectrogram(s, 16000))).mean(axis=1).argmin()) for s in (tone, high)
    ]
    assert rows[0] > 40
    assert rows[1] < 12


def test_silence_and_a_long_audio_have_spectrograms() -> None:
    assert image_of(grey_uri(spectrogram(np.zeros(16000, np.float32), 16000))).shape[0] == 56
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 30).astype(np.float32)
    assert image_of(grey_uri(spectrogram(noise, 16000))).shape[1] <= 1100


def test_colours_survive() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert image_of(jpeg_uri(red))[8, 8].tolist() == pytest.approx([0, 0, 254], abs=4)


def test_a_moved_spectrogram_stands_on_the_other_clock() -> None:
    # b is twice as slow and a tone begins at its second 1.5, so at 0.75 of a
    mel = np.full((4, 200), 255, np.uint8)
    mel[:, 150:] = 0
    there = warped(mel, np.array([[0.0, 0.0], [1.0, 2.0]]), 0.0)
    assert there.shape == (4, 100)
    assert int((there[0] == 255).sum()) == 75
    # b's audio begins half a second into its clock: the image begins at 0.25 of a
    assert warped(mel[:, 50:], np.array([[0.0, 0.0], [1.0, 2.0]]), 0.5).shape == (4, 75)
