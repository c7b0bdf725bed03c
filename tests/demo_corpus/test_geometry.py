"""The head at rest and moved."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo_corpus import geometry
from pipeline.demo_corpus.action_units import UNITS, Muscles, unit_fields
from pipeline.demo_corpus.speakers import CAST
from pipeline.demo_corpus.truth import face_measures


def test_asset_is_a_symmetric_closed_face() -> None:
    asset = geometry.load_asset()
    assert asset.base.shape == (468, 3)
    assert asset.triangles.shape == (852, 3)
    np.testing.assert_array_equal(asset.mirror[asset.mirror], np.arange(468))
    np.testing.assert_allclose(asset.base[asset.mirror] * [-1, 1, 1], asset.base, atol=1e-12)
    mouth_open, mouth_width, eye_open = face_measures(asset.base)
    assert mouth_open < 0.005
    assert 0.55 < mouth_width < 0.65
    assert 0.08 < eye_open < 0.12


def test_triangles_share_one_winding() -> None:
    triangles = geometry.load_asset().triangles
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)


def test_units_are_symmetric() -> None:
    asset = geometry.load_asset()
    fields = unit_fields(asset.base)
    assert fields.shape == (len(UNITS), 468, 3)
    np.testing.assert_allclose(fields[:, asset.mirror] * [-1, 1, 1], fields, atol=1e-12)


@pytest.mark.parametrize("speaker", CAST)
def test_jaw_opens_the_mouth_and_tight_lips_never_cross(speaker: str) -> None:
    muscles = Muscles(geometry.face_points(CAST[speaker].shape))
    still = np.zeros((2, len(UNITS)))
    openings = [face_measures(muscles.deform(still, jaw))[0] for jaw in (0, 0.25, 0.5, 1)]
    assert openings[0] < 0.01
    assert np.all(np.diff(openings) > 0.02)
    pressed = still.copy()
    pressed[:, [UNITS.index("23"), UNITS.index("15"), UNITS.index("17")]] = 1.2
    face = muscles.deform(pressed, 0)
    upper, lower = geometry.UPPER_INNER[1:-1], geometry.LOWER_INNER[1:-1]
    assert (face[upper, 1] >= face[lower, 1]).all()
