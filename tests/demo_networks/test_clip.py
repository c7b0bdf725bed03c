"""The demo's CLIP: what it is told, what it is shown, and that a training is what it says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from benchmarks.demo_networks import clip
from benchmarks.demo_networks.augmented_views import ROOM, Changes, changed, plain, view_of, views
from benchmarks.demo_networks.captions import TEMPLATES, captions, merges, merges_file, vocabulary
from benchmarks.demo_networks.drawn_faces import FaceSet, FacesParams, draw_faces
from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import build_network
from pipeline.faces.framing import face_boxes, ned256
from pipeline.faces.sampling import sample
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

PARAMS = FacesParams(seed=3, people=3, held_out=1, images=8, frame_px=160)
RECIPE = clip.Recipe(seed=5, steps=12, batch=8, width=8, rate=5e-3)
PROMPTS = [[f"a {name} face"] for name in SEVEN_EMOTIONS]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceSet, np.ndarray]:
    faces = draw_faces(PARAMS, tmp_path_factory.mktemp("faces"), workers=1)
    return faces, views(faces, clip.VIEW_PX)


def test_captions_speak_of_their_emotion() -> None:
    told = captions(np.random.default_rng(2), 40)
    assert len(told) == 7 * 40
    assert not [text for text in told if "{" in text]
    happy = told[40:80]
    assert all(
        any(word in text for word in ("happ", "joy", "cheer", "smil", "glad", "delight", "grin",
                                      "cheeks", "lip corners"))
        for text in happy
    )  # fmt: skip
    assert captions(np.random.default_rng(2), 40) == told
    assert len(set(told)) > 7 * 20
    assert len(TEMPLATES) == 16


def test_every_word_of_the_captions_is_one_token(tmp_path: Path) -> None:
    config = clip.write_architecture(tmp_path, RECIPE)
    network = build_network(read_architecture(str(config)), None)
    tokens = network.tokenizer(vocabulary())
    assert (tokens != 0).sum(dim=1).tolist() == [3] * len(vocabulary())  # start, word, end
    assert tokens.max() < network.model.vocab_size
    spelled = network.tokenizer(["zyzzyva"])[0]
    assert (spelled != 0).sum() > 6
    assert network.tokenizer.decode(spelled[1:-1].tolist()).startswith("zyzzyva ")


def test_merges_are_the_commonest_pairs_first() -> None:
    assert merges(["aab", "aac", "ab"], 2) == [("a", "a"), ("a", "b</w>")]
    assert merges(["ab"], 9) == [("a", "b</w>")]
    assert merges_file([("a", "b")]) == merges_file([("a", "b")])


def test_labels_follow_intensity() -> None:
    recipe = replace(RECIPE, faint=0.2, plain_from=0.5)
    names = ["happy", "happy", "happy", "neutral"]
    shares = clip.labels(names, np.array([0.1, 0.35, 0.8, 0.0]), recipe)
    np.testing.assert_allclose(shares[:, 0], [1, 0.5, 0, 1])
    np.testing.assert_allclose(shares[:, 1], [0, 0.5, 1, 0])
    np.testing.assert_allclose(shares.sum(axis=1), 1)


@pytest.mark.slow
def test_a_plain_view_is_the_stages_framing(drawn: tuple[FaceSet, np.ndarray]) -> None:
    faces, images = drawn
    expected = sample(next(faces.images()), ned256(face_boxes(faces.landmarks[:1]), 96), 96)
    found = plain(images[:1], 96)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(found - expected).mean() < 4
    assert np.abs(found - expected).mean() < np.abs(np.roll(found, 3, axis=1) - expected).mean() / 2


def test_views_have_room_around_the_framing(drawn: tuple[FaceSet, np.ndarray]) -> None:
    faces, images = drawn
    assert images.shape == (24, clip.VIEW_PX, clip.VIEW_PX, 3)
    own = view_of(faces.landmarks[0], 100)
    framing = ned256(face_boxes(faces.landmarks[:1]), 100)
    np.testing.assert_allclose(own[:, :2] * ROOM, framing[:, :2])


def test_changes_are_drawn_by_their_numbers(drawn: tuple[FaceSet, np.ndarray]) -> None:
    _, images = drawn
    some = images[:6]
    one, again, other = (
        changed(some, 96, Changes(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    torch.testing.assert_close(one, again, atol=0, rtol=0)
    assert (one - other).abs().mean() > 0.02
    assert one.min() >= 0
    assert one.max() <= 1
    still = Changes(0, 0, 0, 0, 0, 0, 0, 0, 0)
    kept = changed(some, 96, still, np.random.default_rng(1))
    mirrored = torch.stack(
        [min((p, p.flip(-1)), key=lambda q: (q - k).abs().mean())
         for p, k in zip(plain(some, 96), kept, strict=True)]
    )  # fmt: skip
    torch.testing.assert_close(kept, mirrored, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_training_learns_and_comes_out_the_same(
    drawn: tuple[FaceSet, np.ndarray], tmp_path: Path
) -> None:
    faces, images = drawn
    losses: list[float] = []
    made = clip.train(
        faces, images, tmp_path / "one", RECIPE, PROMPTS,
        done=lambda step, steps, loss: losses.append(loss),
    )  # fmt: skip
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.3
    again = clip.train(faces, images, tmp_path / "two", RECIPE, PROMPTS)
    assert made.weights.read_bytes() == again.weights.read_bytes()
    network = build_network(read_architecture(str(made.config)), made.weights)
    assert network.scale.item() == pytest.approx(RECIPE.scale, rel=1e-5)
    p = clip.judge(network, images[faces.held_out], PROMPTS)
    right, neutral = clip.accuracy(
        p, faces.emotion[faces.held_out], faces.intensity[faces.held_out]
    )
    assert (right, neutral) == (made.accuracy, made.neutral_recall)
    with safe_open(made.weights, "np") as file:
        assert file.metadata()["people"] == "2"


def test_accuracy_leaves_faint_faces_out() -> None:
    p = np.eye(7)[[0, 1, 0, 2]]
    emotions = np.array(["neutral", "happy", "happy", "happy"])
    assert clip.accuracy(p, emotions, np.array([0.0, 0.9, 0.3, 0.6])) == (2 / 3, 1.0)


def test_shipped_network_is_what_the_recipe_makes(repository: Path) -> None:
    folder = repository / "pipeline" / "weights"
    with safe_open(folder / "demo-clip.safetensors", "np") as file:
        notes = file.metadata()
    assert json.loads(notes["recipe"]) == json.loads(json.dumps(asdict(clip.SHIPPED)))
    assert int(notes["people"]) >= 200
    assert (folder / "demo-clip.safetensors").stat().st_size <= 10_000_000
