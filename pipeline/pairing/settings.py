"""The section `align` of params.yaml, as the parts that the mathematics take."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.dtw.align import AlignParams
from pipeline.dtw.features import FeatureParams
from pipeline.dtw.frames import FrameParams
from pipeline.dtw.identity import ResolveParams
from pipeline.dtw.path import StepWeights
from pipeline.pairing.identity import IdentityParams
from pipeline.pairing.pairs import PairParams
from pipeline.params import Align


@dataclass(frozen=True)
class AlignParts:
    """The aligner's own parameters, those of sentence identity, and those of pairs."""

    align: AlignParams
    identity: IdentityParams
    pairs: PairParams


def split_section(section: Align) -> AlignParts:
    """The parts of the section `align`."""
    resolve = ResolveParams(section.max_score, section.min_margin, section.prior_bonus)
    return AlignParts(
        AlignParams(
            FeatureParams(**section.features.model_dump()),
            StepWeights(**section.steps.model_dump()),
            FrameParams(**section.frames.model_dump()),
            section.backend,
        ),
        IdentityParams(
            section.coarse_step, section.candidates, section.max_length_ratio, resolve
        ),
        PairParams(
            section.pairs, section.max_score, section.max_score_named, section.max_length_ratio,
            section.min_pairs, section.audio_fps,
        ),
    )  # fmt: skip
