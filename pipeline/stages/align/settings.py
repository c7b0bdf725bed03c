"""The section `align` of params.yaml, as the parts that the mathematics take."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from pipeline.alignment.align import AlignParams
from pipeline.alignment.sentence_score import ResolveParams
from pipeline.params import Align
from pipeline.stages.align.pairs import PairParams
from pipeline.stages.align.sentences import IdentityParams

Part = TypeVar("Part", AlignParams, IdentityParams, PairParams)


@dataclass(frozen=True)
class AlignParts:
    """The aligner's own parameters, those of sentence identity, and those of pairs."""

    align: AlignParams
    identity: IdentityParams
    pairs: PairParams


def split_section(section: Align) -> AlignParts:
    """The parts of the section `align`."""
    values = section.model_dump()
    resolve = ResolveParams(section.max_score, section.min_margin, section.prior_bonus)
    values |= {"resolve": resolve}
    return AlignParts(
        _build(AlignParams, values), _build(IdentityParams, values), _build(PairParams, values)
    )


def _build(kind: type[Part], values: dict[str, Any]) -> Part:
    """A dataclass from values by name, the nested ones from nested values."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    return kind(
        **{
            name: _build(hints[name], values[name])
            if is_dataclass(hints[name]) and isinstance(values[name], dict)
            else values[name]
            for name in names
        }
    )
