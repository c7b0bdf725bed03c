"""align against the papers' aligner and against its own bare arithmetic, on real audio.

    python -m benchmarks.align_speed [--corpus ravdess --root FOLDER] [--rounds 3]

Without a folder the demo's corpus is taken (`--corpus demo --root data/demo/corpus`). All run on
one thread of one core. Ours is the stage itself over a corpus that extract has left: features once
a take, the verdict, the error of each frame and odd words beside the pairs; then its pairs alone,
the features at hand. The papers' aligner (SCMCL) reads and resamples both takes for every pair,
takes MFCC at 30 a second, and compares and warps them cell by cell in Python. The script that one
would write does so with librosa. The floor is the matrix of distances and librosa's warp at our ten
milliseconds, on features that are there. The resolution of sentences scores neutral takes against
others, 40 against 210 in the papers' corpus.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import librosa
import numpy as np

from benchmarks.racing import Case, Took, crew, race, spread, table
from pipeline import media, params
from pipeline.alignment import word_mismatch as spans
from pipeline.alignment.batched_scores import score_table
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.alignment.scmcl_baseline import compat_features
from pipeline.alignment.warping_path import cosine_distances, warp
from pipeline.params import Dataset
from pipeline.records import Clip, Pair, Sentence
from pipeline.runtime.run import Options, Run
from pipeline.runtime.tables import read_rows
from pipeline.stages.align import stage as align
from pipeline.stages.align.pairs import Candidate, PairMaker, candidates
from pipeline.stages.align.utterances import Recordings, group
from pipeline.stages.align.worker import read_track
from pipeline.stages.extract import stage as extract
from pipeline.stages.extract.worker import AUDIO

SPEAKERS, TAKES, ANCHORS, PAIRS = 36, 250, 40, 2808
"""The papers' corpus: speakers, takes of each, neutral ones among them, clip pairs."""
FPS = 30.0
RATE = 16000


@dataclass(frozen=True)
class Corpus:
    """What the cases work on: a run that has extract, its clips and pairs, where audio came from.

    `files` are the corpus's own, by take.
    """

    run: Run
    clips: dict[str, Clip]
    pairs: list[Pair]
    files: dict[str, Path]


def prepare(corpus: str, root: Path, folder: Path) -> Corpus:
    """Extract and align a corpus's audio, once; its images are left out."""
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
    return Corpus(run, {c.take_id: c for c in clips}, pairs, files)


def stage(found: Corpus) -> float:
    """The stage over the corpus, nothing reused; how many pairs."""
    options = replace(found.run.options, force=True)
    align.run(replace(found.run, options=options))
    return len(found.pairs)


def paired(found: Corpus) -> float:
    """The stage's own pairs, made of features that are at hand; how many."""
    made = 0
    spans._repetition.cache_clear()  # of the round before
    for maker, tried in _makers(found):
        made += len([maker.make(candidate).to_row() for candidate in tried])
    return made


_kept: list[tuple[PairMaker, list[Candidate]]] = []


def _makers(found: Corpus) -> list[tuple[PairMaker, list[Candidate]]]:
    """What makes each speaker's pairs, and of what; brought up once a process."""
    if not _kept:
        section = found.run.params.align
        sentences = read_rows(found.run.table("align", "sentences"), Sentence)
        track = partial(read_track, found.run.items("extract"), section.audio_fps)
        wanted = {pair.pair_id for pair in found.pairs}
        for speaker in sorted({clip.speaker for clip in found.clips.values()}):
            own = [row for row in sentences if row.speaker == speaker]
            utterances = group(c for c in found.clips.values() if c.speaker == speaker)
            splits = {row.utterance_id: row.split for row in own}
            recordings = Recordings(partial(_stored, found), section.features)
            for utterance in utterances:
                recordings.features(utterance.reference)
            maker = PairMaker(recordings, track, section, splits)
            tried = [c for c in candidates(utterances, own, section) if c.id in wanted]
            _kept.append((maker, tried))
    return _kept


def papers(found: Corpus) -> float:
    """SCMCL's aligner, pair by pair; how many."""
    for pair in found.pairs:
        a, b = (compat_features(_loaded(found, t), hop_s=1 / FPS) for t in _takes(pair))
        _loop(a, b)
    return len(found.pairs)


def scripted(found: Corpus) -> float:
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
    return len(found.pairs)


