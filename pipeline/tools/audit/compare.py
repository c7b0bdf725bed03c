"""Compare a list with a dataset: verdicts, and time differences from our alignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline import media
from pipeline.alignment.align import same_sentence
from pipeline.records import Clip, Pair, Rejected, Sentence
from pipeline.runtime.run import Run
from pipeline.stages.align.utterances import Recordings, Samples
from pipeline.tools.audit.pairlist import IntArray, ListedPair, clips_by_name, one_view

FloatArray = npt.NDArray[np.float64]
ScoreOf = Callable[[Clip, Clip], float]
Verdict = Literal["accepted", "rejected", "unknown"]
_MS = 1000.0


@dataclass(frozen=True)
class Compared:
    """One listed pair compared with the dataset.

    Attributes
    ----------
    verdict
        accepted: the dataset has this clip pair; rejected: it does not; unknown: a take is missing.
    reason
        A slug of `errors.REASONS` if rejected, else empty; `detail` is the message.
    score
        The sentence score of the two takes, low for the same sentence; None if unknown.
    n_compared
        The number of listed frame pairs within our time map.
    median_ms, p95_ms
        Their distance from our time map; None if not accepted.
    image_median_ms
        The same for the moments that the images show, after the delays against the audio that sync
        measured are subtracted; `image_late_ms` is b's delay minus a's.
    """

    pair: ListedPair
    verdict: Verdict
    reason: str
    detail: str
    score: float | None
    n_compared: int
    median_ms: float | None
    p95_ms: float | None
    image_median_ms: float | None = None
    image_late_ms: float | None = None


@dataclass(frozen=True)
class Known:
    """The results of extract and align for a dataset.

    Attributes
    ----------
    clips
        By (speaker, emotion, take), one level and view.
    pairs, rejected
        By pair id; `rejected` also by the id of a take that found no partner.
    sentences
        By utterance id.
    score
        The sentence score of two clips.
    audio_fps
        The frame rate for audio-only takes.
    """

    clips: Mapping[tuple[str, str, str], Clip]
    pairs: Mapping[str, Pair]
    rejected: Mapping[str, Rejected]
    sentences: Mapping[str, Sentence]
    score: ScoreOf
    audio_fps: float


def compare(pair: ListedPair, known: Known, fps: float | None) -> Compared:
    """Compare one listed pair; its frame i is at (i + 0.5) / fps in the time of each take.

    Without `fps`, each take has the rate that extract measured.
    """
    places = [
        (pair.speaker, "neutral", pair.take_a),
        (pair.speaker, pair.emotion, pair.take_b),
    ]
    missing = [f"{e} {take}" for s, e, take in places if (s, e, take) not in known.clips]
    if missing:
        detail = f"the dataset has no usable take {' or '.join(missing)}"
        return Compared(pair, "unknown", "", detail, None, 0, None, None)
    a, b = (known.clips[place] for place in places)
    ours = known.pairs.get(f"{a.take_id}--{b.take_id}")
    if ours is None:
        reason, detail = _why(a, b, known)
        return Compared(pair, "rejected", reason, detail, known.score(a, b), 0, None, None)
    rates = fps or a.fps or known.audio_fps, fps or b.fps or known.audio_fps
    apart = differences_ms(pair.frame_a, pair.frame_b, ours, rates)
    of_images = differences_ms(
        pair.frame_a, pair.frame_b, ours, rates, (ours.sync_a_ms / _MS, ours.sync_b_ms / _MS)
    )
    median, p95 = np.percentile(apart, [50, 95]) if len(apart) else (None, None)
    return Compared(
        pair, "accepted", "", "", ours.sentence_score, len(apart),
        None if median is None else float(median), None if p95 is None else float(p95),
        float(np.median(of_images)) if len(of_images) else None, ours.sync_b_ms - ours.sync_a_ms,
    )  # fmt: skip


def _why(a: Clip, b: Clip, known: Known) -> tuple[str, str]:
    """The reason that align gave, else the sentences of both takes."""
    reject = known.rejected.get(f"{a.take_id}--{b.take_id}") or known.rejected.get(b.take_id)
    if reject is not None:
        return reject.reason, reject.detail
    sentences = [known.sentences[clip.utterance_id] for clip in (a, b)]
    anchor = f" (that of neutral take {sentences[1].anchor})" if sentences[1].anchor else ""
    return (
        "wrong_sentence",
        f"{b.emotion} {b.take} has sentence {sentences[1].sentence}{anchor}, neutral {a.take} has "
        f"{sentences[0].sentence}",
    )


def differences_ms(
    frame_a: IntArray,
    frame_b: IntArray,
    ours: Pair,
    rates: tuple[float, float],
    late_s: tuple[float, float] = (0.0, 0.0),
) -> FloatArray:
    """Distance of listed frame pairs from our time map in ms, for those within the map.

    `rates` are the frame rates of takes a and b, `late_s` the delays of their images.
    """
    a_s = (frame_a + 0.5) / rates[0] - late_s[0]
    b_s = (frame_b + 0.5) / rates[1] - late_s[1]
    knots_a, knots_b = np.array(ours.knots_a_s), np.array(ours.knots_b_s)
    inside = (a_s >= knots_a[0]) & (a_s <= knots_a[-1])
    apart: FloatArray = np.abs(b_s - np.interp(a_s, knots_a, knots_b))[inside] * _MS
    return apart


def compare_all(pairs: Sequence[ListedPair], known: Known, fps: float | None) -> list[Compared]:
    """`compare` for every pair, in the order given."""
    return [compare(pair, known, fps) for pair in pairs]


def read_known(run: Run, *, level: int | None, view: str | None) -> Known:
    """The takes of one level and view, with the results of align.

    Raises
    ------
    OutOfOrderError
        When extract or align has not run.
    """
    clips = one_view(run.need("extract", "clips", Clip), view)
    return Known(
        clips=clips_by_name(clips, level),
        pairs={pair.pair_id: pair for pair in run.need("align", "pairs", Pair)},
        rejected={row.item: row for row in run.need("align", "rejected", Rejected)},
        sentences={row.utterance_id: row for row in run.need("align", "sentences", Sentence)},
        score=_scores(run),
        audio_fps=run.params.align.audio_fps,
    )


def _scores(run: Run) -> ScoreOf:
    section = run.params.align
    extracted = run.items("extract")

    def read(clip: Clip) -> Samples:
        return media.read_flac(extracted.path(f"{clip.speaker}/{clip.take_id}", ".audio.flac"))

    recordings = Recordings(read, section.features)

    @cache
    def score(a: Clip, b: Clip) -> float:
        return same_sentence(recordings.features(a), recordings.features(b), section)

    return score
