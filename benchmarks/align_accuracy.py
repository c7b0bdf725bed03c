"""How well takes are aligned, against known truth: prints every table of the alignment.

    python benchmarks/align_accuracy.py FOLDER [--params params.yaml] [--fit] [--ravdess FOLDER]

FOLDER holds ``truth.jsonl`` and the audio that it names: one pair a line, with ``a_s``/``b_s`` the
knots of the true time map and ``boundaries`` the phoneme onsets in both takes. Coverage is kept
pairs whose first frame lies between the first and last knot, over the smaller number of frames of
the two takes in that span. Sentences with an even number are what constants were fitted on (say
``--fit`` to fit them again); tables marked "held out" use the odd ones.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pipeline.alignment.align import Alignment, align, pair_frames, same_sentence
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.alignment.scmcl_baseline import compat_pairs
from pipeline.alignment.warping_path import Warp, cosine_distances, map_times, warp
from pipeline.params import Align, AlignCalibration, AlignSteps

FPS = 25.0
TOLERANCE_S = 1 / FPS
SETS = ("same", "hard")


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One pair with its truth: audio, knots [shape=(n, 2)] and boundaries [shape=(n, 2)], in s."""

    set: str
    sentence: int
    name_a: str
    a: np.ndarray
    b: np.ndarray
    knots: np.ndarray
    boundaries: np.ndarray

    def truth(self, times_s: np.ndarray) -> np.ndarray:
        """Where instants of a truly lie in b."""
        return np.interp(times_s, self.knots[:, 0], self.knots[:, 1])

    @property
    def frames(self) -> float:
        """Frames of the shorter take between the first and the last knot."""
        return float(np.min(self.knots[-1] - self.knots[0]) * FPS)


def main() -> None:
    """Print every table."""
    parser = of_truth(__doc__)
    parser.add_argument("--fit", action="store_true", help="fit the calibration and print it")
    parser.add_argument("--ravdess", type=Path, help="folder of RAVDESS speech wavs")
    options = parser.parse_args()
    params, pairs = read_options(options)
    if options.fit:
        print("calibration:", fit(pairs, params))
        return
    ours = [aligned(pair, params) for pair in pairs]
    print_maps(pairs, ours, params)
    print_curve(pairs, ours, params)
    print_calibration(pairs, ours, params)
    print_identity(pairs, params)
    print_spans(pairs, ours, params)
    if options.ravdess:
        print_ravdess(options.ravdess, params)


def of_truth(doc: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark on pairs with known truth."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds truth.jsonl and its audio")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser


def read_options(options: argparse.Namespace) -> tuple[Align, list[Pair]]:
    """What those options name."""
    section = YAML(typ="safe").load(options.params)["align"]
    return Align.model_validate(section), load(options.folder)


def load(folder: Path) -> list[Pair]:
    """The pairs of `folder`."""
    recordings: dict[str, np.ndarray] = {}

    def audio(name: str) -> np.ndarray:
        if name not in recordings:
            recordings[name] = soundfile.read(folder / name, dtype="float32")[0]
        return recordings[name]

    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return [
        Pair(
            set=row["set"],
            sentence=row["sentence"],
            name_a=row["a"],
            a=audio(row["a"]),
            b=audio(row["b"]),
            knots=np.stack([row["a_s"], row["b_s"]], axis=1),
            boundaries=np.array(row["boundaries"]),
        )
        for row in rows
    ]


def instants(audio: np.ndarray) -> np.ndarray:
    """Middles of the frames of a take, at the benchmark's rate."""
    return (np.arange(int(len(audio) / 16000 * FPS)) + 0.5) / FPS


def aligned(pair: Pair, params: Align) -> Alignment:
    """Our alignment of a pair."""
    a, b = (take_features(audio, params.features) for audio in (pair.a, pair.b))
    return align(a, b, params)


def ungated(params: Align, least: float) -> Align:
    """The same parameters with another gate."""
    frames = params.frames.model_copy(update={"min_confidence": least})
    return params.model_copy(update={"frames": frames})


