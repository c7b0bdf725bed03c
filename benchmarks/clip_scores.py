"""The stage score: equal to open_clip's own pipeline, how fast, and how right on the demo.

    python -m benchmarks.clip_scores equality|speed DATA/DATASET [--network N --weights W]
    python -m benchmarks.clip_scores accuracy|ensembles|budgets DATA/DATASET ROOT

DATA/DATASET holds an `extract` run; ROOT is the demo's corpus with its truth. `equality` and
`speed` take ViT-B-32 with random weights and the demo's network unless a network is named. Speeds
are medians of rounds that do every case once in turn, on one thread of torch: a image at a time
by open_clip's pipeline (PIL), ours, and the bare forward pass on ready tensors of the same batch.
"""

from __future__ import annotations

import argparse
import io
import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.dataset_view import dataset_view
from pipeline import params
from pipeline.clip.architecture import read_architecture
from pipeline.clip.judge import load_scorer
from pipeline.clip.network import ClipNetwork, build_network
from pipeline.clip.scorer import Scorer, Source
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, read_table
from pipeline.stages.report.truth import Truth, read_truth
from pipeline.stages.score.worker import frames_of, sources
from pipeline.takes.frame_file import read_columns
from pipeline.takes.framed_images import framed, framing_of
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

BATCH = 32


# ---------------------------------------------------------------- equality and speed


class Theirs:
    """open_clip's own pipeline: PIL, torchvision's transforms, one image at a time."""

    def __init__(self, network: ClipNetwork, prompts: tuple[tuple[str, ...], ...]) -> None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self.model = network.model
        own = PreprocessCfg(**self.model.visual.preprocess_cfg)
        self.transform = image_transform_v2(own, is_train=False)
        with torch.inference_mode():
            means = [
                self.model.encode_text(network.tokenizer(list(p)), normalize=True).mean(dim=0)
                for p in prompts
            ]
            anchors = torch.stack(means)
            self.anchors = anchors / anchors.norm(dim=-1, keepdim=True)

    def __call__(self, image: Image.Image) -> np.ndarray:
        with torch.inference_mode():
            seen = self.model.encode_image(self.transform(image)[None], normalize=True)
            logits = self.model.logit_scale.exp() * seen @ self.anchors.T
            return logits.softmax(dim=-1)[0].numpy()


def networks(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], ClipNetwork]]]:
    """Names and makers of the networks to measure."""
    if options.network:
        yield options.network, partial(_made, options.network, options.weights)
        return
    yield "ViT-B-32, random weights", partial(_made, "ViT-B-32", None)
    section = params.load(None)
    path = Path(section.models[section.score.weights].path)
    yield "the demo's network", partial(_made, section.score.network, path)


def _made(name: str, weights: Path | None) -> ClipNetwork:
    """A network; random ones get the scale of trained ones, by which a softmax is sensitive."""
    torch.manual_seed(0)
    network = build_network(read_architecture(name), weights)
    if weights is None:
        network.model.logit_scale.fill_(math.log(100))
    return network


