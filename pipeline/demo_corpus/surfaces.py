"""The rest of the texture atlas (skull, hair, skin, cloth) and the background scene."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo_corpus.body import (
    ATLAS_HEIGHT,
    ATLAS_WIDTH,
    CLOTH_ROWS,
    EAR_ROWS,
    FACE_ROWS,
    HAIR_ROWS,
    NECK_ROWS,
    SKULL_ROWS,
    Body,
)
from pipeline.demo_corpus.canvas import F32, bgr, smooth_noise
from pipeline.demo_corpus.paint import FacePainter
from pipeline.demo_corpus.rasteriser import U8
from pipeline.demo_corpus.speakers import Person

_CURLY = 0.02  # units; higher bumps are curls, with irregular strands


def _strand_pattern(rng: np.random.Generator, shape: tuple[int, int], person: Person) -> F32:
    """Hair texture: light and dark strands running down the rows (rows, columns, 3)."""
    rows, columns = shape
    fine = smooth_noise(rng, (1, columns), 2) * 0.10 + smooth_noise(rng, (1, columns), 9) * 0.09
    drift = smooth_noise(rng, (rows, columns), 24) * 0.05
    curl = person.hair.curl
    if curl > _CURLY:
        fine = smooth_noise(rng, (rows, columns), 6) * min(0.16, 5 * curl) + drift
    light = np.clip(1 + fine + drift, 0.5, 1.6)[:, :, None]
    colour = bgr(person.paint.hair) * light
    if person.paint.grey:
        silver = np.clip(smooth_noise(rng, (1, columns), 3) - 0.4, 0, 1)[:, :, None]
        colour = colour + person.paint.grey * silver * (np.float32(205) - colour)
    return np.asarray(np.broadcast_to(colour, (rows, columns, 3)), np.float32)


def _skull_band(rng: np.random.Generator, body: Body, person: Person) -> F32:
    """Skin in front, hair behind, with a ragged line between: (256, 512, 3)."""
    rows, columns = SKULL_ROWS[1] - SKULL_ROWS[0], ATLAS_WIDTH
    up = np.interp(np.linspace(0, len(body.upness) - 1, columns), np.arange(len(body.upness)),
                   body.upness)  # fmt: skip
    start = person.hair.start_at(up)[None, :]
    depth = np.linspace(0, 1, rows)[:, None]
    ragged = 0.035 * smooth_noise(rng, (1, columns), 3) + 0.03 * smooth_noise(rng, (1, columns), 12)
    if person.hair.curl > _CURLY:
        ragged = 0.04 * smooth_noise(rng, (rows, columns), 9)
    cover = np.clip((depth - start - ragged) / 0.09 + 0.5, 0, 1)
    # No ragged edge where hair begins at the face itself: skin would show behind the fringe.
    cover = np.where(start <= 0.04, 1.0, cover)
    hair = _strand_pattern(rng, (rows, columns), person)
    mask = cover[:, :, None].astype(np.float32)
    skin = bgr(person.paint.skin) * (1 + 0.012 * smooth_noise(rng, (rows, columns), 10))[:, :, None]
    if person.paint.beard:
        # The beard goes on below the ear, on the first rings behind the jaw.
        below = np.clip((-up - 0.05) / 0.3, 0, 1) * np.clip((up + 0.98) / 0.05, 0.55, 1)
        shade = below[None, :] * np.clip((0.10 - depth) / 0.08, 0, 1) * person.paint.beard * 0.7
        weight = shade[:, :, None].astype(np.float32)
        skin = skin * (1 - weight) + bgr(person.paint.hair) * weight
    return np.asarray(skin * (1 - mask) + hair * mask, np.float32)


def _ear_band(rng: np.random.Generator, person: Person) -> F32:
    """Ears: redder towards the rim (16, 512, 3)."""
    rows = EAR_ROWS[1] - EAR_ROWS[0]
    rim = np.linspace(0, 1, rows)[:, None, None]
    red = bgr(person.paint.skin) * np.array([0.80, 0.82, 0.98], np.float32)
    noise = 1 + 0.02 * smooth_noise(rng, (rows, ATLAS_WIDTH), 8)[:, :, None]
    return np.asarray((bgr(person.paint.skin) * (1 - 0.5 * rim) + red * 0.5 * rim) * noise)


def _neck_band(rng: np.random.Generator, person: Person) -> F32:
    """Neck (48, 512, 3): dark under the chin, without which detectors miss the jaw."""
    rows = NECK_ROWS[1] - NECK_ROWS[0]
    shade = np.interp(np.arange(rows), [0, 14, 28, rows], [0.42, 0.56, 0.80, 0.92])
    noise = 1 + 0.012 * smooth_noise(rng, (rows, ATLAS_WIDTH), 10)
    return np.asarray(bgr(person.paint.skin) * (shade[:, None] * noise)[:, :, None], np.float32)


def _cloth_band(rng: np.random.Generator, person: Person) -> F32:
    rows, columns = CLOTH_ROWS[1] - CLOTH_ROWS[0], ATLAS_WIDTH
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    tone = 1 + 0.04 * smooth_noise(rng, (rows, columns), 16)
    pattern = person.paint.pattern
    if pattern == "knit":
        tone = tone + 0.07 * np.sin(x * (2 * np.pi / 8)) * (1 + 0.3 * np.sin(y))
    elif pattern == "stripes":
        tone = tone + 0.20 * (np.sin(y * (2 * np.pi / 22)) > 0.35)
    elif pattern == "check":
        tone = (
            tone
            - 0.16 * (np.sin(x * (2 * np.pi / 30)) > 0.8)
            - 0.16 * (np.sin(y * (2 * np.pi / 24)) > 0.8)
        )
    cloth = bgr(person.paint.cloth) * tone[:, :, None]
    cloth[:6] *= 0.72  # the collar's edge
    return np.asarray(cloth, np.float32)


def paint_atlas(body: Body, person: Person) -> U8:
    """Paint the texture atlas of a person: (1088, 512, 3) uint8 BGR, deterministic."""
    rng = np.random.default_rng([person.seed, 11])
    atlas = np.empty((ATLAS_HEIGHT, ATLAS_WIDTH, 3), np.float32)
    face = FacePainter(person.paint, body.uv[:468], rng).face()
    # Half a texel of blur: frames are rendered at about half the atlas's resolution.
    atlas[slice(*FACE_ROWS)] = cv2.GaussianBlur(face, (0, 0), 0.8)
    atlas[slice(*SKULL_ROWS)] = _skull_band(rng, body, person)
    hair_shape = (HAIR_ROWS[1] - HAIR_ROWS[0], ATLAS_WIDTH)
    atlas[slice(*HAIR_ROWS)] = _strand_pattern(rng, hair_shape, person)
    atlas[slice(*EAR_ROWS)] = _ear_band(rng, person)
    atlas[slice(*NECK_ROWS)] = _neck_band(rng, person)
    atlas[slice(*CLOTH_ROWS)] = _cloth_band(rng, person)
    return np.asarray(np.clip(np.round(atlas), 0, 255).astype(np.uint8))


def paint_scene(person: Person, size_px: int) -> F32:
    """Paint the blurred background: (size, size, 3) float32 BGR."""
    rng = np.random.default_rng([person.seed, 12])
    base = bgr(person.paint.background)
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    fall = 1.08 - 0.22 * np.hypot(x - 0.5 - 0.3 * np.sign(person.light_x), y - 0.3)
    scene = base * fall[:, :, None]

    def box(left: float, top: float, right: float, bottom: float, colour: F32) -> None:
        cut = np.round(np.array([left, top, right, bottom]) * size_px).astype(int)
        scene[cut[1] : cut[3], cut[0] : cut[2]] = colour

    if person.paint.scene == "window":
        box(0.04, 0.05, 0.30, 0.62, base * 1.28 + 20)
        box(0.16, 0.05, 0.175, 0.62, base * 0.8)
        box(0.04, 0.32, 0.30, 0.335, base * 0.8)
    elif person.paint.scene == "shelf":
        for level in (0.16, 0.46, 0.76):
            left = 0.02
            while left < 0.97:
                wide, tall = rng.uniform(0.025, 0.05), rng.uniform(0.12, 0.2)
                tint = rng.uniform(0.55, 1.1, 3).astype(np.float32)
                box(left, level + 0.2 - tall, left + wide, level + 0.2, base * tint)
                left += wide + rng.uniform(0.004, 0.02)
            box(0, level + 0.2, 1, level + 0.22, base * 0.5)
    elif person.paint.scene == "curtain":
        scene *= (1 + 0.10 * np.sin(x * 34 + 2 * np.sin(x * 5)))[:, :, None]
    scene = cv2.GaussianBlur(scene, (0, 0), size_px * 0.014)
    return np.asarray(np.clip(scene, 0, 255), np.float32)
