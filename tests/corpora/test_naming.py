"""Words for emotions and ids that are safe as file names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.naming import (
    EMOTION_NAMES,
    MAX_ID,
    canonical_emotion,
    join_ids,
    near_emotions,
    plain,
    ranges,
    safe_id,
)
from pipeline.records import CORPUS_EMOTIONS as EMOTIONS
from pipeline.records import check_id


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        ("neu", "neutral"),
        ("HAP", "happy"),
        ("Happiness", "happy"),
        ("joy", "happy"),
        ("ang", "angry"),
        (" anger ", "angry"),
        ("surprise", "surprised"),
        ("fearful", "fear"),
        ("sadness", "sad"),
        ("disgust", "disgusted"),
        ("contempt", "contempt"),
        ("calm", "calm"),
        ("furious", None),
        ("", None),
    ],
)
def test_emotions_are_known_by_many_words(word: str, emotion: str | None) -> None:
    assert canonical_emotion(word) == emotion


def test_every_word_stands_for_an_emotion() -> None:
    assert set(EMOTION_NAMES.values()) == set(EMOTIONS)


def test_near_emotions_are_suggested() -> None:
    assert "angry" in near_emotions("angryy")
    assert "known are: neutral" in near_emotions("xyzzy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M003", "M003"),
        ("a/b", "a%2Fb"),
        ("..", "x+.."),
        ("-rf", "x+-rf"),
        ("", "x+"),
        ("100%", "100%25"),
        ("a+b", "a%2Bb"),
        ("Å", "x+%C3%85"),
        ("line\nbreak", "line%0Abreak"),
    ],
)
def test_safe_ids(text: str, expected: str) -> None:
    assert safe_id(text) == expected


def test_both_normal_forms_give_one_id() -> None:
    assert safe_id(unicodedata.normalize("NFD", "Zoë")) == safe_id("Zoë") == "Zo%C3%AB"


def test_long_ids_keep_apart() -> None:
    first, second = safe_id("a" * 300), safe_id("a" * 299 + "b")
    assert len(first) == len(second) == 40
    assert first != second


@given(st.text(max_size=80))
def test_ids_are_ids(text: str) -> None:
    check_id(safe_id(text), "id")
    assert "/" not in safe_id(text)
    assert len(safe_id(text)) <= 40


@given(st.text(max_size=60), st.text(max_size=60))
def test_different_texts_have_different_ids(first: str, second: str) -> None:
    same = unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)
    assert (safe_id(first) == safe_id(second)) == same


_SHORT = st.text(alphabet="ab_%+", min_size=1, max_size=3)


@given(st.tuples(_SHORT, _SHORT, _SHORT), st.tuples(_SHORT, _SHORT, _SHORT))
def test_joined_ids_are_equal_only_for_equal_parts(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    joined = [join_ids(*(safe_id(part) for part in parts)) for parts in (first, second)]
    assert (joined[0] == joined[1]) == (first == second)
    check_id(joined[0], "id")


def test_joined_ids_stay_short() -> None:
    assert len(join_ids(*["s" * 40] * 5)) == MAX_ID == 90


def test_plain_text_has_no_control_characters() -> None:
    assert plain("  a\tb\r\n\x07 c\u2028d ") == "a b c d"


def test_ranges() -> None:
    assert ranges(["003", "001", "002", "007", "007"]) == "001-003, 007"
    assert ranges(["009", "010", "1000"]) == "009-010, 1000"
    assert ranges([f"{2 * i:03d}" for i in range(20)], most=2) == "000, 002 and 18 more"
    assert ranges([]) == ""
