"""Thresholds of the filter for the demo's network, from faces of people held out of its training.

    python -m benchmarks.clear_thresholds FACES [--params FILE] [--purity 0.95] [--share 0.75]

FACES holds the faces that `python -m benchmarks.demo_networks` drew (nobody of the demo corpus):
the network that `score` names judges those of held-out people. Their intensities are uniform, and
of an acted take more frames are strong: frames at half intensity or more are weighted to be SHARE
of all. Of each emotion the least threshold is named at which so many of the frames that pass are
truly clear as PURITY says. For neutral, which has no faint frames, the others are what must not
pass: frames of other emotions, at half intensity or more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.demo_networks import clip
from benchmarks.demo_networks.augmented_views import views
from benchmarks.demo_networks.drawn_faces import FaceSet
from pipeline import params
from pipeline.clip.judge import find_judge
from pipeline.clip.network import build_network
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

GRID = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
HALF = 0.5


def judged(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Probabilities (n, 7), emotions and intensities (n,) of the held-out faces, and people."""
    loaded = params.load(options.params)
    judge = find_judge(loaded.score, loaded.models, Path("data"), "demo")
    faces = FaceSet(sorted(options.faces.glob("P*.parquet")))
    held = faces.held_out
    images = views(faces, clip.VIEW_PX)[held]
    p = clip.judge(build_network(judge.architecture, judge.weights.path), images, judge.prompts)
    emotions = np.array([SEVEN_EMOTIONS.index(name) for name in faces.emotion[held]])
    return p, emotions, faces.intensity[held], len(set(faces.person[held]))


def curve(
    p: np.ndarray, emotions: np.ndarray, intensity: np.ndarray, n: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Purity and yield of an emotion at each threshold of the grid."""
    if n == 0:
        true = emotions == 0
        false = ~true & (intensity >= HALF)
    else:
        true = (emotions == n) & (intensity >= HALF)
        false = (emotions == n) & ~true
    passing = p[:, n][:, None] >= np.array(GRID)
    kept = passing[true].mean(axis=0)
    wrong = passing[false].mean(axis=0)
    return share * kept / np.maximum(share * kept + (1 - share) * wrong, 1e-9), kept


def main() -> None:
    """Print purity and yield at each threshold, and the thresholds to set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("--params", type=Path)
    parser.add_argument("--purity", type=float, default=0.95)
    parser.add_argument("--share", type=float, default=0.75)
    options = parser.parse_args()
    p, emotions, intensity, people = judged(options)
    print(f"{len(emotions)} faces of {people} held-out people; purity/yield in per cent")
    print(f"{'':<10} " + " ".join(f"{at:>7g}" for at in GRID))
    chosen = []
    for n, name in enumerate(SEVEN_EMOTIONS):
        purity, kept = curve(p, emotions, intensity, n, options.share)
        cells = [f"{100 * a:>3.0f}/{100 * b:<3.0f}" for a, b in zip(purity, kept, strict=True)]
        print(f"{name:<10} " + " ".join(cells))
        good = np.flatnonzero(purity >= options.purity)
        chosen.append(f"{name}: {GRID[int(good[0])] if len(good) else GRID[-1]:g}")
    print(f"thresholds: {{{', '.join(chosen)}}}")


if __name__ == "__main__":
    main()
