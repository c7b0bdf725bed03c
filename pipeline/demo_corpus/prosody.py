"""A sentence in an emotion: audio on the take's timeline, with exact phoneme times.

Three effects make the time map between two readings of a sentence non-linear: each word has its own
tempo (espeak-ng stretches vowels more than consonants), pauses are inserted between words, and the
formant shift scales the rest. All three are known to the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from pipeline.demo_corpus.emotion_profiles import Tone, mixed_tone
from pipeline.demo_corpus.espeak import Delivery, Speech, say
from pipeline.demo_corpus.rasteriser import F32
from pipeline.demo_corpus.speakers import Voice
from pipeline.demo_corpus.voice_effects import add_voice_effects, in_a_room

F64 = NDArray[np.float64]

AUDIO_HZ = 48_000
_FADE_S = 0.006


@dataclass(frozen=True)
class Reading:
    """A spoken take.

    Attributes
    ----------
    samples
        Mono float32 at 48 kHz, from the start of the take.
    phonemes
        n mnemonics; `_` before each word and at the end may last 0 s. The same for all readings of
        a sentence.
    onsets_s
        (n + 1) where each begins and the last one ends, from the start of the take.
    closures_s
        (n,) where the silence before each begins.
    words, word_onsets_s
        The text's words and where each one's first phoneme begins.
    """

    samples: F32
    phonemes: tuple[str, ...]
    onsets_s: F64
    closures_s: F64
    words: tuple[str, ...]
    word_onsets_s: F64

    @property
    def duration_s(self) -> float:
        """Duration of the audio."""
        return len(self.samples) / AUDIO_HZ


def _word_tempo(tone: Tone, n_words: int, rng: np.random.Generator) -> tuple[float, ...]:
    tempo = np.exp(tone.tempo_spread * rng.standard_normal(n_words))
    tempo[-1] *= 0.94
    return tuple(round(float(x), 2) for x in np.clip(tempo, 0.68, 1.45))


def _resampled(speech: Speech, formant: float) -> tuple[F32, F64, F64]:
    """Play a speech `formant` times faster at 48 kHz; samples, onsets and closures in seconds."""
    # 22050 * formant -> 48000 as a ratio of whole numbers: steps of .7 %.
    down = round(147 * formant)
    samples = resample_poly(speech.samples, 320, down).astype(np.float32)
    factor = 320 / down * 22_050 / speech.rate_hz / AUDIO_HZ
    return samples, speech.onsets * factor, speech.closures * factor


def _insert_pauses(samples: F32, at_s: F64, lengths_s: F64) -> tuple[F32, F64]:
    """Insert silence into the audio at times `at_s` (ascending).

    Also returns the delay in seconds after each cut.
    """
    parts: list[F32] = []
    start, shift = 0, 0.0
    shifts = np.zeros(len(at_s))
    ramp = np.linspace(0, 1, round(_FADE_S * AUDIO_HZ), dtype=np.float32)
    for k, (moment, length) in enumerate(zip(at_s, lengths_s, strict=True)):
        gap = round(float(length) * AUDIO_HZ)
        shift += gap / AUDIO_HZ
        shifts[k] = shift
        if not gap:
            continue
        cut = round(float(moment) * AUDIO_HZ)
        head, tail = samples[start:cut].copy(), samples[cut:]
        head[-len(ramp) :] *= ramp[::-1][-len(head) :]
        tail[: len(ramp)] *= ramp[: len(tail)]
        parts += [head, np.zeros(gap, np.float32)]
        start = cut
    return np.concatenate([*parts, samples[start:]]), shifts


def read_aloud(
    text: str,
    voice: Voice,
    emotion: str,
    strength: float,
    silences_s: tuple[float, float],
    rng: np.random.Generator,
) -> Reading:
    """Synthesise a sentence in an emotion.

    Parameters
    ----------
    text
        One sentence.
    voice
        The speaker's.
    emotion, strength
        See `emotion_profiles`; strength 0..1 from neutral to full.
    silences_s
        Silence (low noise) before and after.
    rng
        Random generator of tempo, pauses and noise.
    """
    tone = mixed_tone(emotion, strength)
    words = tuple(text.split())
    formant = voice.formant * tone.formant
    delivery = Delivery(
        voice=voice.variant,
        words_per_minute=round(voice.words_per_minute * tone.rate / formant),
        pitch=int(np.clip(voice.pitch + tone.pitch, 0, 99)),
        pitch_range=int(np.clip(tone.pitch_range, 0, 99)),
        tempo=_word_tempo(tone, len(words), rng),
    )
    speech = say(text, delivery)
    samples, onsets_s, closures_s = _resampled(speech, formant)
    boundaries = np.array(speech.word_starts[1:])
    paused = rng.random(len(boundaries)) < tone.pause_chance
    lengths_s = paused * tone.pause_s * rng.uniform(0.5, 1.8, len(boundaries))
    samples, shifts_s = _insert_pauses(samples, onsets_s[boundaries], lengths_s)
    count = np.searchsorted(boundaries, np.arange(len(onsets_s)) - 0.5)
    after = np.concatenate([[0.0], shifts_s])
    # The `_` of a boundary begins before its pause; the next phoneme is after it.
    lead_s, tail_s = silences_s
    onsets_s = lead_s + onsets_s + after[count]
    closures_s = lead_s + closures_s + after[count[:-1]]
    for k, boundary in enumerate(boundaries):
        closures_s[boundary + 1] -= shifts_s[k] - after[k]
    samples = add_voice_effects(samples, tone, AUDIO_HZ, rng)
    # Speech is cut at the end of its last phoneme; room noise continues.
    last_s = float(onsets_s[-2])
    total_s = last_s + tail_s
    samples = in_a_room(samples, lead_s, total_s, tone.gain_db, voice.snr_db, AUDIO_HZ, rng)
    onsets_s[0], onsets_s[-1] = 0.0, len(samples) / AUDIO_HZ
    closures_s[0] = 0.0
    return Reading(
        samples=samples,
        phonemes=speech.phonemes,
        onsets_s=onsets_s,
        closures_s=closures_s,
        words=words,
        word_onsets_s=onsets_s[np.array(speech.word_starts) + 1],
    )
