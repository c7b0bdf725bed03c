"""What stages that are still to run are expected to give: enough for the units of those after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from pipeline.corpora.mead_sentences import prior_labels
from pipeline.media.probe import Probe
from pipeline.params import Align, SplitRule
from pipeline.records import (
    Clip,
    FilteredTake,
    Pair,
    PosedPair,
    Rejected,
    ScoredTake,
    Sentence,
    Take,
    rejected,
)
from pipeline.runtime.tables import AnyRow
from pipeline.splits import split_of
from pipeline.stages.align.pairs import Candidate, Measured, candidates, why_unfit
from pipeline.stages.align.utterances import Utterance, duration_s, group, length_ratio
from pipeline.tools.plan.forecast_run import EXPECTED
from spfem_data.labels import EMOTIONS

_COVERAGE = 0.88
"""Frame pairs over the shorter take's frames: the median of the demo and of acted speech."""
_AUDIO_FPS = 25.0


def told(rows: Iterable[dict[str, Any]], kind: type[AnyRow]) -> list[AnyRow]:
    """Records out of receipts, with the very values that their table gives back."""
    table = pa.Table.from_pylist(list(rows), schema=kind.SCHEMA)
    return [kind.from_row(row) for row in table.to_pylist()]


def clip_of(take: Take, split: str | None, probe: Probe, crop_px: int) -> Clip:
    """The clip of a take that is not extracted yet."""
    seen = probe.n_frames > 0
    return Clip(
        **take.to_row(), split=split, width_px=probe.width_px or None,
        height_px=probe.height_px or None,
        fps=probe.n_frames / probe.duration_s if seen and probe.duration_s else None,
        n_frames=probe.n_frames, n_found=probe.n_frames,
        video_start_s=0.0 if seen else None, video_end_s=probe.duration_s if seen else None,
        audio_start_s=0.0, audio_end_s=max(probe.duration_s, 1e-3), audio_from=EXPECTED,
        crop_x_px=0.0 if seen else None, crop_y_px=0.0 if seen else None,
        crop_side_px=1.0 if seen else None, crop_px=crop_px if seen else None,
        interocular_px=None, frames_sha256=EXPECTED if seen else None,
        audio_sha256=f"{EXPECTED} {take.take_id}", findings=(),
    )  # fmt: skip


def sentences_of(
    utterances: Sequence[Utterance], known: Mapping[str, Sentence], rule: SplitRule
) -> list[Sentence]:
    """What utterances are expected to say: as resolved before, as named, else by MEAD's tables."""
    return [known.get(one.id) or _sentence(one.reference, rule) for one in utterances]


def _sentence(clip: Clip, rule: SplitRule) -> Sentence:
    label, method = clip.sentence, clip.sentence_source or "prior"
    if label is None:
        labels = prior_labels(clip.emotion, clip.take)
        label = labels[0][0] if labels else None
    if label is None and clip.emotion == "neutral":
        label = f"n-{clip.take}"
    split = split_of(rule, speaker=clip.speaker, sentence=label, utterance_id=clip.utterance_id)
    return Sentence(
        utterance_id=clip.utterance_id, dataset=clip.dataset, speaker=clip.speaker,
        emotion=clip.emotion, level=clip.level, take=clip.take, sentence=label, method=method,
        anchor=None, score=None, margin=None, verified=False, split=split,
    )  # fmt: skip


@dataclass(frozen=True)
class Before:
    """What a speaker's last run gave: sentences by utterance, pairs by id, why it refused others,
    and what was measured of those that a threshold held back."""

    sentences: Mapping[str, Sentence]
    pairs: Mapping[str, Pair]
    refused: Mapping[str, str]
    held_back: Mapping[str, Measured]

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[dict[str, Any]]], *, with_refused: bool) -> Before:
        """Out of a receipt's rows; without what was refused where another run may not refuse it."""
        said = {row.utterance_id: row for row in told(rows.get("sentences", ()), Sentence)}
        pairs = {row.pair_id: row for row in told(rows.get("pairs", ()), Pair)}
        if not with_refused:
            return cls(said, pairs, {}, {})
        refused = {row["item"]: row["reason"] for row in rows.get("rejected", ())}
        held_back = {
            row["pair_id"]: Measured(row["sentence_score"], row["odd_span_score"], row["n_pairs"])
            for row in rows.get("held_back", ())
        }
        return cls(said, pairs, refused, held_back)


@dataclass(frozen=True)
class Paired:
    """What a speaker is expected to give; `n_returning` of the pairs that thresholds held back are
    held back no more, or for another reason. `rejects` have no details."""

    sentences: list[Sentence]
    pairs: list[Pair]
    rejects: list[Rejected]
    n_returning: int


