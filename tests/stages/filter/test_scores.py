from pathlib import Path

import numpy as np
import pytest

from pipeline.clip.clarity import NONE
from pipeline.splits import split_of_take
from pipeline.stages.filter.decide import NO_SPLIT, instants_and_embeddings, load, number_of
from tests.builders.dataset import make_inputs, make_run
from tests.builders.report_rows import clip, sentence
from tests.builders.scores import turned, write_scores


def test_the_split_is_aligns_where_it_knows_one_and_else_the_clips() -> None:
    one = clip("S1", "happy", split="test")
    assert split_of_take(one, {}) == "test"
    assert split_of_take(one, {one.utterance_id: sentence(one, split="train")}) == "train"
    assert split_of_take(one, {one.utterance_id: sentence(one, split=None)}) == "test"
    assert split_of_take(clip("S1", "happy", split=None), {}) is None


def test_emotions_have_numbers_and_contempt_has_none() -> None:
    assert [number_of(name) for name in ("neutral", "disgusted", "contempt")] == [0, 6, NONE]


def test_takes_become_columns_in_the_order_of_speakers(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run)
    takes = write_scores(run, every=2)
    splits = {take.take_id: "test" if take.speaker == "S2" else None for take in takes}
    scored = load(takes[::-1], splits, run.items("score"), 2)
    assert [take.take_id for take in scored.takes][:3] == ["S1_angry", "S1_happy", "S1_neutral"]
    assert scored.spans[:2] == ((0, 6), (6, 13))
    assert scored.frames.frame[:13].tolist() == [0, 2, 4, 6, 8, 10, 0, 2, 4, 6, 8, 10, 12]
    assert set(scored.frames.split[scored.frames.speaker == 0].tolist()) == {NO_SPLIT}
    assert set(scored.frames.split[scored.frames.speaker == 1].tolist()) == {2}
    assert scored.frames.recorded[:13].tolist() == [2] * 6 + [1] * 7


def test_frames_are_joined_by_their_number(tmp_path: Path) -> None:
    """Every other frame is scored: frame 6 is the fourth row there, the seventh of the take."""
    run = make_run(tmp_path)
    make_inputs(run)
    take = next(t for t in write_scores(run, every=2) if t.take_id == "S1_happy")
    instants, embeddings = instants_and_embeddings(
        take, np.array([6, 10]), run.items("score"), run.items("extract")
    )
    assert instants == pytest.approx([6.5 / 25, 10.5 / 25])
    np.testing.assert_allclose(embeddings, [turned(60), turned(100)], atol=1e-6)
