import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.records import Clip
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from spfem_data import Emotions
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.dataset import make_inputs, make_run
from tests.builders.scores import rising, write_scores
from tests.losses.cerl import TAU, cerl_loss, learn


def test_the_loss_is_the_sum_of_the_equation() -> None:
    """Eq. 3 of the paper with loops."""
    generator = torch.Generator().manual_seed(1)
    t, v = torch.randn(3, 4, generator=generator), torch.randn(2, 3, 4, generator=generator)
    total = 0.0
    for i in range(3):
        for j in range(2):
            own = math.exp(float(t[i] @ v[j, i]) / TAU)
            others = sum(math.exp(float(t[i] @ v[j, k]) / TAU) for k in range(3) if k != i)
            total -= math.log(own / (own + others))
    assert float(cerl_loss(t, v)) == pytest.approx(total, rel=1e-5)


def test_equal_images_cost_the_logarithm_of_the_number_of_emotions() -> None:
    loss = cerl_loss(torch.ones(7, 4), torch.ones(5, 7, 4))
    assert float(loss) == pytest.approx(7 * 5 * math.log(7), rel=1e-5)


def embeddings(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of seven emotions: a common part, a part per emotion, and noise."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(1, 64, generator=generator)
    own = torch.randn(7, 64, generator=generator)
    emotions = torch.arange(7).repeat_interleave(n)
    noise = torch.randn(7 * n, 64, generator=generator)
    features = 2 * common + 0.7 * own[emotions] + noise
    return torch.nn.functional.normalize(features, dim=1), emotions


def test_the_loss_falls_on_emotions_and_not_on_shuffled_labels() -> None:
    features, emotions = embeddings(200, 0)
    shuffled = emotions[torch.randperm(len(emotions), generator=torch.Generator().manual_seed(3))]
    right, wrong = learn(features, emotions).losses, learn(features, shuffled).losses

    def final(losses: list[float]) -> float:
        return sum(losses[-20:]) / 20

    assert right[0] == wrong[0] == pytest.approx(math.log(7))
    assert final(right) < 0.1 * right[0]
    assert final(wrong) > 0.9 * wrong[0]


@pytest.mark.slow
def test_a_batch_of_the_shards_can_be_learnt(tmp_path: Path) -> None:
    """With three emotions, from log(3)."""
    run = make_run(tmp_path)
    make_inputs(run)
    pose.run(run)
    write_scores(run, _by_emotion)
    filter_stage.run(run)
    shards.run(run)
    clear = Emotions(run.folder("shards"), "train", columns=["emotion", "embedding"])
    batch = clear.__getitems__(range(len(clear)))
    losses = learn(batch["embedding"], batch["label"], steps=50, batch=3).losses
    assert losses[0] == pytest.approx(math.log(3))
    assert sum(losses[-5:]) / 5 < 0.1 * losses[0]


def _by_emotion(clip: Clip, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings of each emotion are near an axis of their own."""
    p, _ = rising(clip, k)
    axis = np.zeros(4)
    axis[SEVEN_EMOTIONS.index(clip.emotion)] = 1.0
    near = axis + np.array([0, 0, 0, 0.5 * (-1) ** k])
    return p, near / np.linalg.norm(near)
