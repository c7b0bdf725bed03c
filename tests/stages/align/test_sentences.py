"""Which takes say the same, resolved from made recordings whose sentences only the test knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import params
from pipeline.alignment.align import same_sentence
from pipeline.alignment.batched_scores import score_table
from pipeline.alignment.features import take_features
from pipeline.errors import ParameterError, Reject
from pipeline.params import Align, AlignSameRecording
from pipeline.records import Clip, Sentence
from pipeline.stages.align.pairs import PairMaker, candidates
from pipeline.stages.align.resolution import fair, resolve_blocks
from pipeline.stages.align.sentences import name_sentences
from pipeline.stages.align.take_order import Block
from pipeline.stages.align.transcripts import apply_transcripts, read_transcripts, same_words
from pipeline.stages.align.utterances import Recordings, group
from tests.builders.speech import speak
from tests.builders.spoken_clips import mouth_track, spoken_clip

COMMON, GENERIC = (1, 2, 3), (31, 32, 33, 34)
NEUTRAL = (*COMMON, 11, 12, 13, *GENERIC)
MANNER = {
    "neutral": (1.0, 120.0),
    "happy": (1.15, 150.0),
    "sad": (0.85, 110.0),
    "fear": (1.1, 135.0),
}
PARAMS = params.load(None).align.model_copy(
    update={"max_score": 1.0, "min_margin": 0.05, "prior_bonus": 0.12}
)


@pytest.fixture(scope="module")
def section() -> Align:
    """The default; made speech, whose timing repeats, does not count as a copy."""
    loaded = params.load(None).align
    none = AlignSameRecording(sure_score=1e-9, max_score=1e-9, min_straight=1.0)
    return loaded.model_copy(update={"same_recording": none})


@lru_cache(maxsize=256)
def _audio(sentence: int, tempo: float, pitch_hz: float) -> Any:
    return speak(sentence, tempo, pitch_hz)


def read_speech(clip: Clip) -> Any:
    return _audio(*eval(clip.audio_sha256))


def _takes(emotion: str, says: Sequence[int], first: int = 1, **changes: Any) -> list[Clip]:
    """Takes numbered one on from `first`, that say the sentences given."""
    tempo, pitch_hz = MANNER[emotion]
    return [
        spoken_clip(emotion, f"{number:03d}", (sentence, tempo, pitch_hz), **changes)
        for number, sentence in enumerate(says, first)
    ]


def _resolved(clips: list[Clip], section: Align) -> dict[str, Sentence]:
    recordings = Recordings(read_speech, section.features)
    rule = params.load(None).splits["by_speaker"]
    rows = name_sentences(group(clips), recordings, section, rule)
    return {row.utterance_id: row for row in rows}


def _matched(clips: list[Clip], section: Align) -> dict[str, list[int | None]]:
    """The sentence of each take's anchor, by emotion, in the order of the takes."""
    rows = _resolved(clips, section)
    spoken = {clip.utterance_id: eval(clip.audio_sha256)[0] for clip in clips}
    found: dict[str, list[int | None]] = {}
    for clip in clips:
        anchor = rows[clip.utterance_id].anchor
        found.setdefault(clip.emotion, []).append(spoken[anchor] if anchor else None)
    return found


def _truth(says: Sequence[int]) -> list[int | None]:
    return [sentence if sentence in NEUTRAL else None for sentence in says]


@pytest.mark.slow
def test_both_orders_lost_clips_and_shifted_numbers(section: Align) -> None:
    says = {
        "happy": (1, 3, 51, 52, 31, 32, 33, 34),  # 2 was lost
        "sad": (61, 62, 31, 33, 34, 1, 2, 3),  # the other order, 32 was lost
        "fear": (1, 2, 3, 71, 72, 73, 31, 32, 33, 34),
    }
    clips = _takes("neutral", NEUTRAL)
    for emotion, sentences in says.items():
        clips += _takes(emotion, sentences, first=41 if emotion == "fear" else 1)
    found = _matched(clips, section)
    assert {emotion: found[emotion] for emotion in says} == {e: _truth(s) for e, s in says.items()}


def test_a_lost_neutral_clip_leaves_its_takes_alone(section: Align) -> None:
    clips = _takes("neutral", (1, 3, 11, 12, 13, *GENERIC)) + _takes(
        "happy", (1, 2, 3, 51, *GENERIC)
    )
    assert _matched(clips, section)["happy"] == [1, None, 3, None, *GENERIC]


def test_an_emotion_without_any_partner(section: Align) -> None:
    clips = _takes("neutral", NEUTRAL) + _takes("happy", range(51, 59)) + _takes("sad", NEUTRAL[:3])
    found = _matched(clips, section)
    assert found["happy"] == [None] * 8
    assert found["sad"] == [1, 2, 3]


