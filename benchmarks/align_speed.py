"""align against the papers' aligner and against its own bare arithmetic, on real sound.

    python -m benchmarks.align_speed [--corpus ravdess --root FOLDER] [--rounds 3]

Without a folder the demo's corpus is taken (`--corpus demo --root data/demo/corpus`). All run on
one core. Ours is the stage itself over a corpus that extract has left: features once a take, the
verdict, the error of each frame and odd words beside the pairs. The papers' aligner (SCMCL) reads
and resamples both sounds for every pair, takes MFCC at 30 a second, and compares and warps them
cell by cell in Python. The script that one would write does so with librosa. The floor is the
matrix of distances and librosa's warp at our ten milliseconds, on features that are there. The
resolution of sentences scores neutral takes against others, 40 against 210 in the papers' corpus.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import librosa
import numpy as np

from benchmarks.racing import Case, race, spread, table, timed
from pipeline import media, params
from pipeline.dtw.compat import compat_features
from pipeline.dtw.features import TakeFeatures, take_features
from pipeline.dtw.many import score_table
from pipeline.dtw.path import cosine_distances, warp
from pipeline.pairing.settings import split_section
from pipeline.params import Dataset
from pipeline.records import Clip, Pair
from pipeline.run import Options, Run
from pipeline.stages import align, extract
from pipeline.tables import read_rows

SPEAKERS, TAKES, ANCHORS, PAIRS = 36, 250, 40, 2808
"""The papers' corpus: speakers, takes of each, neutral ones among them, clip pairs."""
FPS = 30.0
RATE = 16000
_SAMPLE = 20


@dataclass(frozen=True)
class Sounds:
    """What the cases work on: a run that has extract, its clips and pairs, where sounds came from.

    `files` are the corpus's own, by take.
    """

    run: Run
    clips: dict[str, Clip]
    pairs: list[Pair]
    files: dict[str, Path]


def prepare(corpus: str, root: Path, folder: Path) -> Sounds:
    """Extract and align a corpus's sound, once; its pictures are left out."""
    every: dict[str, list[str]] = {"speakers": [], "emotions": [], "levels": [], "views": []}
    entry = Dataset.model_validate(
        {"corpus": corpus, "root": str(root), "select": every, "split": "by_speaker"}
    )
    loaded = params.load(None).model_copy(update={"datasets": {"it": entry}})
    run = Run("it", loaded, folder, Options(engine="serial", workers=1))
    extract.run(run)
    align.run(run)
    clips = read_rows(run.table("extract", "clips"), Clip)
    pairs = read_rows(run.table("align", "pairs"), Pair)
    files = {c.take_id: root / str(c.audio_path or c.video_path) for c in clips}
    return Sounds(run, {c.take_id: c for c in clips}, pairs, files)


def stage(found: Sounds) -> None:
    """The stage over the corpus, nothing reused."""
    options = replace(found.run.options, force=True)
    align.run(replace(found.run, options=options))


def papers(found: Sounds) -> None:
    """SCMCL's aligner, pair by pair."""
    for pair in found.pairs:
        a, b = (compat_features(_loaded(found, t), hop_s=1 / FPS) for t in _takes(pair))
        _loop(a, b)


def scripted(found: Sounds) -> None:
    """The same by librosa: its mel, its warp."""
    for pair in found.pairs:
        mels = [
            librosa.power_to_db(
                librosa.feature.melspectrogram(
                    y=_loaded(found, take), sr=RATE, n_mels=40, hop_length=round(RATE / FPS)
                )
            )
            for take in _takes(pair)
        ]
        librosa.sequence.dtw(*mels)


def floor(found: Sounds) -> None:
    """Distances and a warp on features that are there, at the stage's own ten milliseconds."""
    section = split_section(found.run.params.align).align
    for pair in found.pairs:
        a, b = (features(found, take).mel for take in _takes(pair))
        warp(cosine_distances(a, b), weights=section.steps, hop_s=0.01, backend="librosa")


def _loop(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances, sums and the way back cell by cell in Python, as SCMCL's `align_by_audios.py`."""
    n, m = len(a), len(b)
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = np.linalg.norm(a[i] - b[j], ord=1)
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] += min([total[i, j], total[i, j + 1], total[i + 1, j]])
    i, j = n - 1, m - 1
    path = [(i, j)]
    while i > 0 or j > 0:
        step = int(np.argmin((total[i, j], total[i, j + 1], total[i + 1, j])))
        i, j = i - (step != 2), j - (step != 1)
        path.append((i, j))
    return np.array(path[::-1])


