"""What each utterance of one speaker says: by its name or manifest, else resolved from the sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.corpora.mead_sentences import prior_labels
from pipeline.dtw.align import AlignParams, same_sentence
from pipeline.dtw.identity import ResolveParams, resolve
from pipeline.dtw.kernels import cost_only
from pipeline.dtw.path import cosine_distances
from pipeline.pairing.utterances import FloatArray, Sounds, Utterance, length_ratio
from pipeline.params import SplitRule
from pipeline.records import Sentence
from pipeline.split import split_of


@dataclass(frozen=True)
class IdentityParams:
    """How sentences are resolved where the corpus does not name them.

    `coarse_step` is how many cells the first, cheap comparison skips, `candidates` how many of its
    best a take and an anchor each go on to the full comparison, `max_length_ratio` how much longer
    one take may be than the other.
    """

    coarse_step: int
    candidates: int
    max_length_ratio: float
    resolve: ResolveParams


@dataclass(frozen=True)
class _Match:
    anchor: Utterance
    score: float
    margin: float


def name_sentences(
    utterances: Sequence[Utterance],
    sounds: Sounds,
    align_params: AlignParams,
    params: IdentityParams,
    rule: SplitRule,
) -> list[Sentence]:
    """The sentence of every utterance of one speaker, in the order given.

    Where name or manifest say it, they decide. Elsewhere the takes of each emotion and level are
    assigned to the neutral takes by their sound, MEAD's tables serving as a prior; an utterance
    that no neutral take matches has no sentence.
    """
    matches = _match_all(utterances, sounds, align_params, params)
    return [_row(utterance, matches.get(utterance.id), rule) for utterance in utterances]


def _row(utterance: Utterance, match: _Match | None, rule: SplitRule) -> Sentence:
    clip = utterance.reference
    label, method = clip.sentence, clip.sentence_source or "sound"
    if label is None and clip.emotion == "neutral":
        label, method = _neutral_label(utterance), "prior"
    elif label is None and match is not None:
        label = _neutral_label(match.anchor)
    split = split_of(rule, speaker=clip.speaker, sentence=label, utterance_id=clip.utterance_id)
    return Sentence(
        utterance_id=clip.utterance_id, dataset=clip.dataset, speaker=clip.speaker,
        emotion=clip.emotion, level=clip.level, take=clip.take, sentence=label, method=method,
        anchor=match.anchor.id if match else None,
        score=match.score if match else None,
        margin=match.margin if match and np.isfinite(match.margin) else None,
        verified=match is not None, split=split,
    )  # fmt: skip


def _neutral_label(anchor: Utterance) -> str:
    """The tables' name of what a neutral take says; its own number where they know none.

    Only a name: which takes say the same is decided by sound, and two anchors never share a label.
    """
    labels = prior_labels("neutral", anchor.reference.take)
    return labels[0][0] if labels else f"n-{anchor.reference.take}"


def _match_all(
    utterances: Sequence[Utterance],
    sounds: Sounds,
    align_params: AlignParams,
    params: IdentityParams,
) -> dict[str, _Match]:
    """Which neutral take each unnamed utterance says the same as."""
    unnamed = [u for u in utterances if u.reference.sentence is None]
    anchors = [u for u in unnamed if u.emotion == "neutral"]
    others = sorted(
        (u for u in unnamed if u.emotion != "neutral"), key=lambda u: (u.emotion, u.reference.level)
    )
    matches: dict[str, _Match] = {}
    for _, takes in groupby(others, key=lambda u: (u.emotion, u.reference.level)):
        matches |= _match(anchors, list(takes), sounds, align_params, params)
    return matches


def _match(
    anchors: Sequence[Utterance],
    takes: Sequence[Utterance],
    sounds: Sounds,
    align_params: AlignParams,
    params: IdentityParams,
) -> dict[str, _Match]:
    if not anchors:
        return {}
    cost = _coarse_costs(anchors, takes, sounds, align_params, params)
    scores = _full_scores(cost, anchors, takes, sounds, align_params, params)
    found = resolve(scores, _prior(anchors, takes), params.resolve)
    return {
        takes[column].id: _Match(anchors[row], float(found.score[row]), float(found.margin[row]))
        for row, column in enumerate(found.column)
        if column >= 0
    }


def _coarse_costs(
    anchors: Sequence[Utterance],
    takes: Sequence[Utterance],
    sounds: Sounds,
    align_params: AlignParams,
    params: IdentityParams,
) -> FloatArray:
    """Normalised warping cost of each anchor with each take, infinite beyond the length ratio."""
    cost = np.full((len(anchors), len(takes)), np.inf)
    step = params.coarse_step
    for row, anchor in enumerate(anchors):
        mel = sounds.features(anchor.reference).mel[::step]
        for column, take in enumerate(takes):
            ratio = length_ratio(anchor.reference, take.reference)
            if max(ratio, 1 / ratio) <= params.max_length_ratio:
                other = sounds.features(take.reference).mel[::step]
                distances = cosine_distances(mel, other)
                cost[row, column] = cost_only(distances, weights=align_params.steps)
    return cost


def _full_scores(
    cost: FloatArray,
    anchors: Sequence[Utterance],
    takes: Sequence[Utterance],
    sounds: Sounds,
    align_params: AlignParams,
    params: IdentityParams,
) -> FloatArray:
    """Same-sentence scores of the candidates that the coarse costs leave, infinite elsewhere."""
    scores = np.full(cost.shape, np.inf)
    by_row = np.argsort(np.argsort(cost, axis=1, kind="stable"), axis=1, kind="stable")
    by_column = np.argsort(np.argsort(cost, axis=0, kind="stable"), axis=0, kind="stable")
    near = (np.minimum(by_row, by_column) < params.candidates) & np.isfinite(cost)
    for row, column in np.argwhere(near):
        a, b = anchors[row].reference, takes[column].reference
        scores[row, column] = same_sentence(sounds.features(a), sounds.features(b), align_params)
    return scores


def _prior(anchors: Sequence[Utterance], takes: Sequence[Utterance]) -> FloatArray:
    """1 where the tables say that a numbered take says what a numbered neutral take says."""
    prior = np.zeros((len(anchors), len(takes)))
    for row, anchor in enumerate(anchors):
        label = _neutral_label(anchor)
        for column, take in enumerate(takes):
            clip = take.reference
            known = {name for name, _ in prior_labels(clip.emotion, clip.take)}
            prior[row, column] = float(label in known)
    return prior
