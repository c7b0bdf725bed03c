"""The content of each sampler's batches: what must be equal, what must differ; resuming."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError, TableError
from spfem_data import (
    AscclPairs,
    CcrlTriplets,
    CerlTuples,
    ImageFormat,
    Loader,
    Regularisation,
    SserdQuads,
    StcclWindows,
)
from spfem_data.labels import EMOTIONS
from spfem_data.references import GroupIndex
from spfem_data.rng import KeyedRng
from tests.builders.shards import (
    GROUNDS,
    PX,
    SENTENCES,
    SPEAKERS,
    opening,
    write_everything,
    write_families,
    write_pairs,
)

SMALL = ImageFormat(size=PX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_everything(made)
    return made


def speakers_in(images: torch.Tensor) -> list[str]:
    """The speakers, by the colour of the background."""
    grounds = torch.tensor([GROUNDS[name] for name in SPEAKERS]).float()
    corner = images[:, :, -6:, :6].float().mean((2, 3))
    return [SPEAKERS[k] for k in torch.cdist(corner, grounds).argmin(1).tolist()]


def emotions_in(images: torch.Tensor) -> list[str]:
    """The emotions, by the grey of the stripe."""
    grey = images[:, :, 7:10, 12:36].float().mean((1, 2, 3))
    return [EMOTIONS[k] for k in ((grey - 30) / 30).round().long().tolist()]


def openings_in(images: torch.Tensor) -> torch.Tensor:
    """The opening of the mouths, by their bright pixels in the middle column."""
    bright = (images[:, :, 26:46, 23:26].float().mean(1) > 225).float().sum(1).mean(1)
    return (bright - 3) / 16


def true_openings(sentences: list[str], frames: list[int]) -> torch.Tensor:
    return torch.tensor([opening(s, f) for s, f in zip(sentences, frames, strict=True)])


def test_asccl_pairs_show_one_instant_in_two_emotions(folder: Path) -> None:
    pairs = AscclPairs(
        folder, image_format=SMALL, columns=["speaker", "emotion_b", "sentence", "frame_a"]
    )
    assert len(pairs) == 3 * 6 * 3 * 12
    batch = next(iter(Loader(pairs, 64, seed=1)))
    x, y = batch["x"], batch["y"]
    assert x.shape == y.shape == (64, 3, PX, PX)
    assert speakers_in(x) == speakers_in(y) == batch["speaker"]
    assert set(emotions_in(x)) == {"neutral"}
    assert emotions_in(y) == batch["emotion_b"]
    assert len(set(batch["emotion_b"])) == 6
    truth = true_openings(batch["sentence"], batch["frame_a"].tolist())
    for images in (x, y):
        assert (openings_in(images) - truth).abs().max() < 0.2


def test_asccl_has_arcface_size_and_range(folder: Path) -> None:
    batch = AscclPairs(folder)[:2]
    assert batch["x"].shape == (2, 3, 224, 224)
    assert batch["x"].dtype == torch.float32
    assert -1 <= float(batch["x"].min()) < -0.5
    assert 0.5 < float(batch["x"].max()) <= 1


@pytest.mark.parametrize("length", [None, 3])
def test_stccl_windows_are_consecutive_in_both(folder: Path, length: int | None) -> None:
    windows = StcclWindows(
        folder, length=length, image_format=SMALL,
        columns=["frame_a", "frame_b", "emotion_b", "sentence", "confidence"],
    )  # fmt: skip
    t = length or 5
    assert len(windows) == 3 * 6 * 3 * (12 - t + 1)
    batch = next(iter(Loader(windows, 16, seed=2)))
    assert batch["x"].shape == batch["y"].shape == (16, t, 3, PX, PX)
    assert torch.equal(batch["frame_a"].diff(dim=1), torch.ones(16, t - 1, dtype=torch.int32))
    assert torch.equal(batch["frame_a"], batch["frame_b"])
    assert torch.equal(batch["weights"], batch["confidence"])
    flat = batch["y"].flatten(0, 1)
    assert emotions_in(flat) == [e for row in batch["emotion_b"] for e in row]
    truth = true_openings(
        [s for row in batch["sentence"] for s in row], batch["frame_a"].ravel().tolist()
    )
    assert (openings_in(flat) - truth).abs().max() < 0.2


def test_windows_longer_than_stored_are_refused(folder: Path) -> None:
    with pytest.raises(TableError, match="length=9: the shards have windows of 5 frame pairs"):
        StcclWindows(folder, length=9)


def test_ccrl_triplets_share_what_the_paper_says(folder: Path) -> None:
    columns = ["sample_id", "speaker", "emotion_b", "sentence", "frame_a"]
    triplets = CcrlTriplets(folder, window_s=0.04, image_format=SMALL, columns=columns)
    assert (len(triplets), triplets.left_out) == (3 * 6 * 3 * 12, 0)
    for batch in Loader(triplets, 81, seed=3, remainder="drop"):
        x, y, z = (batch[name] for name in "xyz")
        assert speakers_in(x) == speakers_in(y) == speakers_in(z) == batch["speaker"]
        assert emotions_in(y) == emotions_in(z) == batch["emotion_b"]
        assert set(emotions_in(x)) == {"neutral"}
        other = [name.split("/")[0].split("_")[-1] for name in batch["z_id"]]
        assert all(a != b for a, b in zip(batch["sentence"], other, strict=True))
        assert (openings_in(x) - openings_in(y)).abs().max() < 0.2


def test_ccrl_audio_is_that_of_the_frame(folder: Path) -> None:
    """A frame lasts 40 ms, and so does the window: its loudness is the opening of the mouth."""
    columns = ["sentence", "frame_a"]
    triplets = CcrlTriplets(folder, window_s=0.04, image_format=SMALL, columns=columns)
    batch = next(iter(Loader(triplets, 100, seed=1)))
    truth = true_openings(batch["sentence"], batch["frame_a"].tolist())
    for name in "xy":
        audio = batch[f"audio_{name}"]
        assert audio.shape == (100, 640)
        loud = audio.square().mean(1).sqrt() / (0.8 * 0.5**0.5)
        assert (loud - truth).abs().max() < 0.03
    loud_z = batch["audio_z"].square().mean(1).sqrt() / (0.8 * 0.5**0.5)
    assert (loud_z - openings_in(batch["z"])).abs().max() < 0.2
    assert (loud_z - truth).abs().mean() > 0.15


def test_ccrl_audio_is_zero_outside_the_take(folder: Path) -> None:
    long = CcrlTriplets(folder, window_s=2.0, columns=["frame_a"], image_format=SMALL)
    batch = long[:12]
    assert batch["audio_x"].shape == (12, 32000)
    n, middle = 12 * 640, 16000
    for k, audio in enumerate(batch["audio_x"]):
        begin = middle - round((k + 0.5) * 640)
        assert audio[:begin].abs().max() == 0
        assert audio[begin + n :].abs().max() == 0
        assert audio[begin : begin + n].abs().max() > 0.5


def test_ccrl_samples_another_z_in_each_epoch_and_the_same_in_each_run(folder: Path) -> None:
    triplets = CcrlTriplets(folder, window_s=0.02, columns=["sample_id"], image_format=SMALL)

    def partners() -> list[dict[str, str]]:
        loader = Loader(triplets, 100, seed=4)
        return [
            {
                a: b
                for batch in loader
                for a, b in zip(batch["sample_id"], batch["z_id"], strict=True)
            }
            for _ in range(2)
        ]

    first, second = partners()
    assert [first, second] == partners()
    assert np.mean([first[name] == second[name] for name in first]) < 0.1
    per_sentence = Counter(name.split("/")[0][-2:] for name in first.values())
    assert set(per_sentence) == set(SENTENCES)


def test_ccrl_without_another_sentence_is_refused(folder: Path) -> None:
    with pytest.raises(TableError, match="none of 216 frame pairs has a z"):
        CcrlTriplets(folder, where=[("sentence", "==", "u1")])


def test_cerl_tuples_have_each_emotion_equally_often(folder: Path) -> None:
    tuples = CerlTuples(folder, image_format=SMALL, columns=["image_id", "emotion", "embedding"])
    assert len(tuples) == 5 + 2 * 6
    loader = Loader(tuples, 4, seed=1)
    seen: Counter[str] = Counter()
    for batch in loader:
        n = len(batch["image_id"])
        assert batch["image"].shape == (n, 7, 3, PX, PX)
        assert batch["embedding"].shape == (n, 7, 8)
        assert batch["emotion"] == [list(EMOTIONS)] * n
        assert emotions_in(batch["image"].flatten(0, 1)) == list(EMOTIONS) * n
        assert batch["embedding"].argmax(2).tolist() == [list(range(7))] * n
        seen.update(name for names in batch["image_id"] for name in names)
    for number, emotion in enumerate(EMOTIONS):
        counts = [n for name, n in seen.items() if f"_{emotion}_" in name]
        assert sum(counts) == 17
        assert len(counts) == 5 + 2 * number
        assert max(counts) - min(counts) <= 1


def test_cerl_without_images_decodes_none(folder: Path) -> None:
    batch = CerlTuples(folder, images=False)[:3]
    assert "image" not in batch
    assert torch.allclose(batch["embedding"].norm(dim=2), torch.ones(3, 7), atol=1e-5)


def test_cerl_names_missing_emotions(folder: Path) -> None:
    with pytest.raises(TableError, match="no clear frame of happy, fear in train"):
        CerlTuples(folder, where=[("emotion", "not in", ["happy", "fear"])])


def test_sserd_quads_mix_synthetic_and_real(folder: Path) -> None:
    quads = SserdQuads(folder, synthetic_share=0.75, image_format=SMALL)
    assert len(quads) == 3 * 6 * 3 + 18
    loader = Loader(quads, 36, seed=5)
    made = real = 0
    for batch in loader:
        synthetic = batch["synthetic"].bool()
        made, real = made + int(synthetic.sum()), real + int((~synthetic).sum())
        wanted = [EMOTIONS[k] for k in batch["emotion"].tolist()]
        own = [EMOTIONS[k] for k in batch["source_emotion"].tolist()]
        assert all(a != b for a, b in zip(wanted, own, strict=True))
        assert emotions_in(batch["source"]) == own
        assert speakers_in(batch["source"]) == batch["speaker"]
        assert speakers_in(batch["reference_same"]) == batch["speaker"]
        others = speakers_in(batch["reference_other"])
        assert all(a != b for a, b in zip(others, batch["speaker"], strict=True))
        for name in ("reference_same", "reference_other"):
            assert emotions_in(batch[name]) == wanted
        assert batch["target"][~synthetic].max() == 0
        source, target = batch["source"][synthetic], batch["target"][synthetic]
        assert emotions_in(target) == [w for w, s in zip(wanted, synthetic, strict=True) if s]
        assert (openings_in(source) - openings_in(target)).abs().max() < 0.1
        for name, there in zip(batch["target_id"], synthetic.tolist(), strict=True):
            assert (name is not None) == there
    assert (made, real) == (54, 18)


def test_sserd_resizes_images_of_different_sizes(folder: Path, tmp_path: Path) -> None:
    write_everything(tmp_path)
    write_families(tmp_path, px=40)
    batch = SserdQuads(tmp_path, image_format=ImageFormat(size=32))[:60:10]
    for name in ("source", "target", "reference_same", "reference_other"):
        assert batch[name].shape == (6, 3, 32, 32)
    with pytest.raises(PipelineError, match=r"SserdQuads needs image_format=ImageFormat\(size="):
        SserdQuads(folder, image_format=ImageFormat())


def test_sserd_without_references_is_refused(folder: Path) -> None:
    with pytest.raises(TableError, match="54 synthetic images and 63 real frames of train give no"):
        SserdQuads(folder, where_frames=[("speaker", "==", "S1")])
    with pytest.raises(PipelineError, match="synthetic_share 0: expected above 0, at most 1"):
        SserdQuads(folder, synthetic_share=0)


@pytest.mark.parametrize("whose", ["same", "other", "any"])
def test_regularisation_pairs_source_and_audio_with_a_reference(folder: Path, whose: str) -> None:
    data = Regularisation(folder, reference=whose, window_s=0.04, image_format=SMALL)
    assert len(data) == 3 * 7 * 3 * 3
    seen = Counter()
    for batch in Loader(data, 63, seed=6):
        assert speakers_in(batch["source"]) == batch["speaker"]
        assert speakers_in(batch["reference"]) == batch["reference_speaker"]
        same = [a == b for a, b in zip(batch["speaker"], batch["reference_speaker"], strict=True)]
        assert whose == "any" or set(same) == {whose == "same"}
        seen.update(emotions_in(batch["reference"]))
        assert emotions_in(batch["reference"]) == [EMOTIONS[k] for k in batch["emotion"].tolist()]
        loud = batch["audio"].square().mean(1).sqrt() / (0.8 * 0.5**0.5)
        assert (loud - openings_in(batch["source"])).abs().max() < 0.2
    assert set(seen) == set(EMOTIONS)
    with pytest.raises(PipelineError, match="reference 'mine': expected same, other or any"):
        Regularisation(folder, reference="mine")


SAMPLERS: list[Callable[[Path], Any]] = [
    lambda f: AscclPairs(f, image_format=SMALL),
    lambda f: StcclWindows(f, image_format=SMALL, length=2),
    lambda f: CcrlTriplets(f, image_format=SMALL, window_s=0.02),
    lambda f: CerlTuples(f, image_format=SMALL),
    lambda f: SserdQuads(f, image_format=SMALL),
    lambda f: Regularisation(f, image_format=SMALL, window_s=0.02),
]


@pytest.mark.slow
@pytest.mark.parametrize("make", SAMPLERS)
def test_any_sampler_resumes_where_it_was_killed(folder: Path, make: Any) -> None:
    """At another world size, with its random choices; the second run in a spawned worker."""
    data = make(folder)

    def facts(batch: dict[str, Any]) -> list[Any]:
        return [
            value.sum().item() if isinstance(value, torch.Tensor) else str(value)
            for _, value in sorted(batch.items())
        ]

    loader = Loader(data, 1, seed=9, shuffle="none")
    wanted = [facts(batch) for _, batch in zip(range(12), loader, strict=False)]
    first = Loader(data, 1, seed=9, shuffle="none")
    seen = [facts(batch) for _, batch in zip(range(4), first, strict=False)]
    ranks = [
        Loader(
            make(folder), 1, seed=9, shuffle="none", rank=r, world_size=2, num_workers=w,
            context="spawn",
        )
        for r, w in ((0, 0), (1, 1))
    ]  # fmt: skip
    for rank in ranks:
        rank.load_state_dict(first.state_dict())
    for _, parts in zip(range(4), zip(*ranks, strict=True), strict=False):
        seen += [facts(part) for part in parts]
    assert seen == wanted


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=40),
    st.integers(0, 99),
)
def test_a_sample_is_of_the_group_and_not_of_the_kind(
    rows: list[tuple[str, str]], seed: int
) -> None:
    groups, kinds = [g for g, _ in rows], [k for _, k in rows]
    index = GroupIndex(groups, kinds)
    wanted = [sum(g == a and k != b for a, b in rows) for g, k in rows]
    assert index.counts(groups, kinds).tolist() == wanted
    able = [i for i, n in enumerate(wanted) if n]
    n = len(able)
    rng = KeyedRng(seed, np.zeros(n, np.int64), np.arange(n))
    ours, theirs = [groups[i] for i in able], [kinds[i] for i in able]
    sampled = index.sample(rng, "z", ours, theirs).tolist()
    assert [groups[i] for i in sampled] == ours
    assert all(kinds[i] != k for i, k in zip(sampled, theirs, strict=True))


def test_each_candidate_is_sampled_equally_often() -> None:
    index = GroupIndex(["a"] * 5 + ["b"] * 3, ["x", "x", "y", "z", "z", "x", "y", "y"])
    rng = KeyedRng(1, np.zeros(6000, np.int64), np.arange(6000))
    counts = Counter(index.sample(rng, "z", ["a"] * 6000, ["y"] * 6000).tolist())
    assert set(counts) == {0, 1, 3, 4}
    assert max(abs(n - 1500) for n in counts.values()) < 150


def test_samplers_need_their_configs(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["happy"])
    for make, config in (
        (CerlTuples, "emotions"),
        (SserdQuads, "families"),
        (Regularisation, "frames"),
    ):
        with pytest.raises(TableError, match=f"data/{config} has no file of the split 'train'"):
            make(tmp_path)
