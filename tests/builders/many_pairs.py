"""The content of a page with as many pairs as wanted, drawn by the real code from made numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.records import Clip, Pair, PosedPair
from pipeline.runtime.store import ItemStore
from pipeline.stages.report.choice import choose
from pipeline.stages.report.coverage import coverage
from pipeline.stages.report.figure import TakeCurves, figure
from pipeline.stages.report.images import data_uri, grey_uri, strip
from pipeline.stages.report.inputs import Inputs
from pipeline.stages.report.metrics import dataset_metrics, distributions
from pipeline.stages.report.opus import opus_bytes
from pipeline.stages.report.page import Content
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.report_rows import clip, pair, posed, sentence

_NOTHING = {"residual_before": np.empty(0), "residual_after": np.empty(0)}
_STAGES = ("extract", "align", "pose", "score", "filter", "shards")
_RATE_HZ = 16000
_SIZE_PX = 160


def many_pairs(n: int, cards: int) -> Content:
    """A page of `n` pairs of twelve speakers, `cards` of them with images and audio."""
    rng = np.random.default_rng(0)
    clips: dict[str, Clip] = {}
    pairs: list[Pair] = []
    poses: dict[str, PosedPair] = {}
    for k in range(n):
        speaker, number = f"S{k % 12:02d}", f"{k // 72:03d}"
        emotion = SEVEN_EMOTIONS[1 + k // 12 % 6]
        a = clip(speaker, "neutral", number, level=1)
        b = clip(speaker, emotion, number, level=3)
        clips |= {a.take_id: a, b.take_id: b}
        made = pair(
            a, b, 20, pair_id=f"{a.take_id}--{b.take_id}", sentence=f"c{number}",
            knots_a_s=(0.0, 1.0), knots_b_s=(0.0, 2.0), coverage=float(rng.uniform(0.5, 1)),
            sentence_score=float(rng.uniform(0.2, 1)), mouth_agreement=float(rng.uniform(-0.2, 1)),
            confidence=tuple(rng.uniform(0.3, 1, 20).tolist()),
            error_ms=tuple(rng.uniform(5, 90, 20).tolist()),
        )  # fmt: skip
        pairs.append(made)
        poses[made.pair_id] = posed(made, 0.2, float(rng.uniform(0.02, 0.2)))
    store = ItemStore(Path("nowhere"))
    sentences = [
        sentence(take, sentence=f"c{take.take}", level=take.level) for take in clips.values()
    ]
    summary = {"grain": "clip pair", "planned": n, "kept": n, "reasons": {}, "notes": []}
    inputs = Inputs(
        "many", clips, tuple(sentences), tuple(pairs), poses, (), dict.fromkeys(_STAGES, summary),
        store, store,
    )  # fmt: skip
    choice = choose(pairs, poses, cards, 0)
    drawn = {p.pair_id: card(p, rng) for p in choice.all}
    return Content(
        inputs, dataset_metrics(inputs, _NOTHING), distributions(inputs, _NOTHING),
        coverage(inputs), choice, drawn, {}, None, 5,
    )  # fmt: skip


def card(made: Pair, rng: np.random.Generator) -> dict[str, Any]:
    """A card of smooth noise: about as heavy as a card of faces."""
    curves = [
        TakeCurves((np.arange(m) + 0.5) / 25, np.abs(np.sin(np.arange(m) / 4)) / 3, 0.0, m / 25)
        for m in (25, 50)
    ]
    shown = [1 + 2 * k for k in range(8)]
    columns = [
        {"frame_a": k, "frame_b": 2 * k, "time_a_s": k / 25, "time_b_s": 2 * k / 25,
         "confidence": 0.9, "error_ms": 20, "residual": 0.04, "true_ms": None}
        for k in shown
    ]  # fmt: skip
    faces = {name: strip([_face(rng) for _ in shown]) for name in "ab"}
    tones = [
        np.sin(2 * np.pi * 220 * np.arange(s * _RATE_HZ) / _RATE_HZ).astype(np.float32) / 4
        for s in (1, 2)
    ]
    mel = grey_uri(rng.integers(0, 256, (56, 100)).astype(np.uint8))
    return {
        "figure": figure(made, curves[0], curves[1], shown, []),
        "mels": {"a": mel, "b": mel},
        "recordings": {
            name: data_uri("audio/ogg", opus_bytes(tone, _RATE_HZ))
            for name, tone in zip("ab", tones, strict=True)
        },
        "audio_starts_s": {"a": 0.0, "b": 0.0},
        "strip": {**faces, "size_px": _SIZE_PX, "posed": True, "columns": columns},
        "overlay": None,
    }


def _face(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    size = _SIZE_PX, _SIZE_PX
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.uint8)
