"""Split takes into train, validation and test, from names and before anything is fitted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction

from pipeline.errors import ParameterError
from pipeline.params import SplitRule
from pipeline.records import Clip, Sentence


def unit_of(
    rule: SplitRule, *, speaker: str, sentence: str | None, utterance_id: str
) -> str | None:
    """The name that a rule splits by; takes with the same name share a split.

    Returns
    -------
    str or None
        None if the unit needs a sentence and none is known yet.
    """
    if rule.unit == "speaker":
        return speaker
    if rule.unit == "take":
        return utterance_id
    if sentence is None:
        return None
    return sentence if rule.unit == "sentence" else f"{speaker}+{sentence}"


def split_of(
    rule: SplitRule, *, speaker: str, sentence: str | None, utterance_id: str
) -> str | None:
    """The split of one take under a rule: train, validation or test.

    Units or speakers named in `rule.assign` go there. Of all other names, shares of `rule.test` and
    `rule.validation` are chosen by a stable hash of seed and name, so a new speaker moves no other.
    All views of a take share its split.

    Returns
    -------
    str or None
        None if the unit needs a sentence and none is known yet.
    """
    unit = unit_of(rule, speaker=speaker, sentence=sentence, utterance_id=utterance_id)
    if unit is None:
        return None
    for name in (unit, speaker):
        if name in rule.assign:
            return rule.assign[name]
    place = _place(rule.seed, unit)
    if place < Fraction(str(rule.test)):
        return "test"
    if place < Fraction(str(rule.test)) + Fraction(str(rule.validation)):
        return "validation"
    return "train"


def admitted(rule: SplitRule, speaker: str) -> bool:
    """Whether the rule admits a speaker (`only`; empty admits all)."""
    return not rule.only or speaker in rule.only


def check_assigned(rule: SplitRule, speakers: Iterable[str]) -> None:
    """Reject a rule whose listed speakers do not exist, such as a mistyped list.

    Raises
    ------
    ParameterError
        With the names of the missing speakers.
    """
    present = set(speakers)
    wanted = set(rule.only) or (set(rule.assign) if rule.unit == "speaker" else set())
    if wanted and not wanted & present:
        raise ParameterError(
            f"the split names speakers {', '.join(sorted(wanted)[:5])} and the corpus has none of "
            f"them; it has: {', '.join(sorted(present)[:8])}"
        )


def _place(seed: int, unit: str) -> Fraction:
    """A number in [0, 1) from a stable hash of seed and name."""
    value = hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest()[:16]
    return Fraction(int(value, 16), 16**16)


def split_of_take(clip: Clip, sentences: Mapping[str, Sentence]) -> str | None:
    """The split of a take; if the rule splits by sentence, align decides it."""
    sentence = sentences.get(clip.utterance_id)
    return (sentence.split if sentence else None) or clip.split