def floor(found: Corpus) -> float:
    """Distances and a warp on features that are there, at the stage's own ten milliseconds."""
    section = found.run.params.align
    for pair in found.pairs:
        a, b = (features(found, take).mel for take in _takes(pair))
        warp(cosine_distances(a, b), weights=section.steps, hop_s=0.01, backend="librosa")
    return len(found.pairs)


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


def _loaded(found: Corpus, take: str) -> np.ndarray:
    """A take's own file at 16 kHz, read anew as those scripts do."""
    path = found.files[take]
    if path.suffix in {".wav", ".flac"}:
        return librosa.load(path, sr=RATE)[0]
    decoded = media.decode_audio(path, RATE, 1e4)
    assert decoded is not None
    return decoded.samples


_known: dict[str, TakeFeatures] = {}


def features(found: Corpus, take: str) -> TakeFeatures:
    """Features of a take, kept."""
    if take not in _known:
        wanted = found.run.params.align.features
        _known[take] = take_features(_stored(found, found.clips[take]), wanted)
    return _known[take]


def _stored(found: Corpus, clip: Clip) -> np.ndarray:
    """A take's audio as extract left it."""
    unit = f"{clip.speaker}/{clip.take_id}"
    return media.read_flac(found.run.items("extract").path(unit, AUDIO))


def scored(found: Corpus) -> float:
    """Scores of neutral takes with others of the same corpus; how many."""
    takes = [features(found, take) for take in sorted(found.clips)]
    half = max(len(takes) // 4, 1)
    tried = np.ones((half, len(takes) - half), bool)
    steps = found.run.params.align.steps
    score_table(takes[:half], takes[half:], tried, steps)
    return tried.size


def read_and_featured(found: Corpus) -> float:
    """Every take's audio read and its features taken; how many."""
    _known.clear()
    for take in found.clips:
        features(found, take)
    return len(found.clips)


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


OURS, ALONE, PAPERS = "ours, the whole stage", "ours, features at hand", "the papers' aligner"
SCRIPT, FLOOR = "a script with librosa", "floor: distances and warp alone"
FEATURES, SCORES = "features, read from FLAC", "same-sentence scores"


def _print(found: Corpus, rounds: int) -> None:
    work = {
        OURS: stage, ALONE: paired, FLOOR: floor, PAPERS: papers, SCRIPT: scripted,
        FEATURES: read_and_featured, SCORES: scored,
    }  # fmt: skip
    with crew(1) as one:
        cases: dict[str, Case] = {name: partial(one, do, [found]) for name, do in work.items()}
        took = race(cases, rounds)
    seconds = [c.audio_end_s - c.audio_start_s for c in found.clips.values()]
    mean_s = float(np.mean(seconds))
    title = f"align: {len(found.pairs)} pairs of {len(found.clips)} takes of {mean_s:.1f} s"
    names = (OURS, ALONE, FLOOR, PAPERS, SCRIPT)
    table(title, "pairs", {name: took[name] for name in names}, FLOOR)
    for own in (OURS, ALONE):
        for other in (PAPERS, SCRIPT):
            print(f"{own} over {other}: {spread(took, own, other)}")
    parts = {name: took[name] for name in (FEATURES, SCORES)}
    table("resolution of sentences", "units", parts, SCORES)
    _project(took, mean_s)


def _project(took: Mapping[str, list[Took]], mean_s: float) -> None:
    """Seconds for the papers' corpus on two cores, by the processor's time of one."""
    n_scores = SPEAKERS * ANCHORS * (TAKES - ANCHORS)
    work = {
        f"{PAIRS} pairs": (PAIRS, ALONE),
        f"features of {SPEAKERS * TAKES} takes": (SPEAKERS * TAKES, FEATURES),
        f"{n_scores} scores": (n_scores, SCORES),
    }
    parts = {
        name: n * float(np.median([t.cpu_s / t.units for t in took[case]]))
        for name, (n, case) in work.items()
    }
    told = ", ".join(f"{name} {part:.0f} s" for name, part in parts.items())
    print(
        f"the papers' {SPEAKERS} speakers of {TAKES} takes (as long as these, {mean_s:.1f} s), two "
        f"cores: {sum(parts.values()) / 2:.0f} s (one core: {told})"
    )


if __name__ == "__main__":
    main()