def our_frames(pair: Pair, found: Alignment, params: Align) -> FrameMap:
    """Our frame pairs, those of the truth's span only."""
    frames = pair_frames(found, instants(pair.a), instants(pair.b), params)
    return frames.take(in_span(pair, frames.frame_a))


def in_span(pair: Pair, frame_a: np.ndarray) -> np.ndarray:
    """Which frames of a lie between the first and the last knot."""
    time_s = (frame_a + 0.5) / FPS
    return (time_s >= pair.knots[0, 0]) & (time_s <= pair.knots[-1, 0])


def errors_s(pair: Pair, frame_a: np.ndarray, frame_b: np.ndarray) -> np.ndarray:
    """How far each pair of frames is from the truth."""
    return np.abs((frame_b + 0.5) / FPS - pair.truth((frame_a + 0.5) / FPS))


# --- maps to compare with


def r1_frames(pair: Pair, params: Align) -> tuple[Warp, np.ndarray, np.ndarray]:
    """Recipe R1 with its own frame map and gate (facts: nearest b, least residual, runs)."""
    seven = params.features.model_copy(update={"delta_width": 7})
    a, b = (take_features(audio, seven).mel for audio in (pair.a, pair.b))
    path = warp(
        cosine_distances(a, b),
        weights=AlignSteps(diagonal=1.5, along_b=1.0, along_a=1.0),
        hop_s=0.01,
        backend="librosa",
    )
    count_a, count_b = np.bincount(path.cells_a), np.bincount(path.cells_b)
    curve = np.bincount(path.cells_a, weights=path.cells_b) / count_a
    cell_a = instants(pair.a) * 100
    exact = np.interp(cell_a, np.arange(len(curve)), curve) * FPS / 100 - 0.5
    nearest = np.clip(np.round(exact).astype(int), 0, len(instants(pair.b)) - 1)
    best: dict[int, int] = {}
    for frame, b_frame in enumerate(nearest):
        rival = best.get(b_frame)
        if rival is None or abs(exact[frame] - b_frame) < abs(exact[rival] - b_frame):
            best[b_frame] = frame
    frame_b = np.array(sorted(best))
    frame_a = np.array([best[frame] for frame in frame_b])

    def run(count: np.ndarray, frames: np.ndarray) -> np.ndarray:
        near = ((frames + 0.5) * 100 / FPS).astype(int)[:, None] + np.arange(-1, 2)
        return count[np.clip(near, 0, len(count) - 1)].max(axis=1)

    keep = (run(count_a, frame_a) < 8) & (run(count_b, frame_b) < 8)
    return path, frame_a[keep], frame_b[keep]


def naive_frames(pair: Pair) -> tuple[Warp, np.ndarray, np.ndarray]:
    """The first draft: librosa's default mel, dtw-python's defaults, path cells at video rate."""
    from dtw import dtw

    a, b = (librosa.feature.melspectrogram(y=audio, sr=16000).T for audio in (pair.a, pair.b))
    found = dtw(a, b)
    hop_s = 512 / 16000
    path = Warp(found.index1, found.index2, np.zeros(len(found.index1)), (len(a), len(b)), hop_s)
    return path, *frames_of(path, pair)


def papers_frames(pair: Pair) -> tuple[Warp, np.ndarray, np.ndarray]:
    """The papers' aligner at the benchmark's frame rate."""
    frame_a, frame_b = compat_pairs(pair.a, pair.b, fps=FPS, backend="librosa")
    inside = (frame_a < len(instants(pair.a))) & (frame_b < len(instants(pair.b)))
    shape = (int(frame_a[-1]) + 1, int(frame_b[-1]) + 1)
    path = Warp(frame_a, frame_b, np.zeros(len(frame_a)), shape, 1 / FPS)
    return path, frame_a[inside], frame_b[inside]


