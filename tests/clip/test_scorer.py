import io
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.clip.library import open_clip
from pipeline.clip.network import ImageSettings
from pipeline.clip.preprocess import Normalise, resized
from pipeline.clip.scorer import Scorer, probabilities, text_anchors
from tests.builders.tiny_clip import PROMPTS, made_network

U8 = NDArray[np.uint8]


def image(seed: int, side: int) -> U8:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC))


def jpeg(seed: int, side: int) -> bytes:
    return bytes(simplejpeg.encode_jpeg(image(seed, side), 95, colorsubsampling="420"))


def decoded(crop: bytes) -> U8:
    return np.asarray(simplejpeg.decode_jpeg(crop, colorspace="RGB"))


@pytest.mark.parametrize("side", [32, 90, 131, 352])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_images_are_those_of_open_clips_own_pipeline(side: int, interpolation: str) -> None:
    open_clip()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    own = PreprocessCfg(size=32, interpolation=interpolation)
    settings = ImageSettings(32, interpolation, own.mean, own.std)
    pixels = torch.from_numpy(resized(image(1, side), settings).copy()).permute(2, 0, 1)
    ours = Normalise(settings, torch.device("cpu"))(pixels[None])[0]
    theirs = image_transform_v2(own, is_train=False)(Image.fromarray(image(1, side)))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_an_oblong_image_is_refused() -> None:
    settings = ImageSettings(32, "bicubic", (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ValueError, match="20x30 is not square"):
        resized(np.zeros((30, 20, 3), np.uint8), settings)


def test_anchors_are_means_of_unit_embeddings(tmp_path: Path) -> None:
    network, _, _ = made_network(tmp_path)
    anchors = text_anchors(network, PROMPTS)
    one, other = network.encode_texts(PROMPTS[2])
    expected = (one + other) / (one + other).norm()
    torch.testing.assert_close(anchors[2], expected, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="at least one prompt"):
        text_anchors(network, [["a"], []])


def test_probabilities_follow_the_networks_own_scale() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = probabilities(embeddings, torch.eye(2), torch.tensor(10.0))
    assert found[0, 0].item() == pytest.approx(1 / (1 + np.exp(-10)))
    assert found[1, 1].item() == pytest.approx(1 / (1 + np.exp(-2)))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 1e-2)])
def test_scores_are_those_of_open_clips_own_pipeline(
    tmp_path: Path, precision: str, tolerance: float
) -> None:
    network, _, _ = made_network(tmp_path)
    crops = [jpeg(seed, 90) for seed in range(7)]
    theirs = [_theirs(network, crop) for crop in crops]
    scorer = Scorer(network, PROMPTS, device="cpu", precision=precision, batch=3, threads=2)
    found = scorer.score(partial(decoded, crop) for crop in crops)
    assert found is not None
    np.testing.assert_allclose(found.p, [p for p, _ in theirs], atol=tolerance)
    np.testing.assert_allclose(
        found.embedding, [e for _, e in theirs], atol=2e-2 if precision == "bf16" else 1e-4
    )
    assert np.ptp(found.p, axis=0).max() > 0.15  # they are not all alike
    np.testing.assert_allclose(np.linalg.norm(found.embedding, axis=1), 1, atol=1e-5)


def _theirs(network: object, crop: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One image at a time, by open_clip's functions alone."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(PreprocessCfg(size=32), is_train=False)
    image = transform(Image.open(io.BytesIO(crop)))[None]
    with torch.no_grad():
        seen = network.model.encode_image(image, normalize=True)
        texts = torch.stack(
            [
                network.model.encode_text(network.tokenizer(own), normalize=True).mean(dim=0)
                for own in PROMPTS
            ]
        )
        texts = texts / texts.norm(dim=-1, keepdim=True)
        p = (network.model.logit_scale.exp() * seen @ texts.T).softmax(dim=-1)
    return p[0].numpy(), seen[0].numpy()


def test_order_and_batches_do_not_matter(tmp_path: Path) -> None:
    images = [image(seed, 40) for seed in range(11)]
    parts = []
    for batch in (4, 64):
        network, _, _ = made_network(tmp_path)
        scorer = Scorer(network, PROMPTS, device="cpu", precision="fp32", batch=batch, threads=3)
        parts.append(scorer.probabilities(images))
    np.testing.assert_allclose(parts[0], parts[1], atol=1e-6)
    np.testing.assert_allclose(scorer.probabilities(images[4:5])[0], parts[0][4], atol=1e-6)


def test_no_image_has_no_scores(tmp_path: Path) -> None:
    network, _, _ = made_network(tmp_path)
    scorer = Scorer(network, PROMPTS, device="cpu", precision="fp32", batch=4, threads=1)
    assert scorer.score([]) is None
    assert scorer.probabilities([]).shape == (0, 7)


def test_an_error_in_a_source_is_raised(tmp_path: Path) -> None:
    network, _, _ = made_network(tmp_path)
    scorer = Scorer(network, PROMPTS, device="cpu", precision="fp32", batch=4, threads=1)
    with pytest.raises(ValueError, match=r"(?i)jpeg"):
        scorer.score([partial(decoded, b"no image")])