def pairs_of(clips: Sequence[Clip], section: Align, rule: SplitRule, before: Before) -> Paired:
    """Sentences and clip pairs of one speaker that is still to be paired.

    Pairs that the last run gave are taken as they were, and what it refused is refused again,
    unless a take of it is to be extracted again.
    """
    utterances = group(clips)
    sentences = sentences_of(utterances, before.sentences, rule)
    splits = {row.utterance_id: row.split for row in sentences}
    params = section
    pairs, rejects, n_returning = list[Pair](), list[Rejected](), 0

    def refuse(candidate: Candidate, reason: str) -> None:
        rejects.append(rejected("align", "clip pair", candidate.id, reason, EXPECTED))

    for candidate in candidates(utterances, sentences, params):
        a, b = candidate.a, candidate.b
        if a is None:
            refuse(candidate, before.refused.get(candidate.id, candidate.reason))
            continue
        unfit = why_unfit(a, b, splits, params)
        if unfit is not None:
            refuse(candidate, unfit[0])
            continue
        is_open = any(clip.audio_sha256.startswith(EXPECTED) for clip in (a, b))
        refused = reason = None if is_open else before.refused.get(candidate.id)
        known = before.pairs.get(candidate.id)
        measured = Measured.of(known) if known else before.held_back.get(candidate.id)
        if measured is not None and not is_open:
            reason = measured.objection(params)
            n_returning += known is None and refused != reason
        if reason is not None:
            refuse(candidate, reason)
        elif known is None:
            pairs.append(_pair(candidate, a, splits))
        else:
            pairs.append(replace(known, sentence_method=EXPECTED) if is_open else known)
    return Paired(sentences, pairs, rejects, n_returning)


def _pair(candidate: Candidate, a: Clip, splits: Mapping[str, str | None]) -> Pair:
    b = candidate.b
    n_a, n_b = (clip.n_frames or round(duration_s(clip) * _AUDIO_FPS) for clip in (a, b))
    n = max(int(min(n_a, n_b) * _COVERAGE), 1)
    frames, ones = tuple(range(n)), (1.0,) * n
    return Pair(
        pair_id=candidate.id, dataset=b.dataset, speaker=b.speaker, view=b.view,
        sentence=str(candidate.sentence.sentence), split=str(splits[b.utterance_id]),
        take_a=a.take_id, take_b=b.take_id, emotion_a=a.emotion, emotion_b=b.emotion,
        level_a=a.level, level_b=b.level, sentence_score=0.0, sentence_method=EXPECTED,
        odd_span=EXPECTED, odd_span_score=0.0, length_ratio=length_ratio(a, b), n_frames_a=n_a,
        n_frames_b=n_b, coverage=_COVERAGE, mouth_agreement=None, frame_a=frames, frame_b=frames,
        confidence=ones, error_ms=ones, run_ms=ones, slope=ones, contrast=ones,
        knots_a_s=(0.0,), knots_b_s=(0.0,),
    )  # fmt: skip


def posed_of(pair: Pair) -> PosedPair:
    """The poses of a pair that is still to be posed: of every frame pair."""
    n = len(pair.frame_a)
    return PosedPair(
        pair.pair_id, pair.speaker, n, n, 0, 0, 0, None, None, None, None, None, EXPECTED
    )  # fmt: skip


def pose_table(pairs: Sequence[Pair]) -> pa.Table:
    """Which frames of which pairs a speaker's pose file is expected to hold."""
    ids = [pair.pair_id for pair in pairs for _ in pair.frame_a]
    frames = [frame for pair in pairs for frame in pair.frame_a]
    return pa.table(
        {"pair_id": pa.array(ids, pa.string()), "frame_a": pa.array(frames, pa.int32())}
    )


def scored_of(clip: Clip, n_scored: int, weights_sha256: str) -> ScoredTake:
    """The scores of a take that is still to be scored."""
    p = tuple(float(name == clip.emotion) for name in EMOTIONS)
    return ScoredTake(
        clip.take_id, clip.dataset, clip.speaker, clip.emotion, clip.level, clip.view, clip.split,
        clip.n_frames, n_scored, p, weights_sha256, EXPECTED,
    )  # fmt: skip


def filtered_of(take: ScoredTake, split: str | None, share: float) -> FilteredTake:
    """What is expected of a take that is still to be filtered, `share` of its frames clear."""
    n = take.n_scored if take.emotion in EMOTIONS else 0
    kept = round(n * share)
    return FilteredTake(
        take.take_id, take.speaker, take.emotion, split, take.n_scored, kept, n - kept, 0, 0,
        take.n_scored - n, None, take.weights_sha256, EXPECTED,
    )  # fmt: skip


def blank(kind: type[AnyRow], **known: Any) -> AnyRow:
    """A record with the values given, the others empty: for rows that only names matter of."""
    return kind(**{field.name: known.get(field.name, _empty(field.type)) for field in kind.SCHEMA})


def _empty(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return EXPECTED
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return ()
    return 0.0 if pa.types.is_floating(kind) else 0
