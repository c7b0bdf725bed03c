"""The face texture: skin, lips, lids, brows, beard, and the creases of each action unit."""

from __future__ import annotations

import numpy as np

from pipeline.demo_corpus.canvas import F32, F64, Canvas, bgr, smooth_noise
from pipeline.demo_corpus.geometry import (
    LOWER_INNER,
    LOWER_OUTER,
    UPPER_INNER,
    UPPER_OUTER,
    load_asset,
    mirrored,
)
from pipeline.demo_corpus.speakers import Paint

SIZE = 512
BROW_UPPER, BROW_LOWER = [70, 63, 105, 66, 107], [46, 53, 52, 65, 55]
_FOLD = [129, 203, 206, 216]
_JAW_LINE = [
    93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323,
]  # fmt: skip
_BEARD_UPPER = [213, 212, 216, 206, 203, 167, 164, 393, 423, 426, 436, 432, 433]


class FacePainter:
    """Paints one person's face into the face band of the atlas.

    Parameters
    ----------
    paint
        The person's colours.
    uv
        (468, 2) texel coordinates of the mesh points.
    rng
        Random generator of the strokes.
    """

    def __init__(self, paint: Paint, uv: F64, rng: np.random.Generator) -> None:
        self._paint, self._uv, self._rng = paint, uv, rng
        self._skin, self._hair = bgr(paint.skin), bgr(paint.hair)
        self._canvas = Canvas(SIZE, self._skin)

    def face(self) -> F32:
        """Return the (512, 512, 3) texture of the face at rest."""
        self._tone()
        self._shadows()
        self._lips()
        for points in ([int(i) for i in range(468)], load_asset().mirror.tolist()):
            self._eye(points)
        self._fringe()
        if self._paint.beard:
            self._beard()
        for points in ([int(i) for i in range(468)], load_asset().mirror.tolist()):
            self._brow(points)
        self._freckles()
        return np.clip(self._canvas.pixels, 0, 255)

    def _pair(self, points: list[int]) -> tuple[F64, F64]:
        return self._uv[points], self._uv[mirrored(points)]

    def _blobs(
        self, point: int, sigma: tuple[float, float], colour: F32, strength: float, dy: float = 0
    ) -> None:
        for index in sorted({point, *mirrored([point])}):
            self._canvas.blob(self._uv[index] + [0, dy], sigma, colour, strength)

    def _tone(self) -> None:
        noise = 0.018 * smooth_noise(self._rng, (SIZE, SIZE), 60)
        noise += 0.010 * smooth_noise(self._rng, (SIZE, SIZE), 8)
        self._canvas.pixels *= (1 + noise)[:, :, None]

    def _shadows(self) -> None:
        skin, canvas = self._skin, self._canvas
        red = skin * np.array([0.78, 0.80, 1.02], np.float32)
        self._blobs(50, (34, 26), red, 0.45)
        self._blobs(4, (22, 16), red, 0.35)
        self._blobs(159, (34, 20), skin * np.array([0.78, 0.76, 0.80], np.float32), 0.50, -4)
        self._blobs(145, (30, 10), skin * 0.80, 0.30 + 0.3 * self._paint.age, 10)
        self._blobs(193, (9, 22), skin * 0.74, 0.40)
        self._blobs(198, (8, 26), skin * 0.86, 0.45)
        self._blobs(200, (30, 8), skin * 0.74, 0.45, -6)
        self._blobs(2, (16, 7), skin * 0.64, 0.5)
        for fold in self._pair(_FOLD):
            canvas.line(fold, skin * 0.70, 0.35 + 0.4 * self._paint.age, 3, 3)
        for wing in self._pair([98, 64, 129, 49]):
            canvas.line(wing, skin * 0.55, 0.35, 3, 2.5)
        turn = np.linspace(0, 2 * np.pi, 20)
        for nostril in self._pair([79, 166, 60, 20, 238]):
            rim = np.stack([9 * np.cos(turn), 4.5 * np.sin(turn)], axis=1)
            canvas.polygon(nostril.mean(0) + rim, skin * 0.22, 0.85, 1.8)

    def _lips(self) -> None:
        lips, uv, canvas = bgr(self._paint.lips), self._uv, self._canvas
        canvas.polygon(uv[UPPER_OUTER + LOWER_OUTER[::-1]], lips, 0.85, 1.8)
        canvas.polygon(uv[UPPER_OUTER + UPPER_INNER[::-1]], lips * 0.84, 0.6, 1.4)
        self._blobs(16, (16, 5), lips * 1.15, 0.5, 2)
        canvas.line(uv[UPPER_INNER], lips * 0.40, 0.75, 2, 1.1)
        canvas.line(uv[LOWER_INNER], lips * 0.42, 0.55, 2, 1.1)
        canvas.line(uv[LOWER_OUTER[3:8]], self._skin * 0.55, 0.4, 2, 2.2)

    def _eye(self, points: list[int]) -> None:
        def at(ids: list[int]) -> F64:
            return self._uv[[points[i] for i in ids]]

        upper = at([33, 246, 161, 160, 159, 158, 157, 173, 133])
        self._canvas.line(upper, [18, 14, 14], 0.92, self._paint.lash, 0.9)
        lower = at([33, 7, 163, 144, 145, 153, 154, 155, 133])
        self._canvas.line(lower, self._skin * 0.42, 0.5, 2, 1.0)
        self._canvas.line(at([247, 30, 29, 27, 28, 56]), self._skin * 0.5, 0.55, 2, 1.5)

    def _brow(self, points: list[int]) -> None:
        upper = self._uv[[points[i] for i in BROW_UPPER]]
        lower = self._uv[[points[i] for i in BROW_LOWER]]
        middle = (upper + lower) / 2
        upper = middle + (upper - middle) * self._paint.brow_weight
        lower = middle + (lower - middle) * self._paint.brow_weight
        dark = self._hair * self._paint.brow_dark
        self._canvas.polygon(np.concatenate([upper, lower[::-1]]), dark, 0.66, 2.6)
        for _ in range(110):
            along = self._rng.random() * 3.999
            k, part, across = int(along), along % 1, self._rng.random()
            root_upper = upper[k] * (1 - part) + upper[k + 1] * part
            root_lower = lower[k] * (1 - part) + lower[k + 1] * part
            root = root_upper * (1 - across) + root_lower * across
            lean = upper[k] - upper[k + 1]
            lean = lean / np.linalg.norm(lean) * 8 + [0, -1.2 * along]
            self._canvas.stroke(root, root + lean, dark * self._rng.uniform(0.6, 1.1))

    def _strands(self, mask: F32, count: int, length: float, shade: tuple[float, float]) -> None:
        """Short hairs hanging down, rooted where the mask is high."""
        rows, columns = np.nonzero(mask > 0.15)
        for pick in self._rng.integers(0, len(rows), count):
            root = np.array([columns[pick], rows[pick]], np.float64) + self._rng.random(2)
            if self._rng.random() > mask[rows[pick], columns[pick]]:
                continue
            lean = length * np.array([self._rng.normal(0, 0.35), self._rng.uniform(0.6, 1.2)])
            colour = self._hair * self._rng.uniform(*shade)
            if self._rng.random() < self._paint.grey:
                colour = colour * 0.4 + 110
            under = self._canvas.pixels[rows[pick], columns[pick]]
            self._canvas.stroke(root, root + lean, colour * 0.55 + under * 0.45)

    def _beard(self) -> None:
        uv, canvas = self._uv, self._canvas
        jaw = uv[_JAW_LINE] + (uv[_JAW_LINE] - uv[1]) * 0.3
        outline = np.concatenate([jaw, uv[_BEARD_UPPER][::-1]])
        mask = canvas.polygon_mask(outline, 8)
        lips = canvas.polygon_mask(uv[UPPER_OUTER + LOWER_OUTER[::-1]], 2.2)
        chin = canvas.polygon_mask(uv[[91, 84, 17, 314, 321, 335, 406, 18, 182, 106]], 5)
        mask = mask * np.clip(1 - 1.25 * lips, 0, 1) * (1 - 0.35 * chin)
        # Cool shade first, then hairs. Noise in the mask would look like spots.
        shade = self._hair * 0.9 + self._skin * 0.1
        canvas.blend(mask * np.float32(0.72 * self._paint.beard), shade)
        self._strands(mask, int(9000 * self._paint.beard), 5.0, (0.55, 1.25))

    def _fringe(self) -> None:
        """Soften the hairline at the top of the forehead and in front of the ears."""
        canvas, uv = self._canvas, self._uv
        rows = np.arange(SIZE, dtype=np.float32)[:, None]
        columns = np.arange(SIZE, dtype=np.float32)[None, :]
        if self._paint.fringe:
            ragged = 5 * smooth_noise(self._rng, (1, SIZE), 14)
            sway = np.interp(columns, uv[[103, 67, 10, 297, 332], 0], [0.9, 0.25, 0.1, 0.3, 0.9])
            edge = uv[10, 1] + 34 * self._paint.fringe * (0.4 + sway) + ragged
            over = np.interp(columns[0], uv[[54, 10, 284], 0], uv[[54, 10, 284], 1])
            edge = np.maximum(edge, over - 6)
            mask = np.clip((edge - rows) / 7, 0, 1).astype(np.float32)
            canvas.blend(mask * np.float32(0.9), self._hair * 0.85)
            self._strands(mask, 2200, 11.0, (0.7, 1.2))
        if self._paint.sideburns:
            for side, edge_point in ((1, 234), (-1, 454)):
                reach = uv[edge_point, 0] + side * 10
                mask = np.clip((reach - columns) * side / 9 + 0.5, 0, 1)
                low = uv[edge_point, 1] + 45 * (self._paint.sideburns - 0.5)
                mask = mask * np.clip((low - rows) / 40, 0, 1)
                mask = mask.astype(np.float32)
                canvas.blend(mask * np.float32(0.8), self._hair * 0.9)
                self._strands(mask, 900, 7.0, (0.6, 1.2))

    def _freckles(self) -> None:
        for _ in range(self._paint.freckles):
            cheek = self._uv[50 if self._rng.random() < 0.5 else 280]
            at = cheek + self._rng.standard_normal(2) * [34, 18]
            radius = self._rng.uniform(0.9, 1.6)
            self._canvas.blob(at, (radius, radius), self._skin * 0.72, 0.6)