def test_rows_say_how_near_it_came(section: Align) -> None:
    rows = _resolved(_takes("neutral", NEUTRAL) + _takes("happy", (1, 51)), section)
    right, alone = rows["M003_happy_3_001"], rows["M003_happy_3_002"]
    assert (right.sentence, right.method, right.verified) == ("c01", "audio", True)
    assert right.score is not None
    assert right.score < 0.6
    assert right.margin is not None
    assert right.margin > 0.3
    assert (alone.sentence, alone.anchor, alone.verified) == (None, None, False)
    assert alone.score is not None
    assert alone.score > 1.0


def _why(clips: list[Clip], section: Align) -> dict[str, tuple[str, str]]:
    rows = _resolved(clips, section)
    maker = PairMaker(
        Recordings(read_speech, section.features), mouth_track, section,
        {name: "train" for name in rows},
    )  # fmt: skip
    said = {}
    for candidate in candidates(group(clips), list(rows.values()), section):
        try:
            maker.make(candidate)
        except Reject as reject:
            said[candidate.id] = reject.reason, reject.detail
    return said


def test_two_neutral_takes_of_one_sentence_are_ambiguous(section: Align) -> None:
    again = spoken_clip("neutral", "002", (1, 1.02, 121.0))
    clips = [*_takes("neutral", (1,)), again, *_takes("neutral", (11, 12), first=3)]
    reason, detail = _why([*clips, *_takes("happy", (1,))], section)["M003_happy_3_front_001"]
    assert reason == "ambiguous_sentence"
    assert detail.startswith("two neutral takes match: scores 0.")


def test_a_take_like_no_other_says_so(section: Align) -> None:
    said = _why(_takes("neutral", NEUTRAL) + _takes("happy", (51,)), section)
    reason, detail = said["M003_happy_3_front_001"]
    assert reason == "no_partner"
    assert detail.startswith("no neutral take matches its audio (best score 1.")
    long = [spoken_clip("happy", "001", (1, 0.3, 150.0))]
    assert _why(_takes("neutral", NEUTRAL) + long, section) == {
        "M003_happy_3_front_001": ("no_partner", "no neutral take has a similar length")
    }


# --- on tables of scores alone


def _block(
    emotion: str, pairs: dict[tuple[int, int], float], shape: tuple[int, int], seed: int = 0
) -> Block:
    """Wrong scores around 1.25, and those given; take k has number k + 1."""
    score = np.random.default_rng([seed, *emotion.encode()]).normal(1.25, 0.04, shape)
    for cell, value in pairs.items():
        score[cell] = value
    return Block(emotion, np.arange(1, shape[1] + 1), score)


def _diagonal(
    start: tuple[int, int], length: int, value: float = 0.5
) -> dict[tuple[int, int], float]:
    return {(start[0] + k, start[1] + k): value for k in range(length)}


def _rows(blocks: list[Block]) -> list[list[int]]:
    return [found.row.tolist() for found in resolve_blocks(blocks, PARAMS)]


def test_neighbours_and_other_emotions_carry_a_weak_score() -> None:
    weak = _diagonal((0, 0), 6, 0.85) | {(2, 2): 1.08}
    others = [_block(e, _diagonal((0, 0), 6), (30, 22)) for e in ("sad", "fear")]
    found = _rows([_block("happy", weak, (30, 22)), *others])
    assert found[0] == [0, 1, 2, 3, 4, 5] + [-1] * 16
    assert _rows([_block("happy", {(2, 2): 1.08}, (30, 22))])[0] == [-1] * 22


def test_a_score_out_of_its_blocks_family_is_not_carried() -> None:
    # clip 2 was lost, and the one after it stands where it would have been
    strange = _diagonal((0, 0), 6, 0.5) | {(2, 2): 0.95}
    others = [_block(e, _diagonal((0, 0), 6), (30, 22)) for e in ("sad", "fear")]
    assert _rows([_block("happy", strange, (30, 22)), *others])[0][:4] == [0, 1, -1, 3]


def test_no_order_carries_a_score_that_contradicts() -> None:
    contradicted = _diagonal((0, 0), 6) | {(2, 2): 1.2}
    others = [_block(e, _diagonal((0, 0), 6), (30, 22)) for e in ("sad", "fear")]
    assert _rows([_block("happy", contradicted, (30, 22)), *others])[0][2] == -1


def test_a_near_twin_that_one_emotion_alone_says_is_no_partner() -> None:
    twin = _diagonal((0, 0), 6) | {(15, 9): 0.6}
    others = [_block(e, _diagonal((0, 0), 6), (30, 22)) for e in ("sad", "fear")]
    assert _rows([_block("happy", twin, (30, 22)), *others])[0] == [0, 1, 2, 3, 4, 5] + [-1] * 16


def test_the_order_of_few_takes_forbids_nothing() -> None:
    lone = _diagonal((0, 0), 4) | {(15, 5): 0.3}
    few = [_block(e, _diagonal((0, 0), 2), (30, 6)) for e in ("sad", "fear")]
    assert _rows([_block("happy", {(15, 5): 0.3}, (30, 6)), *few])[0][5] == 15
    assert _rows([_block("happy", lone, (30, 6)), *few])[0] == [0, 1, 2, 3, -1, 15]


