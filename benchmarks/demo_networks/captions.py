"""Captions of faces with seven emotions, and the vocabulary of the demo's CLIP.

A word of these captions becomes one or two tokens. Any other word is split into letters, so that
the network accepts every prompt, but works best with words from its captions.
"""

from __future__ import annotations

import gzip
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spfem_data.labels import EMOTIONS


@dataclass(frozen=True)
class Words:
    """Names of an emotion and descriptions of a face that shows it."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    adverbs: tuple[str, ...]
    parts: tuple[str, ...]


WORDS = {
    "neutral": Words(
        ("neutral", "calm", "plain", "expressionless", "unmoved", "relaxed"),
        ("calm", "no emotion", "rest", "composure"),
        ("calmly", "evenly", "plainly", "without emotion"),
        (
            "relaxed brows", "a relaxed mouth", "a face at rest", "level brows", "quiet eyes",
            "no visible emotion",
        ),
    ),
    "happy": Words(
        ("happy", "joyful", "cheerful", "smiling", "glad", "delighted"),
        ("happiness", "joy", "delight", "cheer"),
        ("happily", "joyfully", "cheerfully", "with a smile"),
        (
            "a broad smile", "raised cheeks", "lifted lip corners", "narrowed smiling eyes",
            "a wide grin",
        ),
    ),
    "angry": Words(
        ("angry", "furious", "enraged", "irate", "mad", "cross"),
        ("anger", "rage", "fury", "wrath"),
        ("angrily", "furiously", "in rage", "harshly"),
        (
            "lowered brows drawn together", "hard staring eyes", "tightened lips", "a frown",
            "a glare",
        ),
    ),
    "surprised": Words(
        ("surprised", "astonished", "amazed", "startled", "stunned"),
        ("surprise", "astonishment", "amazement", "wonder"),
        ("in surprise", "in amazement", "in astonishment", "with wonder"),
        (
            "raised brows", "wide eyes and a dropped jaw", "an open mouth", "high arched brows",
            "a wide open mouth",
        ),
    ),
    "fear": Words(
        ("fearful", "afraid", "frightened", "scared", "terrified"),
        ("fear", "terror", "fright", "dread"),
        ("fearfully", "in terror", "in fear", "anxiously"),
        (
            "raised brows drawn together", "lips stretched sideways", "wide frightened eyes",
            "tense stretched lips",
        ),
    ),
    "sad": Words(
        ("sad", "sorrowful", "unhappy", "gloomy", "miserable"),
        ("sadness", "sorrow", "grief", "misery"),
        ("sadly", "in sorrow", "tearfully", "gloomily"),
        (
            "raised inner brows", "lip corners pulled down", "drooping eyelids",
            "a downward gaze", "a pushed up chin",
        ),
    ),
    "disgusted": Words(
        ("disgusted", "revolted", "repelled", "sickened"),
        ("disgust", "revulsion", "loathing", "distaste"),
        ("in disgust", "with revulsion", "with distaste"),
        (
            "a wrinkled nose", "a raised upper lip", "lowered brows and narrowed eyes",
            "a curled lip",
        ),
    ),
}  # fmt: skip

TEMPLATES = (
    "{adjective}",
    "{noun}",
    "{a_adjective} face",
    "{a_adjective} person",
    "{a_adjective} expression",
    "an expression of {noun}",
    "a look of {noun}",
    "a photo of {a_adjective} face",
    "a photo of a person with {a_adjective} face",
    "a person who looks {adjective}",
    "the face of a person who speaks {adverb}",
    "a person who speaks {adverb}",
    "a face with {part}",
    "{a_adjective} face with {part}",
    "a person who speaks {adverb} with {part}",
    "{part} and {other}",
)


def caption(emotion: str, rng: np.random.Generator) -> str:
    """A random caption of a face with this emotion."""
    words = WORDS[emotion]
    adjective = str(rng.choice(words.adjectives))
    article = "an" if adjective[0] in "aeiou" else "a"
    return str(rng.choice(TEMPLATES)).format(
        adjective=adjective,
        a_adjective=f"{article} {adjective}",
        noun=rng.choice(words.nouns),
        adverb=rng.choice(words.adverbs),
        part=rng.choice(words.parts),
        other=rng.choice(words.parts),
    )


def captions(rng: np.random.Generator, each: int) -> list[str]:
    """`each` captions of each of the seven emotions, in the order of EMOTIONS."""
    return [caption(emotion, rng) for emotion in EMOTIONS for _ in range(each)]


def vocabulary() -> list[str]:
    """All words of all captions, sorted."""
    texts = [re.sub(r"\{\w+\}", " ", template) for template in TEMPLATES]
    for words in WORDS.values():
        texts += [*words.adjectives, *words.nouns, *words.adverbs, *words.parts, "an"]
    return sorted(set(" ".join(texts).split()))


def merges(words: list[str], most: int) -> list[tuple[str, str]]:
    """Byte-pair merges for these words; ties between frequent pairs are broken alphabetically.

    Sennrich et al. 2016, with each word counted once; a word ends in `</w>`.
    """
    spelled = [[*word[:-1], f"{word[-1]}</w>"] for word in words]
    found: list[tuple[str, str]] = []
    while len(found) < most:
        pairs = Counter((a, b) for word in spelled for a, b in pairwise(word))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        spelled = [_merged(word, best) for word in spelled]
    return found


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def merges_file(pairs: list[tuple[str, str]]) -> bytes:
    """The merges in the format of open_clip's tokenizer, gzipped; reproducible bytes."""
    text = "#merges\n" + "\n".join(f"{a} {b}" for a, b in pairs)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0, filename="") as file:
        file.write(text.encode())
    return stream.getvalue()


N_BYTES = 512
"""Tokens of single bytes, within a word and at its end."""
N_SPECIAL = 2
