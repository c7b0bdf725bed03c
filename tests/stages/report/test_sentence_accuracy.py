from pipeline.stages.report.sentence_accuracy import (
    identity_figures,
    label_counts,
    parallel_pairs,
    wrong_pairs,
)
from tests.builders.report_rows import clip, pair, sentence

NEUTRAL_1, NEUTRAL_2 = clip("S1", "neutral", "001"), clip("S1", "neutral", "002")
HAPPY_1, HAPPY_9 = clip("S1", "happy", "001"), clip("S1", "happy", "009")
SPOKEN = {
    NEUTRAL_1.take_id: "bob", NEUTRAL_2.take_id: "boat", HAPPY_1.take_id: "bob",
    HAPPY_9.take_id: "alone",
}  # fmt: skip
CLIPS = (NEUTRAL_1, NEUTRAL_2, HAPPY_1, HAPPY_9)


def test_a_pair_of_different_words_is_wrong() -> None:
    right, wrong = pair(NEUTRAL_1, HAPPY_1), pair(NEUTRAL_2, HAPPY_1)
    assert wrong_pairs([right, wrong], SPOKEN) == {wrong.pair_id}


def test_a_pair_of_unknown_words_is_not_called_wrong() -> None:
    assert wrong_pairs([pair(NEUTRAL_1, clip("S2", "sad"))], SPOKEN) == set()


def test_only_takes_of_one_sentence_are_parallel() -> None:
    found = parallel_pairs(CLIPS, SPOKEN, "neutral")
    assert found == {(NEUTRAL_1.utterance_id, HAPPY_1.utterance_id)}


def test_takes_of_two_splits_or_views_are_not_parallel() -> None:
    away = clip("S1", "happy", "001", split="test")
    assert parallel_pairs([NEUTRAL_1, away], SPOKEN, "neutral") == set()
    side = clip("S1", "happy", "001", view="left_30")
    spoken = {**SPOKEN, side.take_id: "bob"}
    assert parallel_pairs([NEUTRAL_1, side], spoken, "neutral") == set()


def test_in_mode_all_every_two_emotions_are_parallel_once() -> None:
    sad = clip("S1", "sad", "001")
    found = parallel_pairs([NEUTRAL_1, HAPPY_1, sad], {**SPOKEN, sad.take_id: "bob"}, "all")
    ids = [c.utterance_id for c in (NEUTRAL_1, HAPPY_1, sad)]
    assert found == {(ids[0], ids[1]), (ids[0], ids[2]), (ids[1], ids[2])}


def test_labels_by_audio_are_judged_by_their_anchor() -> None:
    utterances = {c.utterance_id: SPOKEN[c.take_id] for c in CLIPS}
    sad_2 = clip("S1", "sad", "002")
    utterances[sad_2.utterance_id] = "boat"
    rows = [
        sentence(NEUTRAL_1, method="prior"),
        sentence(NEUTRAL_2, method="prior"),
        sentence(HAPPY_1, method="audio", anchor=NEUTRAL_1.utterance_id),
        sentence(HAPPY_9, method="audio", anchor=None),
        sentence(sad_2, method="audio", anchor=None),
    ]
    assert label_counts(rows, utterances) == {"n": 3, "right": 2, "wrong": 0, "missed": 1}
    rows[3] = sentence(HAPPY_9, method="audio", anchor=NEUTRAL_2.utterance_id)
    assert label_counts(rows, utterances)["wrong"] == 1


def test_labels_by_name_are_judged_by_what_shares_them() -> None:
    utterances = {c.utterance_id: SPOKEN[c.take_id] for c in CLIPS}
    rows = [
        sentence(NEUTRAL_1, method="name", sentence="1"),
        sentence(HAPPY_1, method="name", sentence="1"),
        sentence(NEUTRAL_2, method="name", sentence="2"),
        sentence(HAPPY_9, method="name", sentence="2"),
    ]
    assert label_counts(rows, utterances) == {"n": 4, "right": 2, "wrong": 2, "missed": 0}


def test_figures_count_what_was_found_of_what_was_possible() -> None:
    clips = {c.take_id: c for c in CLIPS}
    pairs = [pair(NEUTRAL_1, HAPPY_1), pair(NEUTRAL_2, HAPPY_9)]
    figures = identity_figures(pairs, [], clips, SPOKEN, "neutral")
    assert figures["pairs_wrong"] == 1
    assert (figures["parallel_found"], figures["parallel_possible"]) == (1, 1)
