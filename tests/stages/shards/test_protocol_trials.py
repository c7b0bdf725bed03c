"""The lists for evaluation: balanced, deterministic, and of the speakers that they promise."""

from __future__ import annotations

import random
from collections import Counter

from pipeline.stages.shards.protocol_trials import draw
from pipeline.stages.shards.shard_plan import KeptPair, SpokenTake
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.pair_lists import pair
from tests.builders.spoken_takes import spoken_take


def corpus(speakers: str = "AB") -> list[SpokenTake]:
    """Every emotion of every speaker, three sentences each."""
    return [
        spoken_take(speaker, emotion, f"{k}", f"c{k}")
        for speaker in speakers
        for emotion in SEVEN_EMOTIONS
        for k in range(3)
    ]


def test_all_emotions_get_equally_many() -> None:
    drawn = draw(corpus(), [], "test", 4)
    for trials in drawn.trials.values():
        assert Counter(t.emotion for t in trials) == dict.fromkeys(SEVEN_EMOTIONS, 4)
    assert drawn.lacks == {}


def test_the_scarcest_emotion_sets_the_number() -> None:
    # Of sad, one spoken_take is left: it says c0, so it serves the sources that say c1 and c2.
    some = [t for t in corpus("A") if t.clip.emotion != "sad" or t.clip.take == "0"]
    trials = draw(some, [], "test", 9).trials["intra_id"]
    assert Counter(t.emotion for t in trials) == dict.fromkeys(SEVEN_EMOTIONS, 2)


def test_speakers_are_one_or_two() -> None:
    drawn = draw(corpus("ABC"), [], "test", 6)
    intra, cross = drawn.trials["intra_id"], drawn.trials["cross_id"]
    assert all(t.source_speaker == t.reference_speaker for t in intra)
    assert all(t.source_speaker != t.reference_speaker for t in cross)
    for emotion in SEVEN_EMOTIONS:
        sources = Counter(t.source_speaker for t in intra if t.emotion == emotion)
        assert sources == {"A": 2, "B": 2, "C": 2}


def test_sources_are_neutral_and_references_say_something_else() -> None:
    trials = [t for some in draw(corpus(), [], "test", 6).trials.values() for t in some]
    for trial in trials:
        assert (trial.source_emotion == "neutral") == (trial.emotion != "neutral")
        assert not trial.same_sentence
        assert (trial.first_frame, trial.last_frame) == (0, 39)


def test_intra_reference_is_never_the_answer_and_cross_says_so() -> None:
    alike = [spoken_take(s, e, "0", "c0") for s in "AB" for e in ("neutral", "happy")]
    drawn = draw(alike, [], "test", 6)
    assert drawn.trials["intra_id"] == ()
    assert {t.same_sentence for t in drawn.trials["cross_id"]} == {True}
    assert drawn.lacks["intra_id"].startswith("test has 2 speakers and no trial of neutral, happy")


def test_same_lists_in_any_order_and_only_of_the_split() -> None:
    takes = corpus("ABCD")
    others = [spoken_take("E", emotion, "0", "c0", "train") for emotion in SEVEN_EMOTIONS]
    wanted = draw(takes, [], "test", 5)
    mixed = [*takes, *others]
    random.Random(1).shuffle(mixed)
    assert draw(mixed, [], "test", 5) == wanted


def test_lists_are_fixed_for_ever() -> None:
    """Groups compare on these: a change of the hash would give other lists of the same name."""
    first = draw(corpus(), [], "test", 1).trials["cross_id"][1]
    assert first.trial_id == "cross_id/A_neutral_0+B_happy_1"


def test_target_is_the_pair_that_says_the_same() -> None:
    takes = corpus("A")
    by_id = {t.clip.take_id: t.clip for t in takes}
    a, b = by_id["A_neutral_1"], by_id["A_happy_1"]
    kept = KeptPair(pair(a, b, (0, 1)), a, b, (0, 1), "0")
    drawn = draw(takes, [kept], "test", 3).trials["intra_id"]
    targets = {(t.source_take, t.emotion): t.target_take for t in drawn if t.target_take}
    assert targets == {("A_neutral_1", "happy"): "A_happy_1"}


def test_without_takes_the_lists_are_empty_and_say_why() -> None:
    drawn = draw([], [], "test", 5)
    assert drawn.trials == {"intra_id": (), "cross_id": ()}
    assert drawn.lacks["cross_id"].startswith("test has 0 speakers and no trial of neutral, happy")
