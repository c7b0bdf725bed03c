"""The way from two takes to frame pairs and a verdict; what a stage calls."""

from dataclasses import dataclass

import numpy.typing as npt

from pipeline.alignment.features import FeatureParams, TakeFeatures
from pipeline.alignment.frame_pairs import FrameMap, FrameParams, frame_pairs, measure_pairs
from pipeline.alignment.posterior import PosteriorParams, visits
from pipeline.alignment.sentence_score import same_sentence_score, score_takes
from pipeline.alignment.types import FloatArray
from pipeline.alignment.warping_path import Backend, StepWeights, Warp, cosine_distances, warp
from pipeline.alignment.word_mismatch import OddSpan, SpanParams, odd_span


@dataclass(frozen=True)
class AlignParams:
    """Everything that the aligner can be told; see the parts."""

    features: FeatureParams
    steps: StepWeights
    backend: Backend
    posterior: PosteriorParams
    frames: FrameParams
    spans: SpanParams


@dataclass(frozen=True, eq=False)
class Alignment:
    """Two takes, aligned by their sound; computed once, applied to every view.

    Attributes
    ----------
    warp : Warp
    distances : float64 [shape=(n, m)]
    visits : float64 [shape=(n, m)] in [0, 1]
        See `pipeline.alignment.posterior.visits`.
    score : float in [0, 9]
        Same-sentence score, low is the same; see
        `pipeline.alignment.sentence_score.same_sentence_score`.
    odd_span : OddSpan
        The stretch that most looks missing or repeated; its score is an alarm from 1 on.
    """

    warp: Warp
    distances: FloatArray
    visits: FloatArray
    score: float
    odd_span: OddSpan


def align(a: TakeFeatures, b: TakeFeatures, params: AlignParams) -> Alignment:
    """Align two takes from `pipeline.alignment.features.take_features`."""
    distances = cosine_distances(a.mel, b.mel)
    path = warp(distances, weights=params.steps, hop_s=a.hop_s, backend=params.backend)
    return Alignment(
        warp=path,
        distances=distances,
        visits=visits(path, distances, params.steps, params.posterior),
        score=same_sentence_score(distances, path, a.speech, b.speech),
        odd_span=odd_span(path, a, b, params.spans),
    )


def same_sentence(a: TakeFeatures, b: TakeFeatures, params: AlignParams) -> float:
    """The score of `align` alone, for resolving which of many takes say the same."""
    return score_takes(a, b, params.steps, params.backend)


def pair_frames(
    alignment: Alignment,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    params: AlignParams,
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
    params: AlignParams,
) -> FrameMap:
    """What it says of frame pairs of others; see `pipeline.alignment.frame_pairs.measure_pairs`."""
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
