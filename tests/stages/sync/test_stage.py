"""The stage sync on made takes: files in, tables out, and why nothing is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from pipeline import params
from pipeline.errors import OutOfOrderError
from pipeline.records import FRAMES_SCHEMA, Clip, Rejected, SyncSession, SyncTake
from pipeline.runtime.progress import silent
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, write_rows, write_table
from pipeline.stages.sync import stage as sync
from tests.alignment.moving_mouths import RATE_HZ, moving_mouth
from tests.builders.pair_lists import clip

LATE_S = {"neutral": 0.0, "happy": 0.0, "sad": 0.12, "angry": 0.0}


def _write(items: ItemStore, made: Clip, seed: int) -> Clip:
    """The files of a take of 4 s whose image is late as its emotion says."""
    samples, instants_s, mouth = moving_mouth(seed, LATE_S[made.emotion], 0.05)
    n = len(mouth)
    known = {
        "frame": np.arange(n, dtype=np.int32), "time_s": instants_s - 0.02,
        "duration_s": np.full(n, 0.04), "found": np.ones(n, bool),
        "mouth_open": mouth.astype(np.float32), "mouth_width": np.full(n, 0.5, np.float32),
    }  # fmt: skip
    columns = {
        field.name: pa.array(known[field.name]) if field.name in known else pa.nulls(n, field.type)
        for field in FRAMES_SCHEMA
    }
    item = f"{made.speaker}/{made.take_id}"
    write_table(items.path(item, ".frames.parquet"), pa.table(columns, schema=FRAMES_SCHEMA))
    soundfile.write(items.path(item, ".audio.flac"), samples, RATE_HZ)
    return replace(
        made, n_frames=n, n_found=n, frames_sha256=f"f{seed}", audio_sha256=f"a{seed}", fps=25.0,
        crop_px=64, video_path="v.mp4", audio_end_s=4.0, video_start_s=0.0, video_end_s=4.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Clip]]:
    """Two speakers with three takes of four emotions each."""
    data = tmp_path_factory.mktemp("data")
    items = ItemStore(data / "demo" / "extract" / "items")
    clips = [
        clip(emotion, f"{n:03d}", speaker=speaker)
        for speaker in ("S1", "S2")
        for emotion in LATE_S
        for n in range(3)
    ]
    return data, [_write(items, made, seed) for seed, made in enumerate(clips)]


def _run(
    data: Path, clips: list[Clip], engine: str = "serial", workers: int = 1, **of: object
) -> Run:
    loaded = params.load(None)
    section = loaded.sync.model_copy(update=of)
    run = Run(
        "demo", loaded.model_copy(update={"sync": section}), data, Options(engine, workers),
        silent,
    )  # fmt: skip
    write_rows(run.table("extract", "clips"), clips, Clip)
    return run


def _tables(run: Run) -> tuple[list[SyncTake], list[SyncSession]]:
    return (
        read_rows(run.table("sync", "sync_takes"), SyncTake),
        read_rows(run.table("sync", "sync_sessions"), SyncSession),
    )


def test_late_sessions_are_shifted_and_a_second_run_reuses_all(
    takes: tuple[Path, list[Clip]],
) -> None:
    run = _run(*takes)
    summary = sync.run(run)
    assert (summary.planned, summary.kept, summary.done) == (24, 24, 2)
    rows, sessions = _tables(run)
    assert len(sessions) == 8
    for row in rows:
        late_ms = 1000 * LATE_S[row.session.split("_")[1]]
        assert row.applied_ms == pytest.approx(late_ms, abs=15)
        assert row.status == ("applied" if late_ms else "not_significant")
        assert row.offset_ms == pytest.approx(late_ms, abs=30)
    assert read_rows(run.table("sync", "rejected"), Rejected) == []
    assert summary.notes[0].startswith("2 of 8 recording sessions shifted: image from +1")
    again = sync.run(run)
    assert (again.done, again.reused) == (0, 2)


def test_neither_workers_nor_decisions_change_what_is_measured(
    takes: tuple[Path, list[Clip]],
) -> None:
    data, clips = takes
    run = _run(data, clips)
    sync.run(run)
    one = {path.name: path.read_bytes() for path in run.folder("sync").rglob("*.parquet")}
    receipts = sorted(run.items("sync").folder.glob("*.json"))
    units = {path.name: path.read_bytes() for path in receipts}
    forced = replace(run, options=Options("processes", 2, force=True))
    sync.run(forced)
    assert {p.name: p.read_bytes() for p in run.folder("sync").rglob("*.parquet")} == one
    assert {path.name: path.read_bytes() for path in receipts} == units
    other = sync.run(_run(data, clips, significance=99.0))
    assert other.reused == 2
    assert other.notes[0] == "no recording session of 8 is shifted"


def test_another_start_of_the_audio_is_another_offset(takes: tuple[Path, list[Clip]]) -> None:
    """The same frames and samples; a policy of extract can change where the audio starts."""
    data, clips = takes
    sync.run(_run(data, clips))
    moved = [
        replace(c, audio_start_s=-0.08, audio_end_s=3.92) if c.emotion == "angry" else c
        for c in clips
    ]
    run = _run(data, moved)
    assert sync.run(run).done == 2
    late = {row.applied_ms for row in _tables(run)[0] if "_angry_" in row.take_id}
    assert all(ms == pytest.approx(80, abs=15) for ms in late)


def test_a_new_take_redoes_all_until_the_model_is_full(takes: tuple[Path, list[Clip]]) -> None:
    data, clips = takes
    sync.run(_run(data, clips[:-1]))
    assert sync.run(_run(data, clips)).done == 2
    ordered = sorted(clips, key=sync._hash)
    first, last = ordered[:20], ordered[-1]
    few = sync.run(_run(data, [c for c in clips if c != last], model_takes=20))
    assert few.done == 2
    more = sync.run(_run(data, clips, model_takes=20))
    assert last not in first
    assert more.done == 1  # the speaker of the new take


@pytest.mark.parametrize(
    ("keep", "of", "why"),
    [
        (24, {"mode": "off"}, "sync.mode is off"),
        (5, {}, "5 takes have image and audio, sync.min_takes is 8"),
        (8, {"min_audio_s": 60.0}, "32.0 s of audio with image, sync.min_audio_s is 60"),
    ],
)
def test_where_nothing_is_measured_the_summary_says_why(
    takes: tuple[Path, list[Clip]], keep: int, of: dict[str, object], why: str
) -> None:
    data, clips = takes
    run = _run(data, clips[:keep], **of)
    summary = sync.run(run)
    assert summary.notes == (f"nothing measured and nothing applied: {why}",)
    rows, _ = _tables(run)
    assert {(row.status, row.applied_ms, row.remaining_ms) for row in rows} == {
        ("not_measured", 0.0, None)
    }


def test_audio_alone_and_single_takes_are_left_alone(takes: tuple[Path, list[Clip]]) -> None:
    data, clips = takes
    heard = [
        replace(c, n_frames=0, n_found=0, frames_sha256=None, video_path=None, crop_px=None)
        for c in clips
    ]
    run = _run(data, heard)
    assert sync.run(run).notes == (
        "nothing measured and nothing applied: no take has both image and audio",
    )
    assert {row.status for row in _tables(run)[0]} == {"no_mouth"}
    alone = [clips[0], clips[12]]  # one take of each speaker
    run = _run(data, alone, min_takes=2, min_audio_s=4.0)
    sync.run(run)
    assert {row.applied_ms for row in _tables(run)[0]} == {0.0}
    assert {row.status for row in _tables(run)[0]} <= {"one_session", "weak"}


def test_extract_comes_first(tmp_path: Path) -> None:
    run = Run("demo", params.load(None), tmp_path)
    with pytest.raises(OutOfOrderError, match="run first: spfem-data extract"):
        sync.run(run)
