"""Pairs of takes that say the same sentence: which pairs to try, and their frame pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.alignment.align import Alignment, align
from pipeline.alignment.types import BoolArray, FloatArray
from pipeline.alignment.word_mismatch import OddSpan
from pipeline.errors import Reject
from pipeline.params import Align
from pipeline.records import Clip, Pair, Sentence
from pipeline.stages.align.frame_maps import ClipMap, our_map, papers_map
from pipeline.stages.align.image_time import in_image_time, sync_error_s
from pipeline.stages.align.mouth_agreement import mouth_agreement
from pipeline.stages.align.mouth_check import accepted, lowered, mouth_gap, speech_at
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings, Utterance, duration_s, length_ratio
from spfem_data.labels import EMOTIONS

_MS = 1000.0
_STRONG = 3
"""The level of MEAD that the papers pair (their neutral has level 1)."""


ReadTrack = Callable[[Clip], Track]


THRESHOLDS = ("max_score_named", "odd_spans", "min_pairs")
"""Parameters that only reject pairs and do not change those that pass."""


@dataclass(frozen=True)
class Measured:
    """The values that thresholds apply to; `n_pairs` is None until frames are paired."""

    sentence_score: float
    odd_span_score: float
    n_pairs: int | None = None

    @classmethod
    def of(cls, pair: Pair) -> Measured:
        """The values of a finished pair."""
        return cls(pair.sentence_score, pair.odd_span_score, len(pair.frame_a))

    def objection(self, section: Align) -> str | None:
        """Why a pair is rejected: the first reason in this order, None if it passes."""
        if self.sentence_score > section.max_score_named:
            return "wrong_sentence"
        if section.odd_spans == "reject" and self.odd_span_score >= 1:
            return "odd_span"
        if self.n_pairs is not None and self.n_pairs < section.min_pairs:
            return "few_pairs"
        return None


class HeldBack(Reject):
    """A pair rejected by a threshold, with its measured values (which a pickle does not carry)."""

    def __init__(self, reason: str, detail: str, measured: Measured) -> None:
        super().__init__(reason, detail)
        self.measured = measured


@dataclass(frozen=True)
class Candidate:
    """Two clips of one view to be paired, or one clip without a partner."""

    b: Clip
    a: Clip | None
    sentence: Sentence
    reason: str = "no_partner"
    detail: str = ""

    @property
    def id(self) -> str:
        """The pair's id; that of the clip if it has no partner."""
        return self.b.take_id if self.a is None else f"{self.a.take_id}--{self.b.take_id}"


def candidates(
    utterances: Sequence[Utterance], sentences: Sequence[Sentence], section: Align
) -> Iterator[Candidate]:
    """All pairs to try for one speaker, in a stable order.

    Every clip that is not neutral appears at least once: with each partner of its sentence and
    view, or alone if it has none.
    """
    says = {row.utterance_id: row for row in sentences}
    for utterance in utterances:
        if utterance.emotion == "neutral":
            continue
        row = says[utterance.id]
        if not _is_of_level(utterance, section):
            detail = f"its level is {utterance.reference.level}"
            for view in sorted(utterance.by_view):
                yield Candidate(utterance.by_view[view], None, row, "level_not_paired", detail)
            continue
        length_s = duration_s(utterance.reference)
        if length_s > section.max_duration_s:
            for view in sorted(utterance.by_view):
                yield Candidate(utterance.by_view[view], None, row, *_too_long(length_s, section))
            continue
        partners = [
            other
            for other in utterances
            if row.sentence is not None
            and says[other.id].sentence == row.sentence
            and _leads(other, utterance, section)
        ]
        for other in partners:
            for view in sorted(other.by_view.keys() & utterance.by_view.keys()):
                yield Candidate(utterance.by_view[view], other.by_view[view], row)
        seen = {view for other in partners for view in other.by_view}
        for view in sorted(utterance.by_view.keys() - seen):
            why = _why_alone(row, partners, view, section)
            yield Candidate(utterance.by_view[view], None, row, *why)


def _too_long(length_s: float, section: Align) -> tuple[str, str]:
    limit = section.max_duration_s
    return "too_long", f"{length_s:.1f} s of audio, align.max_duration_s is {limit:g}"


def _is_of_level(utterance: Utterance, section: Align) -> bool:
    strong = utterance.reference.level == _STRONG
    return section.levels == "each" or utterance.emotion == "neutral" or strong


def _leads(a: Utterance, b: Utterance, section: Align) -> bool:
    if not _is_of_level(a, section):
        return False
    if section.pairs == "neutral":
        return a.emotion == "neutral"
    return _rank(a.emotion) < _rank(b.emotion)


def _rank(emotion: str) -> int:
    return EMOTIONS.index(emotion) if emotion in EMOTIONS else len(EMOTIONS)