def frames_of(path: Warp, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Path cells as frames, without doubles."""
    cells = np.stack([path.cells_a, path.cells_b], axis=1) * path.hop_s * FPS
    last = [len(instants(pair.a)) - 1, len(instants(pair.b)) - 1]
    frames = np.unique(np.minimum(cells.astype(int), last), axis=0)
    return frames[:, 0], frames[:, 1]


# --- tables


def print_maps(pairs: list[Pair], ours: list[Alignment], params: Align) -> None:
    """Accuracy, coverage and boundary error of every aligner."""

    def from_ours(pair: Pair, found: Alignment) -> tuple[Warp, np.ndarray, np.ndarray]:
        frames = our_frames(pair, found, params)
        return found.warp, frames.frame_a, frames.frame_b

    by_name: dict[str, Callable[[Pair, Alignment], tuple[Warp, np.ndarray, np.ndarray]]] = {
        "ours, default gate": from_ours,
        "R1 and its gate": lambda pair, _: r1_frames(pair, params),
        "papers' aligner": lambda pair, _: papers_frames(pair),
        "naive first draft": lambda pair, _: naive_frames(pair),
    }
    print("\nWithin 40 ms %, coverage, boundary error median / p95 ms, ms a pair")
    for name, make in by_name.items():
        start = time.perf_counter()
        made = [make(pair, found) for pair, found in zip(pairs, ours, strict=True)]
        cost_ms = (time.perf_counter() - start) / len(pairs) * 1e3
        cells = [f"{name:20}"] + [_map_cell(pairs, made, which) for which in SETS]
        print(" | ".join(cells), f"| {cost_ms:.0f}")
    start = time.perf_counter()
    for pair in pairs:
        our_frames(pair, aligned(pair, params), params)
    seconds = np.mean([len(p.a) + len(p.b) for p in pairs]) / 32000
    each_ms = (time.perf_counter() - start) / len(pairs) * 1e3
    print(f"ours from audio to frames: {each_ms:.1f} ms a pair of {seconds:.1f} s takes")


def _map_cell(pairs: list[Pair], made: list[Any], which: str) -> str:
    within, coverage, boundary_ms = [], [], []
    for pair, (path, frame_a, frame_b) in zip(pairs, made, strict=True):
        if pair.set != which:
            continue
        keep = in_span(pair, frame_a)
        within.append(errors_s(pair, frame_a[keep], frame_b[keep]) <= TOLERANCE_S)
        coverage.append(keep.sum() / pair.frames)
        mapped = map_times(path.knots_s, pair.boundaries[:, 0])
        boundary_ms.append(np.abs(mapped - pair.boundaries[:, 1]) * 1e3)
    error = np.concatenate(boundary_ms)
    return (
        f"{which.upper()} {100 * np.concatenate(within).mean():6.2f} {np.mean(coverage):.3f} "
        f"{np.median(error):6.1f} / {np.percentile(error, 95):5.0f}"
    )


def print_curve(pairs: list[Pair], ours: list[Alignment], params: Align) -> None:
    """Accuracy against coverage as the gate moves; one gate for both sets."""
    print("\nWithin 40 ms % at coverage, one gate for both sets: all sentences, then the held-out")
    gates = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.99)
    for gate in gates:
        gated = ungated(params, gate)
        made = [our_frames(p, found, gated) for p, found in zip(pairs, ours, strict=True)]
        cells = [f"gate {gate:5.3f}"]
        for which in SETS:
            rows = [(p, f) for p, f in zip(pairs, made, strict=True) if p.set == which]
            held_out = [(p, f) for p, f in rows if p.sentence % 2 == 1]
            cells += [f"{which.upper()} {_at_coverage(rows)}", _at_coverage(held_out)]
        print(" | ".join(cells))


def _at_coverage(rows: list[tuple[Pair, FrameMap]]) -> str:
    within = [errors_s(p, f.frame_a, f.frame_b) <= TOLERANCE_S for p, f in rows]
    coverage = np.mean([len(f) / p.frames for p, f in rows])
    return f"{100 * np.concatenate(within).mean():6.2f} at {coverage:.3f}"


def print_calibration(pairs: list[Pair], ours: list[Alignment], params: Align) -> None:
    """What frames claim against what is so, on held-out sentences; no gate."""
    rows = [row for row in _claims(pairs, ours, ungated(params, 0.0)) if row[1] % 2 == 1]
    hard = np.array([row[0] == "hard" for row in rows])
    claim, error, likely = (np.array([row[k] for row in rows]) for k in (2, 3, 4))
    print("\nClaimed error (held out): frames that keep their claim %, share of frames %")
    edges_ms = (0, 15, 20, 25, 30, 40, 60, 90, 130, 200, 501)
    for low, high in pairwise(edges_ms):
        chosen = (claim >= low / 1e3) & (claim < high / 1e3)
        _bin(f"{low:3}-{high} ms", chosen, error <= claim, hard)
    _bin("under 40 ms: within 40 ms", claim < TOLERANCE_S, error <= TOLERANCE_S, hard)
    print("\nConfidence (held out): within 40 ms %, share of frames %")
    edges = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.001)
    for low, high in pairwise(edges):
        _bin(f"{low:.2f}-{high:.2f}", (likely >= low) & (likely < high), error <= TOLERANCE_S, hard)


def _bin(name: str, within: np.ndarray, holds: np.ndarray, hard: np.ndarray) -> None:
    cells = []
    for label, which in (("SAME", ~hard), ("HARD", hard), ("both", hard | True)):
        chosen = within & which
        kept = f"{100 * holds[chosen].mean():6.2f}" if chosen.any() else "     -"
        cells.append(f"{label} {kept} ({100 * chosen.sum() / which.sum():4.1f})")
    print(f"{name:26}", " | ".join(cells))


def _claims(pairs: list[Pair], ours: list[Alignment], params: Align) -> Iterable[Any]:
    for pair, found in zip(pairs, ours, strict=True):
        frames = our_frames(pair, found, params)
        error = errors_s(pair, frames.frame_a, frames.frame_b)
        for k in range(len(frames)):
            yield pair.set, pair.sentence, frames.error_s[k], error[k], frames.confidence[k]


def print_identity(pairs: list[Pair], params: Align) -> None:
    """Right sentences against wrong ones of like length."""
    takes: dict[str, TakeFeatures] = {p.name_a: take_features(p.a, params.features) for p in pairs}
    spans = {p.name_a: np.ptp(p.knots[:, 0]) for p in pairs}
    print("\nSame sentence: AUC; score of right pairs p50 / p95, of wrong ones p5 / p50")
    for which in SETS:
        right, wrong = [], []
        for pair in (p for p in pairs if p.set == which):
            b = take_features(pair.b, params.features)
            for name, a in takes.items():
                if 0.75 < spans[name] / spans[pair.name_a] < 1.33:
                    (right if name == pair.name_a else wrong).append(same_sentence(a, b, params))
        auc = roc_auc_score(np.repeat([0, 1], [len(right), len(wrong)]), right + wrong)
        print(
            f"{which.upper()} {auc:.4f}; {np.percentile(right, 50):.2f} / "
            f"{np.percentile(right, 95):.2f}; {np.percentile(wrong, 5):.2f} / "
            f"{np.percentile(wrong, 50):.2f} ({len(right)} right, {len(wrong)} wrong)"
        )


def print_spans(pairs: list[Pair], ours: list[Alignment], params: Align) -> None:
    """Stretches of 150-400 ms cut out of b, or doubled in it, at phoneme boundaries."""
    rng = np.random.default_rng(7)
    print("\nOdd stretches noticed %: at 5 % false alarms in each set; at the limit of params")
    for which in SETS:
        chosen = [(p, f) for p, f in zip(pairs, ours, strict=True) if p.set == which]
        clean = np.array([found.odd_span.score for _, found in chosen])
        limit = np.percentile(clean, 95)
        cells = [f"limit {limit:.2f}, false alarms at 1: {100 * (clean >= 1).mean():.0f} %"]
        every = []
        for edit in (cut, double):
            scores = np.array(
                [_edited_score(p, edit, rng, params) for p, _ in chosen for _ in range(4)]
            )
            every.append(scores)
            cells.append(f"{edit.__name__} {_noticed(scores, limit)}")
        cells.append(f"all {_noticed(np.concatenate(every), limit)}")
        print(which.upper(), " | ".join(cells))


def _noticed(scores: np.ndarray, limit: float) -> str:
    return f"{100 * (scores > limit).mean():.1f}, {100 * (scores >= 1).mean():.1f}"


def _edited_score(
    pair: Pair,
    edit: Callable[[np.ndarray, int, int], np.ndarray],
    rng: np.random.Generator,
    params: Align,
) -> float:
    onset = pair.boundaries[1:-1, 1]
    length = onset[None, :] - onset[:, None]
    start, stop = rng.permutation(np.argwhere((length >= 0.15) & (length <= 0.4)))[0]
    audio = edit(pair.b, int(onset[start] * 16000), int(onset[stop] * 16000))
    return aligned(dataclasses.replace(pair, b=audio), params).odd_span.score


def cut(audio: np.ndarray, start: int, stop: int) -> np.ndarray:
    """`audio` without a stretch."""
    return np.concatenate([audio[:start], audio[stop:]])


def double(audio: np.ndarray, start: int, stop: int) -> np.ndarray:
    """`audio` with a stretch twice."""
    return np.concatenate([audio[:stop], audio[start:]])


def print_ravdess(folder: Path, params: Align) -> None:
    """Which statement a take says, against the same actor's neutral takes; names hidden."""
    takes = {}
    for path in sorted(folder.rglob("03-*.wav")):
        audio = librosa.load(path, sr=params.features.sample_rate)[0]
        takes[tuple(int(v) for v in path.stem.split("-"))] = take_features(audio, params.features)
    right, own, twin = 0, [], []
    for key, take in takes.items():
        if key[2] == 1:
            continue
        scores = {
            other[4]: same_sentence(takes[other], take, params)
            for other in takes
            if other[2] == 1 and other[6] == key[6] and other[5] == 1
        }
        right += min(scores, key=lambda statement: scores[statement]) == key[4]
        own.append(scores[key[4]])
        twin.append(scores[3 - key[4]])
    auc = roc_auc_score(np.repeat([0, 1], len(own)), own + twin)
    print(
        f"\nRAVDESS: right statement {right} of {len(own)}; against the twin: AUC {auc:.3f}, "
        f"right p50 / p95 {np.percentile(own, 50):.2f} / {np.percentile(own, 95):.2f}, "
        f"twin p5 / p50 {np.percentile(twin, 5):.2f} / {np.percentile(twin, 50):.2f}"
    )


def fit(pairs: list[Pair], params: Align) -> dict[str, float]:
    """The calibration, by logistic regression over the frames of even sentences."""
    even = [pair for pair in pairs if pair.sentence % 2 == 0]
    plain = AlignCalibration(intercept=0.0, mass=1.0, tempo=0.0)
    frames = params.frames.model_copy(update={"min_confidence": 0.0, "calibration": plain})
    raw = params.model_copy(update={"frames": frames})
    inputs, holds = [], []
    for pair in even:
        frames = our_frames(pair, aligned(pair, raw), raw)
        share = np.clip(frames.confidence, 1e-4, 1 - 1e-6)
        inputs.append(np.stack([np.log(share / (1 - share)), np.abs(np.log(frames.slope))], axis=1))
        holds.append(errors_s(pair, frames.frame_a, frames.frame_b) <= TOLERANCE_S)
    model = LogisticRegression(C=100).fit(np.concatenate(inputs), np.concatenate(holds))
    mass, tempo = model.coef_[0]
    return {"intercept": float(model.intercept_[0]), "mass": float(mass), "tempo": float(tempo)}


if __name__ == "__main__":
    main()
