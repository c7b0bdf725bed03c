"""The stage align on made speech: transcripts by content, levels and presets as parameters."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile

from pipeline import params
from pipeline.errors import ParameterError
from pipeline.records import Clip, Pair, Rejected, Sentence
from pipeline.runtime.progress import silent
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages.align import stage as align
from tests.builders.speech import RATE_HZ
from tests.builders.spoken_clips import read_speech, spoken_clip

MADE = params.AlignSameRecording(sure_score=1e-9, max_score=1e-9, min_straight=1.0)
"""The timing of made speech repeats, so it must not count as a copy."""


@pytest.fixture
def made(tmp_path: Path) -> Run:
    """A speaker with two neutral takes and a happy take of two levels, as audio alone."""
    clips = [
        spoken_clip("neutral", "001", (1, 1.0, 120.0)),
        spoken_clip("neutral", "002", (2, 1.0, 120.0)),
        spoken_clip("happy", "001", (1, 1.1, 150.0), level=1),
        spoken_clip("happy", "002", (2, 1.1, 150.0)),
    ]
    clips = [
        replace(c, fps=None, frames_sha256=None, n_frames=0, n_found=0, crop_px=None, level=c.level,
                take_id=f"{c.speaker}_{c.emotion}_{c.level}_front_{c.take}",
                utterance_id=f"{c.speaker}_{c.emotion}_{c.level}_{c.take}",
                video_path=None, video_start_s=None, video_end_s=None, crop_x_px=None,
                crop_y_px=None, crop_side_px=None, width_px=None, height_px=None,
                interocular_px=None)
        for c in clips
    ]  # fmt: skip
    run = Run("demo", params.load(None), tmp_path / "data", Options("serial"), silent)
    run = _with(run, same_recording=MADE)
    items = ItemStore(run.items("extract").folder)
    for clip in clips:
        path = items.path(f"{clip.speaker}/{clip.take_id}", ".audio.flac")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, read_speech(clip), RATE_HZ)
    write_rows(run.table("extract", "clips"), clips, Clip)
    return run


def _with(run: Run, **changes: object) -> Run:
    section = run.params.align.model_copy(update=changes)
    return replace(run, params=run.params.model_copy(update={"align": section}))


def made_pairs(run: Run) -> set[str]:
    return {pair.pair_id for pair in read_rows(run.table("align", "pairs"), Pair)}


ONE = "M003_neutral_1_front_001--M003_happy_1_front_001"
TWO = "M003_neutral_1_front_002--M003_happy_3_front_002"


@pytest.mark.slow
def test_each_level_or_the_papers_alone(made: Run) -> None:
    summary = align.run(made)
    assert (summary.planned, summary.kept, made_pairs(made)) == (2, 2, {ONE, TWO})
    strong = _with(made, levels="level_3")
    summary = align.run(strong)
    assert (summary.planned, summary.kept, made_pairs(made)) == (2, 1, {TWO})
    (reject,) = read_rows(made.table("align", "rejected"), Rejected)
    assert (reject.item, reject.reason) == ("M003_happy_1_front_001", "level_not_paired")
    assert reject.detail == "its level is 1"


@pytest.mark.slow
def test_a_preset_is_a_result_of_its_own(made: Run) -> None:
    align.run(made)
    ours = read_rows(made.table("align", "pairs"), Pair)
    summary = align.run(_with(made, preset="compat_scmcl"))
    assert (summary.done, summary.reused, summary.kept) == (1, 0, 2)
    theirs = read_rows(made.table("align", "pairs"), Pair)
    assert all(pair.is_one_to_one for pair in ours)
    assert not any(pair.is_one_to_one for pair in theirs)
    assert [p.sentence_score for p in ours] == [p.sentence_score for p in theirs]


@pytest.mark.slow
def test_transcripts_count_by_content(made: Run, tmp_path: Path) -> None:
    path = tmp_path / "said.csv"

    def told(text: str) -> Run:
        path.write_text(text, encoding="utf-8")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return _with(made, transcripts=str(path), transcripts_sha256=digest)

    align.run(made)
    first = told("take,sentence\nM003_neutral_1_001,A kite.\nM003_happy_1_001,A kite.\nX_1,no\n")
    summary = align.run(first)
    assert (summary.done, made_pairs(made)) == (1, {ONE, TWO})
    assert summary.notes[-1] == "1 rows of align.transcripts name no take of this dataset, e.g. X_1"
    rows = {row.utterance_id: row for row in read_rows(made.table("align", "sentences"), Sentence)}
    assert rows["M003_happy_1_001"].sentence == "a kite"
    assert rows["M003_happy_1_001"].method == "transcript"
    assert align.run(first).reused == 1
    other = told("take,sentence\nM003_neutral_1_001,A kite.\nM003_happy_1_001,A boat.\n")
    assert align.run(other).done == 1
    assert made_pairs(made) == {TWO}
    with pytest.raises(ParameterError, match=r"said\.csv has sha256 .*transcripts_sha256 is"):
        align.run(first)


def test_transcripts_need_their_digest(made: Run, tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    path.write_text("take,sentence\nM003_happy_1_001,A kite.\n", encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    says = f"has sha256 {digest}.*is empty; if this is the right file"
    with pytest.raises(ParameterError, match=says):
        align.run(_with(made, transcripts=str(path)))


@pytest.mark.slow
def test_kernels_are_compiled_once_and_in_no_rate(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[object] = []
    clock = SimpleNamespace(perf_counter=lambda: 1000.0 * len(compiled))
    monkeypatch.setattr(align, "time", clock)
    monkeypatch.setattr(align, "is_compiled", lambda: bool(compiled))
    monkeypatch.setattr(align, "compile_kernels", compiled.append)
    align.run(made)
    assert len(compiled) == 1
    (spent,) = made.rates().known("align")
    assert spent.whole_s - spent.loop_s < -900  # those seconds are not the run's
    compiled.clear()
    align.run(made)
    assert not compiled  # nothing was to be done
