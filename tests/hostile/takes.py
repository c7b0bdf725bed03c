"""One file through all that reads media: extract's own function, and align-pair's reading."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline import media, params
from pipeline.corpora.scan import AUDIO_SUFFIXES
from pipeline.digests import sha256_of
from pipeline.errors import REASONS, Reject
from pipeline.faces.mesh import MeshTracker
from pipeline.records import FRAMES_SCHEMA, Clip, Take
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.extract import stage as extract
from pipeline.stages.extract.worker import AUDIO, FRAMES, extract_take
from tests.builders.takes import talking
from tests.hostile.mutate import mutant

REAL = 9
"""One case in so many is looked at by the real face mesh."""


class Spoilt(NamedTuple):
    """A case: a valid take, how it is spoilt, and the name that it bears."""

    seed_file: str
    mutator: str
    seed: int
    suffix: str


class Given(NamedTuple):
    """A case: a file as it is."""

    path: str


class StandIn:
    """Tracker and finder that see one face wherever they look, at the cost of nothing.

    What is spoilt are files, not pixels: the mesh sees images of the right shape in either case,
    and takes nearly all of the time. One case in `REAL` goes through the mesh itself.
    """

    def __init__(self) -> None:
        tracker = MeshTracker()
        image = talking(1)[0]
        found = tracker.track(image)
        assert found is not None
        self._landmarks = found / image.shape[0]
        self.tracker = self.finder = self

    def restart(self) -> None:
        """Forget nothing: nothing is remembered."""

    def track(self, rgb: Any) -> Any:
        """The face, in the middle."""
        return self._landmarks * (rgb.shape[1], rgb.shape[0], rgb.shape[1])

    def best(self, rgb: Any) -> tuple[float, None]:
        """A sure face, upright as the first to be asked; without keypoints."""
        return 1.0, None

    def confirm(self, rgb: Any) -> Any:
        """The same without irises."""
        return self.track(rgb)[:468]

    def propose(self, rgb: Any) -> list[tuple[float, float, float, float]]:
        """One box, in the middle."""
        height, width = rgb.shape[:2]
        return [(0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height)]


class Bench(NamedTuple):
    """What a worker keeps: tools, parameters, a folder of its own."""

    tools: extract.Tools
    stand_in: StandIn
    section: params.Extract
    folder: Path


def make_bench(seeds: Path) -> Bench:
    """The state of a worker."""
    section = params.load(None).extract
    folder = Path(tempfile.mkdtemp(dir=seeds.parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Bench(extract.Tools(), StandIn(), section, folder)


def spoilt_cases(seeds: list[Path], count: int, seed: int) -> list[tuple[str, Spoilt]]:
    """That many cases, (mutator, case): all mutators and all takes alike, names by chance."""
    from tests.hostile.mutate import MUTATORS

    rng = random.Random(seed)
    suffixes = [".mp4", ".wav", ".mkv", ".avi", ".m4a", ".mpg", ".webm", ".flac"]
    found = []
    for i in range(count):
        mutator = list(MUTATORS)[i % len(MUTATORS)]
        path = rng.choice(seeds)
        wrong = rng.random() < 0.15
        suffix = rng.choice(suffixes) if wrong else path.suffix
        found.append((mutator, Spoilt(str(path), mutator, seed * 1_000_000 + i, suffix)))
    return found


def try_media(bench: Bench, case: Spoilt | Given) -> str:
    """`output`, or the reject's reason as an exception; other errors pass."""
    if isinstance(case, Given):
        path = Path(case.path)
        return _judged(bench, bench.tools, path, path.parent, path.name, None)
    raw = Path(case.seed_file).read_bytes()
    path = bench.folder / f"take{case.suffix}"
    path.write_bytes(mutant(case.mutator, case.seed, raw))
    tools = bench.tools if case.seed % REAL == 0 else bench.stand_in
    if case.seed % 4 == 0:  # as a member of a tar: a stream, not a path
        with tarfile.open(bench.folder / "all.tar", "w") as archive:
            archive.add(path, "in/take" + case.suffix)
        return _judged(bench, tools, path, bench.folder, "all.tar", "in/take" + case.suffix)
    return _judged(bench, tools, path, bench.folder, path.name, None)


def _judged(bench: Bench, tools: Any, path: Path, root: Path, name: str, member: str | None) -> str:
    before = sha256_of(path)
    timeline = _timeline(path)
    store = ItemStore(bench.folder / "items")
    ok = path.suffix.lower() in AUDIO_SUFFIXES
    take = _take(name, member, ok)
    job = extract.Job(take, "train", root, bench.section)
    outcome = extract_take(tools, store, "s/t", job)
    if sha256_of(path) != before:
        return "TOUCHED"
    if outcome.rejects:
        row = outcome.rejects[0]
        assert row.reason in REASONS, row
        assert "\n" not in row.detail, row
        assert len(row.detail) < 1000, row
        left = [p for p in store.folder.rglob("*") if p.is_file()]
        assert not left, left
        raise Reject(row.reason, row.detail)
    _check_output(store, outcome)
    return "output" if timeline == "output" else f"output (align-pair: {timeline})"


def _timeline(path: Path) -> str:
    try:
        found = media.read_timeline(path)
    except Reject as reject:
        return reject.reason
    assert np.isfinite(found.audio.samples).all()
    if found.frames_s is not None:
        assert np.isfinite(found.frames_s).all()
        assert (np.diff(found.frames_s) > 0).all()
    return "output"


def _check_output(store: ItemStore, outcome: UnitResult) -> None:
    """What was kept holds together: numbers finite, times rising, rows counted."""
    (row,) = outcome.rows["clips"]
    clip = Clip.from_row(row)
    json.dumps(row, allow_nan=False)
    samples = media.read_flac(store.path("s/t", AUDIO))
    assert len(samples)
    assert np.isfinite(samples).all()
    if clip.has_video:
        table = read_table(store.path("s/t", FRAMES), FRAMES_SCHEMA)
        assert table.num_rows == clip.n_frames
        times = np.array(table["time_s"])
        assert (np.diff(times) > 0).all()
        assert (np.array(table["duration_s"]) > 0).all()
    for suffix in outcome.suffixes:
        store.path("s/t", suffix).unlink()


def _take(name: str, member: str | None, ok: bool) -> Take:
    video = (None, None) if ok else (name, member)
    audio = (name, member) if ok else (None, None)
    return Take(
        take_id="t", utterance_id="u", dataset="made", speaker="s", emotion="neutral", level=1,
        view="front", take="t", sentence="x", sentence_source="manifest", video_path=video[0],
        video_member=video[1], audio_path=audio[0], audio_member=audio[1],
    )  # fmt: skip


def setup_for(seeds: Path) -> Any:
    """The setup of `try_all`."""
    return partial(make_bench, seeds)
