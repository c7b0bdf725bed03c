"""Align two takes, and pair their frames."""

from dataclasses import dataclass

import numpy.typing as npt

from pipeline.alignment.features import TakeFeatures
from pipeline.alignment.frame_pairs import FrameMap, frame_pairs, measure_pairs
from pipeline.alignment.posterior import visits
from pipeline.alignment.same_recording import straightness
from pipeline.alignment.sentence_score import same_sentence_score, score_takes
from pipeline.alignment.types import FloatArray
from pipeline.alignment.warping_path import Warp, cosine_distances, warp
from pipeline.alignment.word_mismatch import OddSpan, odd_span
from pipeline.params import Align, AlignSameRecording


@dataclass(frozen=True, eq=False)
class Alignment:
    """Two takes, aligned by their audio; computed once, applied to every view.

    Attributes
    ----------
    warp : Warp
    distances : float64 [shape=(n, m)]
    visits : float64 [shape=(n, m)] in [0, 1]
        See `pipeline.alignment.posterior.visits`.
    score : float in [0, 9]
        Same-sentence score, lower is more similar; see
        `pipeline.alignment.sentence_score.same_sentence_score`.
    odd_span : OddSpan
        The stretch that most looks missing or repeated; a score of 1 or more is an alarm.
    straightness : float in [0, 1]
        See `pipeline.alignment.same_recording.straightness`.
    """

    warp: Warp
    distances: FloatArray
    visits: FloatArray
    score: float
    odd_span: OddSpan
    straightness: float

    def is_one_recording(self, limits: AlignSameRecording) -> bool:
        """Whether the two takes are copies of one recording."""
        is_straight = self.straightness >= limits.min_straight
        return self.score <= limits.sure_score or (self.score <= limits.max_score and is_straight)


def align(a: TakeFeatures, b: TakeFeatures, params: Align) -> Alignment:
    """Align two takes from `pipeline.alignment.features.take_features`."""
    distances = cosine_distances(a.mel, b.mel)
    path = warp(distances, weights=params.steps, hop_s=a.hop_s, backend=params.backend)
    return Alignment(
        warp=path,
        distances=distances,
        visits=visits(path, distances, params.steps, params.posterior),
        score=same_sentence_score(distances, path, a.speech, b.speech),
        odd_span=odd_span(path, a, b, params.spans),
        straightness=straightness(path, a.speech, b.speech),
    )


def same_sentence(a: TakeFeatures, b: TakeFeatures, params: Align) -> float:
    """The score of `align` alone, for resolving which of many takes share a sentence."""
    return score_takes(a, b, params.steps, params.backend)


def pair_frames(
    alignment: Alignment,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    params: Align,
) -> FrameMap:
    """Frame pairs of one view; see `pipeline.alignment.frame_pairs.frame_pairs`."""
    return frame_pairs(
        alignment.warp,
        alignment.distances,
        alignment.visits,
        instants_a_s,
        instants_b_s,
        params.frames,
    )


def judge_frames(
    alignment: Alignment,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    frame_a: npt.ArrayLike,
    frame_b: npt.ArrayLike,
    params: Align,
) -> FrameMap:
    """Rate another aligner's frame pairs; see `pipeline.alignment.frame_pairs.measure_pairs`."""
    return measure_pairs(
        alignment.warp,
        alignment.distances,
        alignment.visits,
        instants_a_s,
        instants_b_s,
        frame_a,
        frame_b,
        params.frames,
    )
