"""Accuracy of the sentence assignment: resolved against spoken sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, product
from typing import Literal

from pipeline.records import Clip, Pair, Sentence
from pipeline.stages.report.metrics import share
from spfem_data.labels import EMOTIONS

NAMED = ("name", "manifest", "transcript")


def wrong_pairs(pairs: Iterable[Pair], spoken: Mapping[str, str]) -> set[str]:
    """Ids of the pairs whose takes (take id to sentence) are known to differ in words."""
    return {
        pair.pair_id
        for pair in pairs
        if {pair.take_a, pair.take_b} <= set(spoken) and spoken[pair.take_a] != spoken[pair.take_b]
    }


def parallel_pairs(
    clips: Iterable[Clip], spoken: Mapping[str, str], mode: Literal["neutral", "all"]
) -> set[tuple[str, str]]:
    """Possible utterance pairs (a, b): same speaker, sentence, view and split."""
    known = sorted((c for c in clips if c.take_id in spoken), key=lambda c: c.speaker)
    pairs = set()
    for _, group in groupby(known, key=lambda c: c.speaker):
        for a, b in product(list(group), repeat=2):
            if (
                _leads(a.emotion, b.emotion, mode)
                and spoken[a.take_id] == spoken[b.take_id]
                and a.view == b.view
                and a.split == b.split
            ):
                pairs.add((a.utterance_id, b.utterance_id))
    return pairs


def _leads(a: str, b: str, mode: Literal["neutral", "all"]) -> bool:
    if mode == "neutral":
        return a == "neutral" != b
    ranks = [EMOTIONS.index(e) if e in EMOTIONS else 7 for e in (a, b)]
    return ranks[0] < ranks[1]


def label_counts(sentences: Sequence[Sentence], spoken: Mapping[str, str]) -> dict[str, int]:
    """Count the utterances (utterance id to sentence) with the right sentence.

    By audio: right if the neutral anchor has the same sentence, or if the speaker has no such
    neutral utterance and none was chosen. By name: right if all with the label have one sentence.

    Returns
    -------
    dict
        `n`, `right`, `wrong` (another sentence), `missed` (a partner existed and was not chosen).
    """
    known = [row for row in sentences if row.utterance_id in spoken]
    anchors: dict[str, set[str]] = defaultdict(set)
    labelled: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for row in known:
        if row.emotion == "neutral":
            anchors[row.speaker].add(spoken[row.utterance_id])
        if row.method in NAMED:
            labelled[row.speaker, row.sentence].add(spoken[row.utterance_id])
    counts = {"n": 0, "right": 0, "wrong": 0, "missed": 0}
    for row in known:
        says = spoken[row.utterance_id]
        if row.method in NAMED:
            verdict = "right" if labelled[row.speaker, row.sentence] == {says} else "wrong"
        elif row.emotion == "neutral":
            continue
        elif row.anchor is not None:
            verdict = "right" if spoken.get(row.anchor) == says else "wrong"
        else:
            verdict = "missed" if says in anchors[row.speaker] else "right"
        counts["n"] += 1
        counts[verdict] += 1
    return counts


def identity_figures(
    pairs: Sequence[Pair],
    sentences: Sequence[Sentence],
    clips: Mapping[str, Clip],
    spoken: Mapping[str, str],
    mode: Literal["neutral", "all"],
) -> dict[str, float | None]:
    """Counts of wrong pairs, of parallel pairs found, and of right labels."""
    wrong = wrong_pairs(pairs, spoken)
    possible = parallel_pairs(clips.values(), spoken, mode)
    made = {(clips[p.take_a].utterance_id, clips[p.take_b].utterance_id) for p in pairs}
    by_utterance = {
        clips[take].utterance_id: sentence for take, sentence in spoken.items() if take in clips
    }
    labels = label_counts(sentences, by_utterance)
    return {
        "pairs": len(pairs),
        "pairs_wrong": len(wrong),
        "parallel_possible": len(possible),
        "parallel_found": len(possible & made),
        "parallel_found_share": share(len(possible & made), len(possible)),
        "labels": labels["n"],
        "labels_right": labels["right"],
        "labels_wrong": labels["wrong"],
        "labels_missed": labels["missed"],
        "labels_right_share": share(labels["right"], labels["n"]),
    }
