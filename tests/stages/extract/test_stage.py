"""extract from files to tables, on rendered heads, and on real takes if there are any."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import media
from pipeline.stages.extract.worker import AUDIO, FRAMES
from tests.builders.drawn_faces import SIZE_PX, drawn
from tests.builders.file_contents import contents
from tests.builders.media_files import tone, write_media
from tests.builders.takes import frames_of, in_scene, make_run, manifest, policies, run, talking


@pytest.mark.slow
def test_a_take_becomes_a_clip_a_track_and_audio(tmp_path: Path) -> None:
    write_media(tmp_path / "a.mp4", talking(), audio=tone(0.5), audio_start_s=0.1)
    made = make_run(manifest(tmp_path, "a.mp4"), tmp_path / "data")
    summary, (clip,), rejects = run(made)
    assert rejects == []
    assert (summary.planned, summary.kept, summary.done) == (1, 1, 1)
    assert (clip.n_frames, clip.n_found, clip.width_px) == (12, 12, SIZE_PX)
    assert clip.fps == pytest.approx(25, abs=0.01)
    assert clip.split in ("train", "validation", "test")
    assert (clip.audio_from, clip.audio_start_s) == ("container", pytest.approx(0.1, abs=0.03))
    table = frames_of(made, clip)
    assert table["time_s"].to_pylist() == pytest.approx([i / 25 for i in range(12)], abs=1e-6)
    assert table["found"].to_pylist() == [True] * 12
    truth = drawn().landmarks_px
    landmarks = np.array(table["landmarks"][0].as_py()).reshape(478, 3)[:468, :2]
    eyes_px = clip.interocular_px
    assert eyes_px is not None
    assert np.median(np.linalg.norm(landmarks - truth, axis=1)) < 0.04 * eyes_px
    opening = np.array(table["mouth_open"].to_pylist())
    assert opening[3::4].min() > opening[::4].max() + 0.05
    samples = media.read_flac(made.items("extract").path(f"s1/{clip.take_id}", AUDIO))
    assert len(samples) / 16000 == pytest.approx(clip.audio_end_s - clip.audio_start_s, abs=1e-3)


def test_frame_rates_of_studio_cameras_keep_their_times(tmp_path: Path) -> None:
    """23.976, 50 and 60 fps; two cameras of one session; no sentence is known."""
    film_ms = [round(1001 * i / 24) for i in range(12)]
    write_media(tmp_path / "film.mkv", talking(12), times_ms=film_ms, audio=tone(0.5))
    for fps in (50, 60):
        write_media(tmp_path / f"c{fps}.mp4", talking(30), fps=fps, audio=tone(30 / fps))
    rows = ("film.mkv,p,neutral,,front", "c50.mp4,p,happy,,front", "c60.mp4,p,happy,,left_30")
    table = tmp_path / "takes.csv"
    table.write_text("path,speaker,emotion,sentence,view\n" + "\n".join(rows), encoding="utf-8")
    _, clips, rejects = run(make_run(table, tmp_path / "data"))
    assert rejects == []
    by_file = {Path(str(clip.video_path)).stem: clip for clip in clips}
    rates = {name: clip.fps for name, clip in by_file.items()}
    assert rates == {
        "film": pytest.approx(23.976, rel=0.01), "c50": pytest.approx(50, rel=0.01),
        "c60": pytest.approx(60, rel=0.01),
    }  # fmt: skip
    assert [by_file[name].n_found for name in ("film", "c50", "c60")] == [12, 30, 30]
    assert by_file["c60"].view == "left_30"
    assert {clip.sentence for clip in clips} == {None}
    assert all("variable_rate" not in clip.findings for clip in clips)


@pytest.mark.parametrize("start_s", [0.9, 100000.0])
def test_audio_that_never_plays_with_its_video_is_rejected(tmp_path: Path, start_s: float) -> None:
    write_media(tmp_path / "a.mkv", talking(), audio=tone(0.5), audio_start_s=start_s)
    write_media(tmp_path / "b.mkv", talking(), audio=tone(0.5), audio_start_s=0.4)
    made = make_run(manifest(tmp_path, "a.mkv", "b.mkv"), tmp_path / "data")
    _, (clip,), (row,) = run(made)
    assert (clip.sentence, clip.findings) == ("b", ("audio_starts_late",))
    assert row.reason == "never_together"
    assert row.detail.startswith(f"video from 0.00 to 0.48 s, audio from {start_s:.2f} to ")


@pytest.mark.slow
def test_the_stored_crop_shows_what_its_place_says(tmp_path: Path) -> None:
    write_media(tmp_path / "a.mp4", in_scene(talking(), x=400), audio=tone(0.5))
    made = make_run(manifest(tmp_path, "a.mp4"), tmp_path / "data", crop_px=160)
    _, (clip,), _ = run(made)
    assert clip.crop_px == 160
    crop = media.decode_jpeg(frames_of(made, clip)["crop"][5].as_py())
    side, x, y = (int(v) for v in (clip.crop_side_px, clip.crop_x_px, clip.crop_y_px))  # type: ignore[arg-type]
    box = media.Box(x, y, side, side)
    with media.open_video(tmp_path / "a.mp4", media.Limits(1 << 24, 60.0)) as video:
        assert video is not None
        want = [frame.cut(box, 160, 160) for frame in video.frames()][5]
    difference = np.mean((crop.astype(float) - want) ** 2)
    assert 10 * np.log10(255**2 / difference) > 35


@pytest.mark.slow
def test_a_head_that_walks_stays_in_its_square(tmp_path: Path) -> None:
    frames = in_scene(talking(16), x=10, step_px=36)
    write_media(tmp_path / "a.mp4", frames, audio=tone(0.64))
    made = make_run(manifest(tmp_path, "a.mp4"), tmp_path / "data")
    _, (clip,), rejects = run(made)
    assert rejects == []
    assert clip.n_found == 16
    assert clip.crop_side_px is not None
    assert clip.crop_side_px > 15 * 36
    for landmarks in frames_of(made, clip)["landmarks"].to_pylist():
        x = np.array(landmarks).reshape(478, 3)[:, 0]
        assert clip.crop_x_px < x.min()  # type: ignore[operator]
        assert x.max() < clip.crop_x_px + clip.crop_side_px  # type: ignore[operator]
    assert "head_leaves_crop" not in clip.findings


@pytest.mark.slow
def test_a_face_that_comes_and_goes_is_told_and_its_frames_kept(tmp_path: Path) -> None:
    nobody = [np.full((SIZE_PX, SIZE_PX, 3), 100, np.uint8)] * 8
    write_media(tmp_path / "a.mp4", [*talking(8), *nobody, *talking(8)], audio=tone(0.96))
    made = make_run(manifest(tmp_path, "a.mp4"), tmp_path / "data")
    _, (clip,), _ = run(made)
    assert (clip.n_frames, clip.n_found) == (24, 16)
    assert "face_comes_and_goes" in clip.findings
    table = frames_of(made, clip)
    assert table["landmarks"].null_count == 8
    assert table["yaw_deg"].null_count == 8
    assert table["crop"].null_count == 0


@pytest.mark.slow
def test_audio_alone_and_a_separate_audio_file(tmp_path: Path) -> None:
    write_media(tmp_path / "alone.wav", audio=tone(0.6), audio_codec="pcm_s16le")
    write_media(tmp_path / "dumb.mp4", talking())
    write_media(tmp_path / "beside.m4a", audio=tone(0.5))
    write_media(tmp_path / "both.mp4", talking(), audio=tone(0.5, level=0.01))
    audio = {"dumb.mp4": "beside.m4a", "both.mp4": "beside.m4a"}
    table = manifest(tmp_path, "alone.wav", "dumb.mp4", "both.mp4", audio=audio)
    made = make_run(table, tmp_path / "data", audio_from="file")
    _, clips, rejects = run(made)
    assert rejects == []
    both, dumb, alone = sorted(clips, key=lambda c: (c.n_frames == 0, c.take_id))
    assert (alone.n_frames, alone.audio_from, alone.findings) == (
        0,
        "audio-only take",
        ("no_video",),
    )
    assert (both.audio_from, dumb.audio_from) == ("file", "file")
    by_sentence = {clip.sentence: clip for clip in run(make_run(table, tmp_path / "other"))[1]}
    # a manifest that names an audio file means it
    assert by_sentence["both"].audio_from == "file"
    assert by_sentence["dumb"].audio_from == "file"


@pytest.mark.slow
def test_skipped_files_and_findings_are_in_the_summary(tmp_path: Path) -> None:
    folder = tmp_path / "M003" / "video" / "front" / "angry" / "level_1"
    folder.mkdir(parents=True)
    write_media(folder / "001.mp4", talking(), audio=tone(0.9))
    (tmp_path / "M003" / "audio.tar.gz").write_bytes(b"packed")
    summary, clips, _ = run(make_run(tmp_path, tmp_path / "data", corpus="mead"))
    assert len(clips) == 1
    assert "findings in kept takes: lengths_differ 1" in summary.notes
    assert any(note.startswith("1 skipped, compressed archives") for note in summary.notes)


@pytest.mark.slow
def test_every_bad_file_ends_in_its_reject(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    write_media(tmp_path / "dumb.mp4", talking())
    write_media(tmp_path / "silent.mp4", talking(), audio=0 * tone(0.5))
    write_media(tmp_path / "short.mp4", talking(4), audio=tone(0.15))
    write_media(tmp_path / "brief.mp4", talking(4), audio=tone(0.6))
    write_media(tmp_path / "nobody.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 12, audio=tone(0.5))
    crowd = [np.hstack(pair) for pair in zip(talking(), talking(which=1), strict=True)]
    write_media(tmp_path / "crowd.mp4", crowd, audio=tone(0.5))
    write_media(
        tmp_path / "whole.mp4", talking(30), audio=tone(1.2), options={"movflags": "faststart"}
    )
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    names = ["text", "dumb", "silent", "short", "brief", "nobody", "crowd", "cut"]
    made = make_run(manifest(tmp_path, *(f"{n}.mp4" for n in names)), tmp_path / "data")
    summary, clips, rejects = run(made)
    got = {row.item.rsplit("_", 1)[1]: row.reason for row in rejects}
    assert clips == []
    assert got == {
        "text": "unreadable",
        "dumb": "no_audio",
        "silent": "silent",
        "short": "few_frames",
        "brief": "few_frames",
        "nobody": "no_face",
        "crowd": "several_faces",
        "cut": "truncated",
    }
    assert summary.planned == len(rejects)
    assert not list(made.items("extract").folder.rglob("*.parquet"))


@pytest.mark.slow
def test_with_several_faces_the_largest_is_followed(tmp_path: Path) -> None:
    crowd = [np.hstack(pair) for pair in zip(talking(), talking(which=1), strict=True)]
    for frame in crowd:  # a third of the second head is hidden, so the first is the larger
        frame[: SIZE_PX // 12, SIZE_PX:] = 100
    write_media(tmp_path / "a.mp4", crowd, audio=tone(0.5))
    made = make_run(
        manifest(tmp_path, "a.mp4"), tmp_path / "data", policies=policies(several_faces="keep")
    )
    _, (clip,), _ = run(made)
    assert "several_faces" in clip.findings
    noses = [row[3] for row in frames_of(made, clip)["landmarks"].to_pylist() if row]
    assert np.ptp(noses) < 0.2 * SIZE_PX


@pytest.mark.slow
def test_any_number_of_workers_and_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    for k in range(3):
        write_media(tmp_path / f"{k}.mp4", talking(6 + k, which=k), audio=tone(0.5))
    table = manifest(tmp_path, "0.mp4", "1.mp4", "2.mp4")
    one = make_run(table, tmp_path / "one", min_duration_s=0.1)
    two = make_run(table, tmp_path / "two", workers=2, min_duration_s=0.1)
    run(one)
    run(two)
    assert contents(one) == contents(two)
    store = two.items("extract")
    unit = sorted(store.units())[1]
    store.path(unit, FRAMES).unlink()
    summary, _, _ = run(two)
    assert (summary.done, summary.reused) == (1, 2)
    assert contents(one) == contents(two)


@pytest.mark.slow
def test_what_changes_the_result_changes_the_key(tmp_path: Path) -> None:
    write_media(tmp_path / "a.mp4", talking(), audio=tone(0.5))
    table = manifest(tmp_path, "a.mp4")
    assert run(make_run(table, tmp_path / "data"))[0].done == 1
    assert run(make_run(table, tmp_path / "data"))[0].done == 0
    assert run(make_run(table, tmp_path / "data", jpeg_quality=90))[0].done == 1
    write_media(tmp_path / "a.mp4", talking(13), audio=tone(0.5))
    assert run(make_run(table, tmp_path / "data", jpeg_quality=90))[0].done == 1


def test_real_takes_of_mead(tmp_path: Path, shared: Path) -> None:
    made = make_run(shared / "real" / "mead", tmp_path, corpus="mead", workers=2)
    _, clips, rejects = run(made)
    assert rejects == []
    assert len(clips) == 7
    assert sum(c.n_found for c in clips) >= 0.99 * sum(c.n_frames for c in clips)
    for clip in clips:
        assert clip.video_path is not None
        path = shared / "real" / "mead" / clip.video_path
        _, instants_s = media.read_timeline(path)
        table = frames_of(made, clip)
        middles = np.array(table["time_s"]) + np.array(table["duration_s"]) / 2
        assert middles == pytest.approx(instants_s)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "corpus", "n"), [("mead_film", "mead", 13), ("ravdess_av", "ravdess", 7)]
)
def test_filmed_takes_are_kept_without_alarms(
    tmp_path: Path, shared: Path, folder: str, corpus: str, n: int
) -> None:
    made = make_run(shared / "real" / folder, tmp_path, corpus=corpus, workers=2)
    _, clips, rejects = run(made)
    assert (len(clips), rejects) == (n, [])
    # three takes do repeat single frames
    assert {finding for clip in clips for finding in clip.findings} <= {"frames_doubled"}


def test_odd_files_end_in_output_or_a_reasoned_reject(tmp_path: Path, shared: Path) -> None:
    names = ("face_noface.mov", "five_faces.mp4", "hevc_portrait_1080x1920.mp4", "silent_d18.mp4")
    for name in names:
        shutil.copy(shared / "real" / "odd" / name, tmp_path / name)
    _, clips, rejects = run(make_run(manifest(tmp_path, *names), tmp_path / "data", workers=2))
    assert [clip.video_path for clip in clips] == ["hevc_portrait_1080x1920.mp4"]
    assert sorted(row.reason for row in rejects) == ["no_face", "several_faces", "silent"]