def test_a_near_twin_of_a_lost_take_is_no_partner() -> None:
    without = {cell: s for cell, s in _diagonal((0, 0), 6).items() if cell != (3, 3)}
    others = [_block(e, _diagonal((0, 0), 6), (30, 22)) for e in ("sad", "fear")]
    found = _rows([_block("happy", without | {(3, 10): 0.6}, (30, 22)), *others])
    assert found[0] == [0, 1, 2, -1, 4, 5] + [-1] * 16


def test_another_level_says_where_a_sentence_lies() -> None:
    low = _block("happy", _diagonal((0, 0), 6), (30, 22))
    high = _block("happy", {(0, 11): 0.6}, (30, 22), seed=1)
    assert _rows([low, high])[1] == [-1] * 22
    assert _rows([high])[0] == [-1] * 11 + [0] + [-1] * 10


def test_numbers_without_order_are_resolved_by_the_audio() -> None:
    cells = zip(range(12), np.random.default_rng(3).permutation(12).tolist(), strict=True)
    found = _rows([_block("happy", dict.fromkeys(cells, 0.6), (30, 22))])[0]
    assert sorted(row for row in found if row >= 0) == list(range(12))


def test_fair_takes_off_what_a_take_scores_with_everybody() -> None:
    score = _block("happy", {}, (40, 30)).score
    hard = score.copy()
    hard[:, 4] += 0.3
    assert np.median(fair(hard)[:, 4]) - np.median(fair(hard)) == pytest.approx(0.06, abs=0.03)
    assert fair(np.full((2, 2), np.inf)).min() == np.inf


@pytest.mark.slow
def test_the_table_of_scores_is_the_aligners(section: Align) -> None:
    a, b = (
        [take_features(_audio(k, tempo, 120.0), section.features) for k in (1, 2)]
        for tempo in (1.0, 0.85)
    )
    table = score_table(a, b, [[True, True], [False, True]], section.steps)
    assert table[1, 0] == np.inf
    for cell in ((0, 0), (0, 1), (1, 1)):
        assert table[cell] == pytest.approx(
            same_sentence(a[cell[0]], b[cell[1]], section), abs=1e-3
        )


# --- transcripts


def _transcripts(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "said.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_transcript_decides_over_the_audio(tmp_path: Path, section: Align) -> None:
    text = (
        "Speaker,emotion,level,take,sentence\n"
        'M003,neutral,1,002,"It\'s a kite."\n'
        "M003,hap,3,001,its a KITE\n"
    )
    said = read_transcripts(_transcripts(tmp_path, text))
    clips = apply_transcripts(_takes("neutral", NEUTRAL) + _takes("happy", (1, 2, 3)), said)
    rows = _resolved(clips, section)
    forced = rows["M003_happy_3_001"]
    assert (forced.sentence, forced.method, forced.verified) == ("its a kite", "transcript", False)
    # neutral 002 is taken, so the take that matches its audio has no partner
    assert rows["M003_happy_3_002"].sentence is None
    assert rows["M003_happy_3_003"].sentence == "c03"
    assert (
        _why(clips, section)["M003_neutral_1_front_002--M003_happy_3_front_001"][0]
        == "wrong_sentence"
    )


def test_a_transcript_of_neutral_alone_names_what_the_audio_finds(
    tmp_path: Path, section: Align
) -> None:
    said = read_transcripts(_transcripts(tmp_path, "take,sentence\nM003_neutral_1_002,a kite\n"))
    rows = _resolved(
        apply_transcripts(_takes("neutral", NEUTRAL) + _takes("happy", (2,)), said), section
    )
    row = rows["M003_happy_3_001"]
    assert (row.sentence, row.method, row.anchor) == ("a kite", "audio", "M003_neutral_1_002")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("take,words\na,b\n", "expected the columns sentence and take"),
        ("take,sentence\na,\n", "row 2: empty cell"),
        ("take,sentence\na,b\na,c\n", "row 3: a has two sentences"),
        ("speaker,emotion,level,take,sentence\nA,glad,1,1,b\n", "emotion 'glad' is unknown"),
    ],
)
def test_transcripts_that_cannot_be_used(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        read_transcripts(_transcripts(tmp_path, text))


def test_a_missing_transcript_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot read the transcripts"):
        read_transcripts(tmp_path / "none.csv")


def test_sentences_differ_by_words_alone() -> None:
    assert same_words("Don't  go, Bob!") == same_words("dont go bob")
    assert same_words("a b") != same_words("ab")


def test_the_verdict_does_not_depend_on_the_order_given(section: Align) -> None:
    clips = _takes("neutral", NEUTRAL) + _takes("happy", (1, 2, 3, 51, 31))
    forward, backward = (_resolved(order, section) for order in (clips, clips[::-1]))
    assert forward == backward
