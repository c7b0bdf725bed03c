"""Render one frame of a person, with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo_corpus.action_units import UNIT_INDEX, Muscles
from pipeline.demo_corpus.body import build_body, follow_face
from pipeline.demo_corpus.eyes_and_mouth import paint_holes
from pipeline.demo_corpus.geometry import F64, face_points, load_asset
from pipeline.demo_corpus.head_parts import N_NECK_ROWS, N_RINGS, NECK_PIVOT
from pipeline.demo_corpus.head_pose import Pose, rotation
from pipeline.demo_corpus.paint import crease_layers
from pipeline.demo_corpus.rasteriser import (
    EMPTY_Z,
    F32,
    U8,
    draw_triangles,
    point_normals,
    smooth_edges,
    to_bytes,
)
from pipeline.demo_corpus.speakers import Person
from pipeline.demo_corpus.surfaces import paint_atlas, paint_scene
from pipeline.demo_corpus.truth import N_POINTS


@dataclass(frozen=True)
class Expression:
    """The expression of a face in one frame.

    Attributes
    ----------
    units
        (2, 17) strengths for the image-left and image-right half, see `action_units.UNITS`.
    jaw
        0..1.
    gaze
        Right and up, about -1..1.
    press
        How far the lips are pressed together, 0..1.
    """

    units: F64
    jaw: float
    gaze: tuple[float, float]
    press: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """A frame and its truth.

    Attributes
    ----------
    image
        (size, size, 3) uint8 BGR.
    landmarks_px
        (468, 2) pixel-edge coordinates: x is rendered at sample index x - .5.
    face
        (468, 3) the moved face in head coordinates.
    """

    image: U8
    landmarks_px: F64
    face: F64


class Head:
    """The renderer of one person; its construction paints the textures (about 0.2 s).

    Parameters
    ----------
    person
        The person.
    size_px
        Side of the square frame.
    """

    def __init__(self, person: Person, size_px: int) -> None:
        self.person, self.size_px = person, size_px
        rest = face_points(person.shape)
        self.muscles = Muscles(rest)
        self.body = build_body(
            rest,
            person.hair,
            width=person.shape.width,
            neck_width=person.neck_width,
            shoulder_width=person.shoulder_width,
            seed=person.seed,
        )
        self.scene = paint_scene(person, size_px)
        self.atlas = paint_atlas(self.body, person)
        self._creases = crease_layers(self.body.uv[:N_POINTS])
        light = np.array([person.light_x, 0.50, 0.85])
        self._light = light / np.linalg.norm(light)
        self._shine = self._shininess()
        rng = np.random.default_rng([person.seed, 13])
        self._grain = rng.normal(0, person.grain_sd, (size_px, size_px)).astype(np.float32)

    def _shininess(self) -> F64:
        """Highlight strength at every point (V,): high for skin, low for hair, 0 for cloth."""
        shine = np.zeros(len(self.body.points))
        shine[:N_POINTS] = 1
        depth = (np.arange(N_RINGS + 1) / N_RINGS)[:, None]
        covered = self.person.hair.cover(depth, self.body.upness)
        end = N_POINTS + covered.size
        shine[N_POINTS:end] = 1 - 0.7 * np.ceil(covered).ravel()
        shine[end : self.body.n_head] = 0.3
        return shine

    def background(self, frame: int) -> U8:
        """The scene without a person."""
        return self._finish(self.scene.copy(), frame)

    def draw(self, expression: Expression, pose: Pose, frame: int) -> Drawn:
        """Render one frame; `frame` only shifts the image grain."""
        face = self.muscles.deform(expression.units, expression.jaw, expression.press)
        turned = self._turn(follow_face(self.body, face), pose)
        screen = pose.to_screen(turned)
        image = self.scene.copy()
        dropped = face[17, 1] - self.muscles.points[17, 1] < -0.06
        stretched = expression.units[:, UNIT_INDEX["20"]].mean() > 0.3
        hole = paint_holes(
            image,
            face=face,
            rest=self.muscles.points,
            screen=screen,
            pose=pose,
            gaze=expression.gaze,
            iris=self.person.paint.iris,
            skin=self.person.paint.skin,
            lower_teeth=bool(dropped or stretched),
        )
        depth = np.full(hole.shape, EMPTY_Z)
        light, gloss = self._shade(turned)
        draw_triangles(
            image,
            depth,
            hole,
            screen,
            self.body.triangles,
            self.body.two_sided,
            len(load_asset().triangles),
            self.body.uv,
            light,
            gloss,
            self.atlas,
            self._crease_map(expression.units),
        )
        image = smooth_edges(image, depth, 0.12 * pose.scale_px)
        return Drawn(self._finish(image, frame), screen[:N_POINTS, :2], face)

    def _finish(self, image: F32, frame: int) -> U8:
        return np.asarray(to_bytes(image, self._grain, frame * 37, frame * 101))

    def _turn(self, points: F64, pose: Pose) -> F64:
        """Rotate head, neck and shoulders (V, 3) around the pivot in the neck."""
        head = pose.matrix
        shoulders = rotation(pose.body_yaw_deg, 0, 0)
        turned = points @ head.T
        neck, torso = self.body.neck, self.body.torso
        below = (points[neck.start :] - NECK_PIVOT) @ shoulders.T + head @ NECK_PIVOT
        share = np.linspace(1, 0, N_NECK_ROWS).repeat((neck.stop - neck.start) // N_NECK_ROWS)
        share = share[:, None]
        count = neck.stop - neck.start
        turned[neck] = share * turned[neck] + (1 - share) * below[:count]
        turned[torso] = below[count:]
        return np.asarray(turned)

    def _shade(self, turned: F64) -> tuple[F64, F64]:
        """Light colour (V, 3) and highlight (V,) at every point."""
        normals = point_normals(turned, self.body.triangles, self.body.welds)
        key = np.clip(normals @ self._light, 0, 1)
        half = self._light + np.array([0, 0, 1.0])
        half /= np.linalg.norm(half)
        fill = 0.50 + 0.05 * normals[:, 1] - 0.08 * np.sign(self.person.light_x) * normals[:, 0]
        warm = np.array(self.person.light_colour[::-1])
        light = fill[:, None] * np.array([1.03, 1.0, 0.98]) + 0.66 * key[:, None] * warm
        gloss = 34 * np.clip(normals @ half, 0, 1) ** 24 * self._shine
        return light, gloss

    def _crease_map(self, units: F64) -> F32:
        """Darkening of the face by skin folds in this frame (256, 256)."""
        total = np.zeros((256, 256), np.float32)
        half = total.shape[1] // 2
        for unit, layer in self._creases.items():
            left, right = np.clip(units[:, UNIT_INDEX[unit]], 0, None)
            if left > 0.02:
                total[:, :half] += np.float32(left) * layer[:, :half]
            if right > 0.02:
                total[:, half:] += np.float32(right) * layer[:, half:]
        return np.minimum(total, np.float32(0.7))
