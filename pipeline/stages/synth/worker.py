"""Generate the families of one take: the worker of the stage `synth`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.clip.judge import Judge as ClipJudge
from pipeline.clip.judge import load_scorer
from pipeline.faces.affine import compose
from pipeline.faces.framing import quad_to_frame
from pipeline.faces.sampling import U8, sample
from pipeline.latents.codes import as_vectors
from pipeline.latents.face_quads import chosen_frames, crops_of, decoded, image_of
from pipeline.latents.loading import load_networks
from pipeline.latents.mouths import Calibrator, Judge
from pipeline.latents.networks import F32, Networks
from pipeline.models.registry import Weights
from pipeline.params import Invert, Synth
from pipeline.records import FAMILIES_SCHEMA, Rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table, write_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.synth.family import Made, MakeJob, Maker, Sources, gaps_of, length_of_gap
from pipeline.stages.synth.rows import BLOBS, rows_of
from pipeline.stylegan.svm_direction import F64
from pipeline.takes.framed_images import framing_of
from spfem_data.labels import EMOTIONS

FAMILIES = ".families.parquet"
_FAMILIES_AT_A_TIME = 16  # at 1024 px their images take 350 MB
_SHRINKABLE = ("mouth_moved", "no_face_made", "identity_lost")
"""Reasons that a smaller beta may fix; an unclear emotion would only become less clear."""


def make_families(maker: Maker, store: ItemStore, unit: str, job: MakeJob) -> UnitResult:
    """All families of one take, with every image measured and kept or rejected."""
    rows: list[dict[str, Any]] = []
    families: list[dict[str, Any]] = []
    rejects: list[Rejected] = []
    table = read_table(job.codes_file, columns=["frame", "time_s", "quad", "code", "verdict"])
    kept = np.array(table["verdict"].to_pylist()) == "kept"
    chosen = chosen_frames(kept, job.section.frames_per_take)
    for start in range(0, len(chosen), _FAMILIES_AT_A_TIME):
        sources = _sources(maker, job, table.take(chosen[start : start + _FAMILIES_AT_A_TIME]))
        found = rows_of(job, sources, _make(maker, job, sources))
        rows, families, rejects = rows + found[0], families + found[1], rejects + found[2]
    arrays = [pa.array([row[f.name] for row in rows], f.type) for f in FAMILIES_SCHEMA]
    made = pa.Table.from_arrays(arrays, schema=FAMILIES_SCHEMA)
    write_table(store.path(unit, FAMILIES), made, plain_columns=BLOBS)
    plain = [{name: v for name, v in row.items() if name not in BLOBS} for row in rows]
    return UnitResult([FAMILIES], {"images": plain, "families": families}, rejects)


def _sources(maker: Maker, job: MakeJob, table: pa.Table) -> Sources:
    """The source frames of rows of the take's codes."""
    nets = maker.nets
    codes = table["code"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    frames, times_s = table["frame"].to_pylist(), table["time_s"].to_pylist()
    quads = np.array(table["quad"].to_pylist()).reshape(-1, 4, 2)
    crops = crops_of(job.frames_file, np.array(frames))
    rebuilt = nets.generate(codes.reshape(-1, nets.n_latent, nets.dim))
    shown = [
        image_of(job.take.framing, decoded(crop), job.clip, quad, nets.size_px)
        for crop, quad in zip(crops, quads, strict=True)
    ]
    mouths = maker.judge(rebuilt)
    return Sources(
        frames, times_s, codes.astype(np.float64), quads, crops, rebuilt,
        mouths, maker.judge(shown),
        calibrated=maker.correct(rebuilt if _corrections(job.section) else []),
        to_scored=(shown_to := _to_scored(job, quads, nets.size_px)),
        identities=nets.embed(rebuilt),
        clarities=_clarities(nets, rebuilt, shown_to, range(len(frames))),
    )  # fmt: skip


def _to_scored(job: MakeJob, quads: F64, size_px: int) -> list[F64] | None:
    """Matrices from generated images to the framing of `score`, if that lies inside FFHQ's square.

    None for other framings, which show about the same as a generated image.
    """
    if job.score_framing != "ned256":
        return None
    frame_to = framing_of("ned256", size_px, job.clip, job.frames_file)(0)
    return [compose(frame_to, quad_to_frame(quad, size_px)) for quad in quads]


def _clarities(
    nets: Networks, images: Sequence[U8], to_scored: list[F64] | None, families: Iterable[int]
) -> F32 | None:
    """Probabilities (n, 7) of generated images; None without a network."""
    if nets.clarity is None:
        return None
    if to_scored is None:
        return nets.clarity(images)
    pairs = zip(images, families, strict=True)
    return nets.clarity([sample(p, to_scored[k], p.shape[0]) for p, k in pairs])


def _corrections(section: Synth) -> int:
    return section.corrections if section.keep_mouth else 0


def _make(maker: Maker, job: MakeJob, sources: Sources) -> list[Made]:
    """Each image at the largest beta that passes, with at most `tries` betas."""
    section, vectors = job.section, {e: as_vectors(d) for e, d in job.directions.items()}
    none = np.zeros(sources.codes.shape[1])
    made = [
        Made(k, emotion, gaps_of(section, direction), none)
        for k in range(len(sources.frames))
        for emotion, direction in job.directions.items()
    ]
    todo = [m for m in made if np.isfinite(sources.mouths[m.family]).all()]
    for missing in (m for m in made if m not in todo):
        missing.verdict = "no_face_made"
    for k in range(section.tries):
        if not todo:
            break
        for one in todo:
            one.tries += 1
            one.gaps *= section.shrink if k else 1.0
        _correct(maker, job, sources, vectors, todo)
        _judge(maker, job, sources, vectors, todo)
        todo = [m for m in todo if m.verdict in _SHRINKABLE]
    return made


def _codes(job: MakeJob, sources: Sources, vectors: Mapping[str, Any], some: Sequence[Made]) -> F64:
    name = "vector" if job.section.keep_mouth else "plain"
    rows = [
        sources.codes[m.family]
        + m.gaps * length_of_gap(job.section, job.directions[m.emotion]) * vectors[m.emotion][name]
        + m.own
        for m in some
    ]
    return np.array(rows).reshape(len(some), job.take.n_latent, job.take.dim)


def _correct(
    maker: Maker, job: MakeJob, sources: Sources, vectors: Mapping[str, Any],
    some: Sequence[Made],
) -> None:  # fmt: skip
    """Closed loop per image: move its code until its mouth matches the source's.

    Uses the calibrating measurer, so that the judge stays independent.
    """
    for _ in range(_corrections(job.section)):
        images = maker.nets.generate(_codes(job, sources, vectors, some))
        for one, lips in zip(some, maker.correct(images), strict=True):
            shift = vectors[one.emotion]["readout"] @ (lips - sources.calibrated[one.family])
            if np.isfinite(shift).all():
                one.own = one.own - job.section.gain * shift @ vectors[one.emotion]["moves"]


def _judge(
    maker: Maker, job: MakeJob, sources: Sources, vectors: Mapping[str, Any],
    some: Sequence[Made],
) -> None:  # fmt: skip
    nets = maker.nets
    images = nets.generate(_codes(job, sources, vectors, some))
    faces = nets.embed(images)
    clear = _clarities(nets, images, sources.to_scored, [one.family for one in some])
    mouths = maker.judge(images)
    for k, one in enumerate(some):
        one.image, one.mouth = images[k], mouths[k]
        if faces is not None and sources.identities is not None:
            one.identity = float(faces[k] @ sources.identities[one.family])
        if clear is not None and sources.clarities is not None:
            place = EMOTIONS.index(one.emotion)
            one.clarity = float(clear[k, place])
            one.rise = one.clarity - float(sources.clarities[one.family, place])
        one.verdict = _verdict(one, sources.mouths[one.family], job.section)


def _verdict(one: Made, before: F64, section: Synth) -> str:
    """ "kept" or the first reject reason; a limit of 0 means no limit."""
    moved = np.abs(one.mouth - before)
    limits = np.array([section.max_open, section.max_width, section.max_corner])
    if not np.isfinite(moved).all():
        return "no_face_made"
    if ((limits > 0) & (moved > limits)).any():
        return "mouth_moved"
    if one.identity is not None and one.identity < section.min_identity:
        return "identity_lost"
    if one.rise is not None and one.rise < section.min_clarity_rise:
        return "unclear_emotion"
    return "kept"


def maker(weights: Mapping[str, Weights], section: Invert, clip: ClipJudge | None) -> Maker:
    """The worker's setup: load the networks; without `clip`, clarity is not measured."""
    clarity = None if clip is None else load_scorer(clip).probabilities
    nets = replace(load_networks(weights, section), clarity=clarity)
    return Maker(nets, Judge(), Calibrator())