def _takes(pair: Pair) -> tuple[str, str]:
    return pair.take_a, pair.take_b


def _loaded(found: Sounds, take: str) -> np.ndarray:
    """A take's own file at 16 kHz, read anew as those scripts do."""
    path = found.files[take]
    if path.suffix in {".wav", ".flac"}:
        return librosa.load(path, sr=RATE)[0]
    decoded = media.decode_sound(path, RATE, 1e4)
    assert decoded is not None
    return decoded.samples


_known: dict[str, TakeFeatures] = {}


def features(found: Sounds, take: str) -> TakeFeatures:
    """Features of a take, kept."""
    if take not in _known:
        clip = found.clips[take]
        path = found.run.items("extract").path(f"{clip.speaker}/{take}", extract.AUDIO)
        wanted = split_section(found.run.params.align).align.features
        _known[take] = take_features(media.read_flac(path), wanted)
    return _known[take]


def resolution(found: Sounds) -> tuple[int, Callable[[], object]]:
    """Scores of neutral takes with others of the same corpus, and how many they are."""
    takes = [features(found, take) for take in sorted(found.clips)][: 2 * _SAMPLE]
    half = len(takes) // 2
    tried = np.ones((half, len(takes) - half), bool)
    steps = split_section(found.run.params.align).align.steps
    return tried.size, lambda: score_table(takes[:half], takes[half:], tried, steps)


def read_and_featured(found: Sounds) -> None:
    """Every take's sound read and its features taken."""
    _known.clear()
    for take in found.clips:
        features(found, take)


def main(arguments: list[str] | None = None) -> None:
    """Print the table and what it means for the papers' corpus."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--root", type=Path, default=Path("data/demo/corpus"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="align_speed_"))
    try:
        _print(prepare(options.corpus, options.root, folder), options.rounds)
    finally:
        shutil.rmtree(folder)


def _print(found: Sounds, rounds: int) -> None:
    n, n_takes = len(found.pairs), len(found.clips)
    n_scores, score = resolution(found)
    cases: dict[str, Case] = {
        "ours, the whole stage": lambda: timed(n, lambda: stage(found)),
        "floor: distances and warp alone": lambda: timed(n, lambda: floor(found)),
        "the papers' aligner": lambda: timed(n, lambda: papers(found)),
        "a script with librosa": lambda: timed(n, lambda: scripted(found)),
    }
    took = race(cases, rounds)
    mean_s = np.mean([c.audio_end_s - c.audio_start_s for c in found.clips.values()])
    table(
        f"align: {n} pairs of {n_takes} takes of {mean_s:.1f} s", "pairs", took,
        "floor: distances and warp alone",
    )  # fmt: skip
    for other in ("the papers' aligner", "a script with librosa"):
        print(f"ours over {other}: {spread(took, 'ours, the whole stage', other)}")
    parts = race(
        {
            "features, read from FLAC": lambda: timed(n_takes, lambda: read_and_featured(found)),
            "same-sentence scores": lambda: timed(n_scores, score),
        },
        rounds,
    )
    table("resolution of sentences", "units", parts, "same-sentence scores")
    _project(took["ours, the whole stage"], *parts.values(), float(mean_s))


def _project(pairs: list, takes: list, scores: list, mean_s: float) -> None:
    """Seconds for the papers' corpus on two cores, by the processor's time of one."""

    @cache
    def each(kind: int) -> float:
        return float(np.median([t.cpu_s / t.units for t in (pairs, takes, scores)[kind]]))

    n_scores = SPEAKERS * ANCHORS * (TAKES - ANCHORS)
    parts = (PAIRS * each(0), SPEAKERS * TAKES * each(1), n_scores * each(2))
    told = ", ".join(
        f"{name} {part:.0f} s"
        for name, part in zip(
            (f"{PAIRS} pairs", "features", f"{n_scores} scores"), parts, strict=True
        )
    )
    print(
        f"the papers' {SPEAKERS} speakers of {TAKES} takes (as long as these, {mean_s:.1f} s), two "
        f"cores: {sum(parts) / 2:.0f} s (one core: {told})"
    )


if __name__ == "__main__":
    main()
