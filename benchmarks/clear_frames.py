"""What the filter's settings do to D_n on the demo: purity, yield, duplicates, suspects, budgets.

    python -m benchmarks.clear_frames data [--params params.yaml]

DATA holds the dataset `demo` as extract, align and score left it, with all frames scored. Nothing
is written and no model runs: budgets are those frames that score would have chosen. A frame truly
shows its emotion from half of the full intensity on, neutral where the face is still. takes: with
a frame in D_n; pure: of D_n; kept: of the truly clear frames among the scored, passing: before
duplicates and quotas; least: the emotion that fares worst. In per cent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import params
from pipeline.clip.clarity import NEUTRAL
from pipeline.params import Filter
from pipeline.records import Clip, ScoredTake, Sentence
from pipeline.runtime.run import Run
from pipeline.splits import split_of_take
from pipeline.stages.filter.decide import (
    Decision,
    Scored,
    decide,
    instants_and_embeddings,
    load,
    number_of,
)
from pipeline.stages.filter.selection import DUPLICATE, KEPT, OVER_QUOTA, Frames
from pipeline.stages.report.truth import Truth, read_truth
from pipeline.stages.score.worker import choose_frames
from pipeline.takes.frame_file import read_columns
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

HALF, STILL = 0.5, 0.1


@dataclass(frozen=True)
class Demo:
    """The demo as scored, with the truth of every scored frame and the frames' sharpness."""

    run: Run
    clips: Mapping[str, Clip]
    scored: Scored
    truth: Truth
    shown: np.ndarray
    felt: np.ndarray
    """(n,) what each frame's take truly shows, and how strongly."""

    def true(self, emotion: np.ndarray) -> np.ndarray:
        """(n,) whether each frame truly shows the emotion (n,)."""
        strong = (self.shown == emotion) & (self.felt >= HALF)
        return np.where(emotion == NEUTRAL, self.felt < STILL, strong)

    def compare(self, take: ScoredTake, frames: Any) -> Any:
        """Instants and embeddings; see the stage."""
        return _compare(self.run.items("score"), self.run.items("extract"), take, tuple(frames))


@lru_cache(maxsize=4096)
def _compare(scored: Any, extracted: Any, take: ScoredTake, frames: tuple[int, ...]) -> Any:
    return instants_and_embeddings(take, np.array(frames), scored, extracted)


def read(run: Run) -> Demo:
    """The demo with its truth."""
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    sentences = {row.utterance_id: row for row in run.need("align", "sentences", Sentence)}
    takes = run.need("score", "scores", ScoredTake)
    splits = {take.take_id: split_of_take(clips[take.take_id], sentences) for take in takes}
    scored = load(takes, splits, run.items("score"), 2)
    truth = read_truth(Path(run.entry.root), clips.values())
    shown, felt = zip(*_felt(run, scored, truth), strict=True)
    return Demo(run, clips, scored, truth, np.concatenate(shown), np.concatenate(felt))


def _felt(run: Run, scored: Scored, truth: Truth) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for take, (start, stop) in zip(scored.takes, scored.spans, strict=True):
        path = run.items("extract").path(f"{take.speaker}/{take.take_id}", ".frames.parquet")
        times = read_columns(path, ["time_s", "duration_s"])
        frames = scored.frames.frame[start:stop]
        instants = (times["time_s"] + times["duration_s"] / 2)[frames]
        shown = number_of(truth.takes[take.take_id].shown or "")
        yield np.full(len(frames), shown), truth.intensity(take.take_id, instants)


def budgeted(demo: Demo, budget: int) -> Demo:
    """The demo as it would be with so many frames a take."""
    chosen = np.zeros(len(demo.felt), np.bool_)
    for take, (start, stop) in zip(demo.scored.takes, demo.scored.spans, strict=True):
        path = demo.run.items("extract").path(f"{take.speaker}/{take.take_id}", ".frames.parquet")
        columns = read_columns(path, ["found", "sharpness"])
        numbers = choose_frames(columns["found"] == 1, columns["sharpness"], budget)
        chosen[start:stop] = np.isin(demo.scored.frames.frame[start:stop], numbers)
    frames = demo.scored.frames
    columns = {
        name: getattr(frames, name)[chosen]
        for name in ("p", "take", "frame", "speaker", "split", "recorded")
    }
    counts = [int(chosen[start:stop].sum()) for start, stop in demo.scored.spans]
    ends = np.cumsum(counts)
    spans = tuple(zip((ends - counts).tolist(), ends.tolist(), strict=True))
    takes = tuple(
        replace(take, n_scored=n) for take, n in zip(demo.scored.takes, counts, strict=True)
    )
    scored = replace(demo.scored, frames=Frames(**columns), spans=spans, takes=takes)
    return replace(demo, scored=scored, shown=demo.shown[chosen], felt=demo.felt[chosen])