def crease_layers(uv: F64) -> dict[str, F32]:
    """The skin folds of each unit: (256, 256) darkening at full strength.

    They contribute much to an expression: forehead 1 and 2, frown 4, nose 9, furrows 10 and 12.
    """
    canvas = Canvas(SIZE, np.zeros(3, np.float32))
    x = np.linspace(-95, 95, 21)
    forehead = [
        np.stack([uv[151, 0] + x, uv[151, 1] + dy + 0.0008 * x**2], axis=1) for dy in (-22, -6, 10)
    ]
    chin_x = np.linspace(-18, 18, 9)
    chin = np.stack([uv[200, 0] + chin_x, uv[200, 1] - 4 + 0.015 * chin_x**2], axis=1)

    def both(points: list[F64]) -> list[F64]:
        axis = uv[1, 0]
        return points + [np.stack([2 * axis - p[:, 0], p[:, 1]], axis=1) for p in points]

    def path(*steps: tuple[int, float, float]) -> F64:
        return np.array([uv[i] + [dx, dy] for i, dx, dy in steps])

    frown = [path((9, -9, -14), (8, -7, 8))]
    furrow = [uv[[129, 203, 206, 216, 212]] - [2, 0]]
    nose = [
        path((193, 4, 6), (168, -3, 16)),
        path((188, 0, 0), (6, -4, 8)),
        path((174, 0, 0), (197, -8, 4)),
    ]
    crow = [path((33, -4, 2), (33, -24, -4)), path((33, -4, 6), (33, -22, 12))]
    spec: dict[str, tuple[list[F64], int, float, float]] = {
        "1": ([line[6:15] for line in forehead], 3, 2.2, 0.36),
        "2": (forehead, 3, 2.2, 0.32),
        "4": (both(frown), 4, 2.0, 0.55),
        "6": (both(crow), 2, 1.6, 0.36),
        "9": (both(nose), 3, 1.9, 0.46),
        "10": (both([furrow[0][:4]]), 5, 2.8, 0.52),
        "12": (both(furrow), 4, 2.8, 0.46),
        "15": (both([path((61, -3, 3), (61, -14, 26))]), 3, 2.2, 0.46),
        "17": ([chin], 3, 2.6, 0.46),
    }
    return {
        unit: np.asarray(canvas.line_mask(lines, thickness, blur)[::2, ::2] * np.float32(strength))
        for unit, (lines, thickness, blur, strength) in spec.items()
    }
