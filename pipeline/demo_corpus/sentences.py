"""The sentences: MEAD-like sentences of our own, and RAVDESS's two statements.

The structure is that of MEAD (3 common and 10 generic sentences in every emotion, the rest in one
emotion only), the texts are not. Generic 1 and 2 are nearly identical.
"""

from __future__ import annotations

COMMON = (
    "Bob may buy a big blue map.",
    "My mom put five bags by the pool.",
    "We open the shop before supper.",
)
GENERIC = (
    "The boat left the bay at noon.",
    "The boat left the bay at dawn.",
)
OWN = {
    "angry": ("Stop moving my papers about.",),
    "disgusted": ("The milk in that cup went bad.",),
    "fear": ("Something moved below the bridge.",),
    "happy": ("We won both games by far.",),
    "neutral": ("The bus leaves from platform four.",),
    "sad": ("My best friend moved far away.",),
    "surprised": ("You put a piano up here.",),
}
STATEMENTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")


def text_of(sentence_id: str) -> str:
    """Return the text of `common_01`, `generic_02`, `own_happy_01` or `ravdess_01`."""
    kind, *emotion, number = sentence_id.split("_")
    tables = {"common": COMMON, "generic": GENERIC, "ravdess": STATEMENTS}
    table = OWN[emotion[0]] if kind == "own" else tables[kind]
    return table[int(number) - 1]


def mead_number(sentence_id: str, emotion: str, *, generic_first: bool = False) -> int:
    """Return the clip number of a sentence in MEAD, before any clip is lost.

    Common 1-3, own 4-20 (neutral 4-30), generic 21-30 (neutral 31-40); with `generic_first`, as in
    some actors' disgusted, own 1-17, generic 18-27, common 28-30.
    """
    kind, *_, digits = sentence_id.split("_")
    index = int(digits)
    if generic_first:
        return {"own": 0, "generic": 17, "common": 27}[kind] + index
    generic = 30 if emotion == "neutral" else 20
    return {"common": 0, "own": 3, "generic": generic}[kind] + index