def row(name: str, demo: Demo, decision: Decision) -> str:
    """One line of figures."""
    kept = decision.verdicts == KEPT
    passed = np.isin(decision.verdicts, [KEPT, DUPLICATE, OVER_QUOTA])
    emotion = decision.emotion
    true = demo.true(emotion)
    pure = [_share(true[kept & (emotion == n)]) for n in range(7)]
    own = [_share(kept[true & (emotion == n)]) for n in range(7)]
    takes = len(np.unique(demo.scored.frames.take[kept]))
    wrong = {t.take_id for t in demo.scored.takes if demo.truth.takes[t.take_id].mislabelled}
    found = {t.take_id for t, s in zip(demo.scored.takes, decision.suspects, strict=True) if s}
    return (
        f"{name:<34} {int(kept.sum()):>5} {takes:>5} {100 * _share(true[kept]):>6.1f} "
        f"{100 * min(pure):>6.1f} {100 * _share(passed[true]):>7.1f} "
        f"{100 * _share(kept[true]):>6.1f} {100 * min(own):>6.1f}   "
        f"{len(wrong & found)} of {len(wrong)}, {len(found - wrong)} false"
    )


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 1.0


def with_values(section: Filter, **values: Any) -> Filter:
    """The section with other values; nested ones as dicts."""
    changed = {
        name: getattr(section, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return section.model_copy(update=changed)


def settings(section: Filter) -> Iterator[tuple[str, Filter]]:
    """What is compared."""
    yield "as in params", section
    whole = with_values(section, duplicates={"within_s": 0.0})
    yield (
        "no threshold",
        with_values(whole, policy="quota", floor=0.0, quota=10**6, suspects={"drop": False}),
    )
    yield "no threshold, no suspects", with_values(whole, policy="quota", floor=0.0, quota=10**6)
    for at in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        values = dict.fromkeys(SEVEN_EMOTIONS, at)
        yield (
            f"threshold {at:g}, none thinned",
            with_values(whole, policy="threshold", thresholds=values),
        )
    for q in (0.2, 0.3, 0.4, 0.5, 0.6):
        yield f"quantile {q:g}, none thinned", with_values(whole, policy="quantile", quantile=q)
    for n in (20, 50, 100):
        yield f"quota {n}", with_values(section, policy="quota", quota=n)
    yield "relative to neutral", with_values(section, relative_to_neutral=True)
    yield "equal per emotion", with_values(section, equal_per_emotion=True)
    yield "any label", with_values(section, require_recorded=False, suspects={"drop": False})
    for within_s in (0.1, 0.2, 0.5):
        for similarity in (0.99, 0.995, 0.999):
            name = f"thinned within {within_s:g} s from {similarity:g}"
            yield (
                name,
                with_values(section, duplicates={"within_s": within_s, "similarity": similarity}),
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--params", type=Path)
    options = parser.parse_args()
    run = Run("demo", params.load(options.params), options.data)
    demo, section = read(run), run.params.filter
    true = demo.true(demo.scored.frames.recorded)
    print(f"{len(true)} scored frames, {int(true.sum())} truly show their recorded emotion")
    heads = f"{'pure':>6} {'least':>6} {'passing':>7} {'kept':>6} {'least':>6}"
    print(f"{'':<34} {'D_n':>5} {'takes':>5} {heads}   mislabelled found")
    for name, values in settings(section):
        print(row(name, demo, decide(demo.scored, values, demo.compare)))
    for budget in (0, 24, 16, 12, 8, 4):
        part = budgeted(demo, budget)
        name = f"budget of {budget or 'all'} frames"
        print(row(name, part, decide(part.scored, section, part.compare)))


if __name__ == "__main__":
    main()
