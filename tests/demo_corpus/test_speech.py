"""Spoken sentences: equal phonemes, exact times, non-linear time maps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.demo_corpus import sentences
from pipeline.demo_corpus.acting import rng_of
from pipeline.demo_corpus.emotion_profiles import EMOTIONS, TONES
from pipeline.demo_corpus.espeak import Delivery, say
from pipeline.demo_corpus.prosody import AUDIO_HZ, Reading, read_aloud
from pipeline.demo_corpus.speakers import CAST
from pipeline.demo_corpus.visemes import shape_of
from pipeline.errors import MissingExtraError, PipelineError

TEXTS = [
    *sentences.COMMON,
    *sentences.GENERIC,
    *sentences.STATEMENTS,
    *(text for own in sentences.OWN.values() for text in own),
]
KIDS = sentences.STATEMENTS[0]


def _reading(speaker: str, emotion: str, text: str = KIDS) -> Reading:
    rng = rng_of("test", speaker, emotion)
    return read_aloud(text, CAST[speaker].voice, emotion, 1.0, (0.3, 0.25), rng)


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_all_deliveries_of_a_sentence_have_one_phoneme_sequence(text: str) -> None:
    rng = np.random.default_rng(1)
    sequences = set()
    for person in CAST.values():
        for tone in TONES.values():
            tempo = tuple(np.exp(0.25 * rng.standard_normal(len(text.split()))).clip(0.68, 1.45))
            pitch = max(person.voice.pitch + tone.pitch, 0)
            words_per_minute = round(person.voice.words_per_minute * tone.rate)
            delivery = Delivery(
                person.voice.variant, words_per_minute, pitch, tone.pitch_range, tempo
            )
            sequences.add(say(text, delivery).phonemes)
    assert len(sequences) == 1
    (phonemes,) = sequences
    assert phonemes.count("_") == len(text.split()) + 1
    for phoneme in phonemes:
        assert len(shape_of(phoneme)) == 5


def test_the_same_words_give_the_same_samples_whatever_came_before() -> None:
    delivery = Delivery("en-us+m3", 170, 45, 50, (1.0,) * 6)
    first = say(KIDS, delivery)
    say("Something else.", Delivery("en-us+f1", 200, 60, 80, (1.0, 1.2)))
    second = say(KIDS, delivery)
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_array_equal(first.onsets, second.onsets)


_SPEAK_ALL = """
import hashlib
from pipeline.demo_corpus.speakers import CAST
from pipeline.demo_corpus.espeak import Delivery, say
for person in CAST.values():
    delivery = Delivery(person.voice.variant, 170, 50, 50, (1.0, 0.9, 1.2, 1.0))
    speech = say("Bob may buy it.", delivery)
    print(person.speaker, hashlib.sha256(speech.samples.tobytes()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone can poison fresh memory")
def test_no_voice_depends_on_memory_that_was_never_set(repository: Path) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", _SPEAK_ALL],
            cwd=repository,
            env={**os.environ, "MALLOC_PERTURB_": poison},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for poison in ("0", "85", "170")
    ]
    assert said[0].count("\n") == len(CAST)
    assert said[0] == said[1] == said[2]


def test_unknown_voice_is_refused() -> None:
    with pytest.raises(PipelineError, match="does not know the voice 'en-xx'"):
        say("Bob.", Delivery("en-xx", 170, 45, 50, (1.0,)))


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"\.\[demo\]"):
        say("Bob.", Delivery("en-us", 170, 45, 50, (1.0,)))


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_onsets_ascend_and_words_begin_inside(emotion: str) -> None:
    reading = _reading("M901", emotion)
    assert len(reading.onsets_s) == len(reading.phonemes) + 1
    assert (np.diff(reading.onsets_s) >= 0).all()
    assert (reading.closures_s <= reading.onsets_s[:-1] + 1e-9).all()
    assert (np.diff(reading.word_onsets_s) > 0.03).all()
    assert reading.onsets_s[0] == 0
    assert reading.onsets_s[-1] == reading.duration_s == len(reading.samples) / AUDIO_HZ
    assert np.abs(reading.samples).max() < 0.99


@pytest.mark.parametrize("emotion", [e for e in EMOTIONS if e != "neutral"])
def test_time_map_to_neutral_is_monotone_and_not_linear(emotion: str) -> None:
    neutral, moved = _reading("M901", "neutral"), _reading("M901", emotion)
    assert neutral.phonemes == moved.phonemes
    source, target = neutral.onsets_s[1:-1], moved.onsets_s[1:-1]
    line = np.polyval(np.polyfit(source, target, 1), source)
    assert np.abs(target - line).max() > 0.03
    long = np.diff(source) > 0.02
    slopes = np.diff(target)[long] / np.diff(source)[long]
    assert slopes.min() > 0.4
    assert slopes.std() > 0.08


@pytest.mark.parametrize("speaker", ["M901", "W902", "25"])
def test_bursts_are_heard_when_the_truth_says(speaker: str) -> None:
    """A stop after a long silence: audio rises by 12 dB at its stated onset."""
    late = []
    for emotion in ("neutral", "happy", "angry", "disgusted"):
        reading = _reading(speaker, emotion, "Kate took ten cups to Tom.")
        level = np.convolve(reading.samples.astype(float) ** 2, np.ones(48) / 48, "same")
        for k, phoneme in enumerate(reading.phonemes):
            onset = reading.onsets_s[k]
            if phoneme not in ("p", "t", "k") or onset - reading.closures_s[k] < 0.025:
                continue
            window = level[int((onset - 0.02) * AUDIO_HZ) : int((onset + 0.015) * AUDIO_HZ)]
            floor = np.median(window[: int(0.012 * AUDIO_HZ)])
            loud = np.nonzero(window > 16 * floor)[0]
            if len(loud) and window.max() > 60 * floor:
                late.append(loud[0] / AUDIO_HZ - 0.02)
    assert len(late) >= 5
    assert np.percentile(np.abs(late), 80) < 0.0005
    assert np.abs(late).max() < 0.004
