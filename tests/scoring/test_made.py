from pathlib import Path

import numpy as np
import pytest

from pipeline.clip.network import read_architecture
from pipeline.faces.affine import apply, compose, invert
from pipeline.faces.framing import face_boxes, ffhq, ned256
from pipeline.models import Weights
from pipeline.scoring.made import Clarity, inner
from pipeline.scoring.setup import Judge, load_scorer
from tests.clip.tiny import PROMPTS, made_network
from tests.made import EYES_PX, face, similarity, texture


def judge(folder: Path, framing: str) -> Judge:
    _, config, weights = made_network(folder)
    prompts = tuple(tuple(own) for own in PROMPTS)
    named = Weights("tiny", weights, "")
    return Judge(read_architecture(str(config)), named, prompts, framing, "cpu", "fp32", 4)


def test_the_inner_square_is_where_ned256s_is() -> None:
    """Of the demo's mean head, seen from the front: a mark at its middle comes to the middle."""
    points = face()
    points[:, :2] = apply(similarity(EYES_PX, 0.0, 160, 150), points[:, :2])
    to_aligned = compose(ffhq(points, 128), invert(ned256(face_boxes(points[None]), 100)))
    corners = apply(to_aligned, np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 50.0]]))
    picture = np.zeros((128, 128, 3), np.uint8)
    x, y = np.round(corners[2]).astype(int)
    picture[y - 3 : y + 3, x - 3 : x + 3] = 255
    seen = np.argwhere(inner(picture, 100)[..., 0] > 128)
    np.testing.assert_allclose(seen.mean(axis=0), 50, atol=6)
    across = np.hypot(*(corners[1] - corners[0]))
    assert np.ptp(seen[:, 1]) + 1 == pytest.approx(6 * 100 / across, abs=1.5)


def test_pictures_are_shown_as_the_stage_shows_them(tmp_path: Path) -> None:
    pictures = [texture(k)[:128, :128] for k in range(3)]
    own = judge(tmp_path, "ned256")
    parts = load_scorer(own).probabilities([inner(p, 32) for p in pictures])
    np.testing.assert_allclose(Clarity(own, "ffhq")(pictures), parts, atol=1e-6)


@pytest.mark.parametrize(("framing", "shown"), [("ned256", "ned256"), ("ffhq", "ffhq")])
def test_pictures_of_its_own_framing_are_shown_whole(
    tmp_path: Path, framing: str, shown: str
) -> None:
    pictures = [texture(k)[:128, :128] for k in range(3)]
    own = judge(tmp_path, framing)
    whole = load_scorer(own).probabilities(pictures)
    np.testing.assert_allclose(Clarity(own, shown)(pictures), whole, atol=1e-6)