def some_frames(data: Path, n: int) -> list[tuple[Clip, Path, int, bytes]]:
    """Stored crops of n frames, spread over the takes."""
    clips = [c for c in read_rows(data / "extract/tables/clips.parquet", Clip) if c.has_video]
    each, found = -(-n // len(clips)), []
    for clip in clips:
        path = ItemStore(data / "extract/items").path(
            f"{clip.speaker}/{clip.take_id}", ".frames.parquet"
        )
        crops = read_table(path, columns=["crop"])["crop"]
        found += [(clip, path, k, crops[k].as_py()) for k in frames_of(path, each).tolist()]
    return found[:n]


def our_sources(frames: list[tuple[Clip, Path, int, bytes]], framing: str, px: int) -> list[Source]:
    """What the stage would give the scorer, take by take."""
    found: list[Source] = []
    for clip, path in {c.take_id: (c, p) for c, p, _, _ in frames}.values():
        chosen = np.array([k for c, _, k, _ in frames if c.take_id == clip.take_id])
        found += sources(path, clip, chosen, framing, px)
    return found


def their_image(
    frame: tuple[Clip, Path, int, bytes], framing: str, px: int, matrices: dict
) -> Image.Image:
    """The stored crop by PIL alone; framed, where the framing is not the crop itself."""
    clip, path, k, crop = frame
    if framing == "head":
        return Image.open(io.BytesIO(crop)).convert("RGB")
    if clip.take_id not in matrices:
        matrices[clip.take_id] = framing_of(framing, px, clip, path)
    return Image.fromarray(framed(crop, clip, matrices[clip.take_id](k), px))


def equality(options: argparse.Namespace) -> None:
    """Largest difference of probabilities to open_clip's own pipeline, fp32 and bf16."""
    frames = some_frames(options.data, options.images)
    prompts = params.load(None).score.prompts
    for name, make in networks(options):
        theirs, matrices = Theirs(make(), prompts), {}
        px = make().images.size_px
        for framing in ("head", "ned256", "ffhq"):
            expected = np.stack(
                [theirs(their_image(frame, framing, px, matrices)) for frame in frames]
            )
            matrices = {}
            for precision in ("fp32", "bf16"):
                scorer = Scorer(
                    make(), prompts, device="cpu", precision=precision, batch=BATCH, threads=1
                )
                scores = scorer.score(our_sources(frames, framing, px))
                assert scores is not None
                gap = np.abs(scores.p - expected)
                spread = np.ptp(expected, axis=0).max()
                print(
                    f"{name}, {framing}, {precision}: largest difference {gap.max():.1e}, median "
                    f"{np.median(gap):.1e}, over {len(frames)} images (p moves by {spread:.2f})"
                )


def speed(options: argparse.Namespace) -> None:
    """Images a second: open_clip's pipeline, ours, and the bare forward pass."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name, make in networks(options):
        n = max(BATCH, options.images // (8 if "ViT" in name else 1))
        took = rounds(_cases(make, some_frames(options.data, n), options), options.rounds)
        rates = {case: n / statistics.median(each) for case, each in took.items()}
        ratios = [b / o for b, o in zip(took["bare"], took["ours"], strict=True)]
        told = ", ".join(f"{case} {rate:.1f}" for case, rate in rates.items())
        print(
            f"{name}, {options.framing}, {n} images, {options.threads} thread(s) that prepare: "
            f"{told} a second; ours is {statistics.median(ratios):.2f} of bare "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def _cases(
    make: Callable[[], ClipNetwork],
    frames: list[tuple[Clip, Path, int, bytes]],
    options: argparse.Namespace,
) -> dict[str, Callable[[], object]]:
    network, prompts, matrices = make(), params.load(None).score.prompts, {}
    px, framing = network.images.size_px, options.framing
    theirs = Theirs(network, prompts)
    scorer = Scorer(
        make(), prompts, device="cpu", precision="fp32", batch=BATCH, threads=options.threads
    )
    # In the layout that convolutions like best: the bare pass shall not be slower than need be.
    ready = torch.randn(BATCH, 3, px, px).contiguous(memory_format=torch.channels_last)
    our = our_sources(frames, framing, px)
    return {
        "open_clip": lambda: [theirs(their_image(f, framing, px, matrices)) for f in frames],
        "ours": lambda: scorer.score(our),
        "bare": lambda: bare(scorer.network, ready, len(frames)),
    }


def rounds(cases: dict[str, Callable[[], object]], n: int) -> dict[str, list[float]]:
    """Seconds of every case in n rounds, each in another order; one round before is not counted."""
    took: dict[str, list[float]] = {case: [] for case in cases}
    names = list(cases)
    for k in range(n + 1):
        for case in names[k % len(names) :] + names[: k % len(names)]:
            began = time.perf_counter()
            cases[case]()
            if k:
                took[case].append(time.perf_counter() - began)
    return took


def bare(network: ClipNetwork, ready: torch.Tensor, n: int) -> None:
    """The image tower alone, on ready tensors."""
    with torch.inference_mode():
        for _ in range(n // BATCH):
            network.model.encode_image(ready)
        if n % BATCH:
            network.model.encode_image(ready[: n % BATCH])


# ---------------------------------------------------------------- accuracy on the demo


class Frames:
    """All found frames of the demo: embeddings, and what is true of each."""

    def __init__(self, data: Path, root: Path, section: params.Score) -> None:
        loaded = params.load(None)
        from pipeline.clip.judge import find_judge

        self.judge = find_judge(section, loaded.models, data.parent, "demo")
        self.scorer = load_scorer(self.judge)
        store = ItemStore(data / "extract/items")
        clips = [c for c in read_rows(data / "extract/tables/clips.parquet", Clip) if c.has_video]
        truth = read_truth(root, clips)
        parts = [self._take(clip, store, truth, section.framing) for clip in clips]
        self.embedding = np.concatenate([part[0] for part in parts])
        self.shown, self.recorded, self.speaker, self.take = (
            np.concatenate([part[k] for part in parts]) for k in (1, 2, 3, 4)
        )
        self.intensity = np.concatenate([part[5] for part in parts])

    def _take(self, clip: Clip, store: ItemStore, truth: Truth, framing: str) -> tuple:
        path = store.path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
        chosen = frames_of(path, 0)
        scores = self.scorer.score(sources(path, clip, chosen, framing, self.scorer.size_px))
        assert scores is not None
        times = read_columns(path, ["time_s", "duration_s"])
        instants = (times["time_s"] + times["duration_s"] / 2)[chosen]
        n = len(chosen)
        return (
            scores.embedding, np.full(n, truth.takes[clip.take_id].shown),
            np.full(n, clip.emotion), np.full(n, clip.speaker), np.full(n, clip.take_id),
            truth.intensity(clip.take_id, instants),
        )  # fmt: skip

    def p(self, prompts: tuple[tuple[str, ...], ...]) -> np.ndarray:
        """Probabilities (n, 7) by other prompts: the embeddings stay."""
        from pipeline.clip.scorer import probabilities, text_anchors

        network = build_network(self.judge.architecture, self.judge.weights.path)
        anchors = text_anchors(network, prompts)
        return probabilities(torch.from_numpy(self.embedding), anchors, network.scale).numpy()


def _accuracy(options: argparse.Namespace) -> None:
    section = params.load(None).score
    frames = Frames(options.data, options.root, section)
    seen = np.array(SEVEN_EMOTIONS)[frames.p(section.prompts).argmax(axis=1)]
    report(frames, seen)
    print("confusion at intensity >= .5 (rows shown, columns seen)")
    for shown in SEVEN_EMOTIONS:
        own = (frames.shown == shown) & _clear(frames)
        print(f"{shown:10}", *(f"{(seen[own] == s).sum():5}" for s in SEVEN_EMOTIONS))


def _clear(frames: Frames) -> np.ndarray:
    still = (frames.shown == "neutral") & np.isfinite(frames.intensity)
    return still | (frames.intensity >= 0.5)


def report(frames: Frames, seen: np.ndarray) -> None:
    """Accuracy per emotion and speaker, at half intensity and more, and what faint faces look."""
    right, clear = seen == frames.shown, _clear(frames)
    print(f"all, clear: {right[clear].mean():.3f} of {clear.sum()} frames")
    for emotion in SEVEN_EMOTIONS:
        own = frames.shown == emotion
        bins = [(0, 0.2), (0.2, 0.35), (0.35, 0.5), (0.5, 0.75), (0.75, 1.01)]
        told = [
            f"{low:g}-{min(high, 1):g}: {right[m].mean():.2f} ({m.sum()})"
            for low, high in bins
            if (m := own & (frames.intensity >= low) & (frames.intensity < high)).any()
        ]
        print(f"  {emotion:10} {right[own & clear].mean():.3f}  by intensity {', '.join(told)}")
    for speaker in sorted(set(frames.speaker)):
        own = (frames.speaker == speaker) & clear
        print(f"  {speaker:10} {right[own].mean():.3f} of {own.sum()}")
    faint = (frames.intensity < 0.2) & (frames.shown != "neutral")
    print(f"faint (< .2) seen as neutral: {(seen[faint] == 'neutral').mean():.3f}")


def _ensembles(options: argparse.Namespace) -> None:
    section = params.load(None).score
    frames = Frames(options.data, options.root, section)
    clear = _clear(frames)
    for name in section.ensembles:
        p = frames.p(section.model_copy(update={"ensemble": name}).prompts)
        seen = np.array(SEVEN_EMOTIONS)[p.argmax(axis=1)]
        right = seen == frames.shown
        each = [right[clear & (frames.shown == e)].mean() for e in SEVEN_EMOTIONS]
        print(
            f"{name:14} accuracy {right[clear].mean():.3f}, worst emotion {min(each):.3f} "
            f"({SEVEN_EMOTIONS[int(np.argmin(each))]}), neutral {each[0]:.3f}"
        )


def _budgets(options: argparse.Namespace) -> None:
    """The effect of a frame budget on D_n, with the stages score and filter in a view."""
    loaded = params.load(None)
    with dataset_view(options.data, ["score", "filter"]) as folder:
        _budget_table(options, loaded, folder)


def _budget_table(options: argparse.Namespace, loaded: params.Params, folder: Path) -> None:
    from pipeline.records import FilteredTake, ScoredTake
    from pipeline.runtime.run import Options, Run
    from pipeline.stages.filter import stage as sift
    from pipeline.stages.score import stage as score

    for budget in (0, 24, 12, 8, 4, 2):
        section = loaded.score.model_copy(update={"frames_per_take": budget})
        run = Run(
            options.data.name, loaded.model_copy(update={"score": section}), folder,
            Options(workers=2),
        )  # fmt: skip
        began = time.perf_counter()
        score.run(run)
        took = time.perf_counter() - began
        sift.run(run)
        scored = sum(t.n_scored for t in read_rows(run.table("score", "scores"), ScoredTake))
        rows = read_rows(run.table("filter", "filtered_takes"), FilteredTake)
        pure, kept = purity(run, options.root)
        print(
            f"budget {budget or 'all'}: {scored} frames scored in {took:.0f} s, {kept} kept of "
            f"{sum(r.n_kept > 0 for r in rows)} takes, purity {pure:.3f}"
        )


def purity(run: object, root: Path) -> tuple[float, int]:
    """Share of the kept frames at or above half intensity of their emotion, and how many kept."""
    clips = {c.take_id: c for c in read_rows(run.table("extract", "clips"), Clip)}
    truth = read_truth(root, clips.values())
    good = kept = 0
    for path in sorted(run.items("filter").folder.glob("*.clear.parquet")):
        for row in read_table(path).to_pylist():
            if row["verdict"] != "kept":
                continue
            clip = clips[row["take_id"]]
            file = run.items("extract").path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet")
            times = read_columns(file, ["time_s", "duration_s"])
            at = np.array([times["time_s"][row["frame"]] + times["duration_s"][row["frame"]] / 2])
            strength = truth.intensity(clip.take_id, at)[0]
            shown = truth.takes[clip.take_id].shown
            kept += 1
            if row["emotion"] == "neutral":
                good += shown == "neutral" or strength < 0.1
            else:
                good += shown == row["emotion"] and strength >= 0.5
    return good / max(kept, 1), kept


COMMANDS = {
    "equality": equality, "speed": speed, "accuracy": _accuracy, "ensembles": _ensembles,
    "budgets": _budgets,
}  # fmt: skip


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("data", type=Path)
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--framing", default="ned256")
    options = parser.parse_args()
    COMMANDS[options.what](options)


if __name__ == "__main__":
    main()