def _why_alone(
    row: Sentence, partners: Sequence[Utterance], view: str, section: Align
) -> tuple[str, str]:
    """Reason and detail of a clip without a partner."""
    if partners:
        return "no_partner", f"the takes of sentence {row.sentence} have no view {view}"
    if row.sentence is not None:
        return "no_partner", f"no other take says sentence {row.sentence}"
    if row.score is None:
        return "no_partner", "no neutral take has a similar length"
    if row.score > section.max_score:
        return "no_partner", f"no neutral take matches its audio (best score {row.score:.2f})"
    if row.margin is not None and row.margin < section.min_margin:
        second = row.score + row.margin
        return (
            "ambiguous_sentence",
            f"two neutral takes match: scores {row.score:.2f} and {second:.2f}",
        )
    return (
        "no_partner",
        f"a neutral take matches its audio (score {row.score:.2f}) but belongs to another take, or "
        "contradicts the order of the takes or the other emotions",
    )


def why_unfit(
    a: Clip, b: Clip, splits: Mapping[str, str | None], section: Align
) -> tuple[str, str] | None:
    """Why two clips cannot be a pair, whatever their audio: reason and detail, or None.

    Parameters
    ----------
    splits
        The split of each utterance.
    """
    of_a, of_b = splits[a.utterance_id], splits[b.utterance_id]
    if of_a is None or of_a != of_b:
        return "straddles_split", f"the takes are in {of_a} and {of_b}"
    longest_s = max(duration_s(a), duration_s(b))
    if longest_s > section.max_duration_s:
        return _too_long(longest_s, section)
    ratio, limit = length_ratio(a, b), section.max_length_ratio
    if not 1 / limit <= ratio <= limit:
        return "length_ratio", f"the length ratio is {ratio:.2f}, align.max_length_ratio is {limit}"
    return None


def _why_one_recording(alignment: Alignment) -> str:
    return (
        f"{alignment.straightness:.0%} of the warping path is a straight line, at a sentence score "
        f"of {alignment.score:.2f}; no second performance is that similar"
    )


class PairMaker:
    """Pairs the takes of one speaker; the warp of two takes is computed once for all views."""

    def __init__(
        self,
        recordings: Recordings,
        read_track: ReadTrack,
        section: Align,
        splits: Mapping[str, str | None],
    ) -> None:
        self._recordings = recordings
        self._read_track = read_track
        self._section = section
        self._splits = splits
        self._last: tuple[tuple[str, str], Alignment] | None = None
        self._tracks: dict[str, Track] = {}

    def make(self, candidate: Candidate) -> Pair:
        """The pair of a candidate.

        Raises
        ------
        Reject
            no_partner, level_not_paired, ambiguous_sentence, straddles_split, too_long,
            length_ratio or same_recording.
        HeldBack
            wrong_sentence, odd_span or few_pairs.
        """
        a, b = candidate.a, candidate.b
        if a is None:
            raise Reject(candidate.reason, candidate.detail)
        unfit = why_unfit(a, b, self._splits, self._section)
        if unfit is not None:
            raise Reject(*unfit)
        if a.audio_sha256 == b.audio_sha256:
            raise Reject("same_recording", "the audio of both takes is identical")
        alignment = self._alignment(a, b)
        if alignment.is_one_recording(self._section.same_recording):
            raise Reject("same_recording", _why_one_recording(alignment))
        measured = Measured(alignment.score, alignment.odd_span.score)
        self._check(measured, candidate.sentence, alignment.odd_span)
        tracks = self._track(a), self._track(b)
        judged = self._judged(a, b, self._map(a, b, alignment, tracks), tracks)
        measured = replace(measured, n_pairs=len(judged.clip_map.frames))
        self._check(measured, candidate.sentence, alignment.odd_span)
        split = str(self._splits[a.utterance_id])
        pair = _pair(candidate, a, split, alignment, judged, tracks)
        assert pair.is_one_to_one or self._section.preset == "compat_scmcl"
        return pair

    def _map(self, a: Clip, b: Clip, alignment: Alignment, tracks: tuple[Track, Track]) -> ClipMap:
        instants = tracks[0].instants_s, tracks[1].instants_s
        if self._section.preset == "default":
            return our_map(alignment, *instants, self._section)
        samples = self._recordings.samples(a), self._recordings.samples(b)
        rates = a.fps or self._section.audio_fps, b.fps or self._section.audio_fps
        return papers_map(alignment, samples, rates, *instants, self._section)

    def _judged(self, a: Clip, b: Clip, found: ClipMap, tracks: tuple[Track, Track]) -> _Judged:
        """The frame pairs with what mouths and speech say, without those that they contradict."""
        section, frames, (of_a, of_b) = self._section, found.frames, tracks
        gap = mouth_gap(of_a, of_b, frames.frame_a, frames.frame_b)
        speech_a, speech_b = (
            speech_at(audio.speech, audio.hop_s, track.instants_s[at])
            for audio, track, at in (
                (self._recordings.features(a), of_a, frames.frame_a),
                (self._recordings.features(b), of_b, frames.frame_b),
            )
        )
        error_s = sync_error_s(of_a.error_s, of_b.error_s)
        frames = lowered(in_image_time(frames, error_s, section.frames), gap, section.mouths)
        judged = _Judged(replace(found, frames=frames), gap, speech_a, speech_b, error_s)
        if section.preset == "compat_scmcl":  # the papers' pairs, all of them
            return judged
        difference = of_b.mouth_open[frames.frame_b] - of_a.mouth_open[frames.frame_a]
        speakers = speech_a.astype(np.intp) + speech_b
        return judged.take(accepted(gap, difference, speakers, section.mouths))

    def _check(self, measured: Measured, sentence: Sentence, span: OddSpan) -> None:
        section, reason = self._section, measured.objection(self._section)
        match reason:
            case None:
                return
            case "wrong_sentence":
                detail = (
                    f"sentence score {measured.sentence_score:.2f}, align.max_score_named is "
                    f"{section.max_score_named} (sentence {sentence.sentence} by {sentence.method})"
                )
            case "odd_span":
                detail = f"{span.kind} from {span.start_s:.2f} to {span.stop_s:.2f} s of the audio"
            case _:
                detail = f"{measured.n_pairs} frame pairs, align.min_pairs is {section.min_pairs}"
        raise HeldBack(reason, detail, measured)

    def _track(self, clip: Clip) -> Track:
        """A clip's frames; cached, since a neutral clip has many partners."""
        if clip.take_id not in self._tracks:
            self._tracks[clip.take_id] = self._read_track(clip)
        return self._tracks[clip.take_id]

    def _alignment(self, a: Clip, b: Clip) -> Alignment:
        """The alignment of two takes; the last one is cached for their other views."""
        key = a.audio_sha256, b.audio_sha256
        if self._last is None or self._last[0] != key:
            features = self._recordings.features(a), self._recordings.features(b)
            self._last = key, align(*features, self._section)
        return self._last[1]


