"""The sentence of each utterance of one speaker: as named, or resolved from audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.alignment.batched_scores import score_table
from pipeline.corpora.mead_sentences import prior_labels
from pipeline.params import Align, SplitRule
from pipeline.records import Sentence
from pipeline.splits import split_of
from pipeline.stages.align.resolution import resolve_blocks
from pipeline.stages.align.take_order import Block
from pipeline.stages.align.utterances import (
    FloatArray,
    Recordings,
    Utterance,
    duration_s,
    length_ratio,
)


@dataclass(frozen=True)
class _Heard:
    """The neutral take that matches a take's audio, or the best score without a match."""

    anchor: Utterance | None
    score: float | None
    margin: float | None


def name_sentences(
    utterances: Sequence[Utterance],
    recordings: Recordings,
    section: Align,
    rule: SplitRule,
) -> list[Sentence]:
    """The sentence of every utterance of one speaker, in the order given.

    A name, manifest or transcript decides if there is one. Otherwise the takes of each emotion and
    level are assigned to the neutral takes by their audio, with the order of the takes as a prior.
    An utterance that no neutral take matches has no sentence; its row holds the best score.
    """
    short = [u for u in utterances if duration_s(u.reference) <= section.max_duration_s]
    heard = _hear(short, recordings, section)
    return [_row(utterance, heard.get(utterance.id), rule) for utterance in utterances]


def _row(utterance: Utterance, heard: _Heard | None, rule: SplitRule) -> Sentence:
    clip = utterance.reference
    anchor = heard.anchor if heard else None
    label, method = clip.sentence, clip.sentence_source or "audio"
    if label is None and clip.emotion == "neutral":
        label, method = _label(utterance), "prior"
    elif label is None and anchor is not None:
        label = _label(anchor)
    split = split_of(rule, speaker=clip.speaker, sentence=label, utterance_id=clip.utterance_id)
    return Sentence(
        utterance_id=clip.utterance_id, dataset=clip.dataset, speaker=clip.speaker,
        emotion=clip.emotion, level=clip.level, take=clip.take, sentence=label, method=method,
        anchor=anchor.id if anchor else None, score=heard.score if heard else None,
        margin=heard.margin if heard else None, verified=anchor is not None, split=split,
    )  # fmt: skip


def _label(neutral: Utterance) -> str:
    """The sentence of a neutral take: as named, by MEAD's tables, or its own number.

    Without a name this is only a label: audio decides which takes share a sentence, and two
    neutral takes never share a label.
    """
    if neutral.reference.sentence is not None:
        return neutral.reference.sentence
    labels = prior_labels("neutral", neutral.reference.take)
    return labels[0][0] if labels else f"n-{neutral.reference.take}"


def _hear(
    utterances: Sequence[Utterance],
    recordings: Recordings,
    section: Align,
) -> dict[str, _Heard]:
    """The match of each unnamed utterance that is not neutral."""
    anchors = _anchors(utterances)
    groups = _groups(utterances)
    if not anchors:
        return {}
    blocks = [
        Block(
            takes[0].emotion,
            np.array([_position(k, take) for k, take in enumerate(takes)]),
            _scores(anchors, takes, recordings, section),
        )
        for takes in groups
    ]
    for takes, block in zip(groups, blocks, strict=True):
        block.score[_spoken_for(anchors, takes[0], utterances)] = np.inf
    heard: dict[str, _Heard] = {}
    for takes, found in zip(groups, resolve_blocks(blocks, section), strict=True):
        for k, take in enumerate(takes):
            anchor = anchors[found.row[k]] if found.row[k] >= 0 else None
            heard[take.id] = _Heard(anchor, _finite(found.score[k]), _finite(found.margin[k]))
    return heard


def _anchors(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The neutral takes in the order of their numbers, one of each sentence that has a name."""
    first: dict[str, Utterance] = {}
    for utterance in sorted((u for u in utterances if u.emotion == "neutral"), key=_by_number):
        first.setdefault(_label(utterance), utterance)
    return list(first.values())


def _groups(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The unnamed takes of each emotion and level, in the order of their numbers."""
    unnamed = [u for u in utterances if u.reference.sentence is None and u.emotion != "neutral"]
    blocks = groupby(sorted(unnamed, key=_by_block), key=_by_block)
    return [sorted(takes, key=_by_number) for _, takes in blocks]


def _spoken_for(
    anchors: Sequence[Utterance], take: Utterance, utterances: Sequence[Utterance]
) -> list[bool]:
    """Which anchors' sentences are taken by a named take of the same emotion and level."""
    said = {u.reference.sentence for u in utterances if _by_block(u) == _by_block(take)}
    return [_label(anchor) in said for anchor in anchors]


def _by_block(utterance: Utterance) -> tuple[str, int]:
    return utterance.emotion, utterance.reference.level


def _by_number(utterance: Utterance) -> tuple[int, str]:
    """Sort key: take numbers as numbers; takes with other names come first, by name."""
    return _position(-1, utterance), utterance.reference.take


def _position(place: int, utterance: Utterance) -> int:
    take = utterance.reference.take
    return int(take) if take.isascii() and take.isdecimal() else place


def _scores(
    anchors: Sequence[Utterance],
    takes: Sequence[Utterance],
    recordings: Recordings,
    section: Align,
) -> FloatArray:
    """Same-sentence score of each anchor with each take, infinite beyond the length ratio."""
    ratio = np.array([[length_ratio(a.reference, b.reference) for b in takes] for a in anchors])
    return score_table(
        [recordings.features(anchor.reference) for anchor in anchors],
        [recordings.features(take.reference) for take in takes],
        np.maximum(ratio, 1 / ratio) <= section.max_length_ratio,
        section.steps,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