@dataclass(frozen=True, eq=False)
class _Judged:
    """The frame pairs of two clips, with one value each of gap and speech."""

    clip_map: ClipMap
    gap: FloatArray
    speech_a: BoolArray
    speech_b: BoolArray
    sync_error_s: float | None

    def take(self, keep: BoolArray) -> _Judged:
        """The frame pairs where `keep` holds."""
        frames = replace(self.clip_map, frames=self.clip_map.frames.take(keep))
        return _Judged(
            frames, self.gap[keep], self.speech_a[keep], self.speech_b[keep], self.sync_error_s
        )


def _or_none(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def _pair(
    candidate: Candidate,
    a: Clip,
    split: str,
    alignment: Alignment,
    judged: _Judged,
    tracks: tuple[Track, Track],
) -> Pair:
    b, frames, knots = candidate.b, judged.clip_map.frames, judged.clip_map.knots
    error_s = judged.sync_error_s
    agreement = mouth_agreement(
        tracks[0].instants_s, tracks[0].mouth_open,
        tracks[1].instants_s, tracks[1].mouth_open, knots,
    )  # fmt: skip
    n_a, n_b = len(tracks[0].instants_s), len(tracks[1].instants_s)
    return Pair(
        pair_id=candidate.id, dataset=b.dataset, speaker=b.speaker, view=b.view,
        sentence=str(candidate.sentence.sentence), split=split,
        take_a=a.take_id, take_b=b.take_id, emotion_a=a.emotion, emotion_b=b.emotion,
        level_a=a.level, level_b=b.level, sentence_score=alignment.score,
        sentence_method=candidate.sentence.method, odd_span=alignment.odd_span.kind,
        odd_span_score=alignment.odd_span.score, length_ratio=length_ratio(a, b),
        n_frames_a=n_a, n_frames_b=n_b, coverage=len(frames) / min(n_a, n_b),
        mouth_agreement=agreement,
        sync_a_ms=tracks[0].late_s * _MS, sync_b_ms=tracks[1].late_s * _MS,
        sync_error_ms=None if error_s is None else error_s * _MS,
        frame_a=tuple(frames.frame_a.tolist()), frame_b=tuple(frames.frame_b.tolist()),
        confidence=tuple(frames.confidence.tolist()),
        error_ms=tuple((frames.error_s * _MS).tolist()),
        run_ms=tuple((frames.run_s * _MS).tolist()),
        slope=tuple(frames.slope.tolist()), contrast=tuple(frames.contrast.tolist()),
        speech_a=tuple(judged.speech_a.tolist()), speech_b=tuple(judged.speech_b.tolist()),
        mouth_gap=_or_none(judged.gap),
        knots_a_s=tuple((knots[:, 0] + a.audio_start_s).tolist()),
        knots_b_s=tuple((knots[:, 1] + b.audio_start_s).tolist()),
    )  # fmt: skip
