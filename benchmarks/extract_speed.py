"""extract against its floor and against the script that one would write, and how right it is.

    python -m benchmarks.extract_speed [--corpus mead --root FOLDER] [--takes N] [--rounds 3]

Without a folder the demo's corpus is taken (`--corpus demo --root data/demo/corpus`). The floor
decodes every frame and asks the face mesh, with the stage's own options, of pictures that lie
ready: no conversion, no crop, nothing is written. The naive script converts every frame to RGB
whole, asks the mesh of it, cuts the head out, shrinks it and writes it, and has ffmpeg write the
sound; one process, as it would be, and two. `pixels` compares landmarks with those of the whole
frames, tracked at full resolution.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soundfile

from benchmarks.racing import Case, crew, race, spread, table
from pipeline import corpora, params
from pipeline.extracting.take import FRAMES, Job, Tools
from pipeline.faces.crop import square_for
from pipeline.faces.finding import faces_in
from pipeline.faces.mesh import MeshTracker
from pipeline.media import Limits, decode_sound, open_video
from pipeline.params import Dataset
from pipeline.records import Take
from pipeline.reuse import ItemStore
from pipeline.stages.extract import extract_take
from pipeline.tables import read_table
from pipeline.tracks import landmarks_of

PAPERS_FRAMES = 7560 * 4 * 30
"""36 speakers of MEAD, 30 frames a second."""
_READY = 6  # pictures of a take that the floor shows in turn
_LIMITS = Limits(1 << 26, 1e4)
_tools: list[Tools] = []
_ready: dict[str, list[np.ndarray]] = {}


def tools() -> Tools:
    """The worker's face models."""
    if not _tools:
        _tools.append(Tools())
    return _tools[0]


def ours(out: Path, job: Job) -> float:
    """The stage's own worker."""
    outcome = extract_take(tools(), ItemStore(out), job.take.take_id, job)
    if outcome.rejects:
        raise SystemExit(f"{job.take.take_id} is rejected: {outcome.rejects[0].detail}")
    return float(outcome.rows["clips"][0]["n_frames"])


def floor(job: Job) -> float:
    """Decode, and the mesh on pictures that are there."""
    pictures = ready(job)
    tracker = tools().tracker
    tracker.restart()
    n = 0
    for n, _ in enumerate(frames_of(job), 1):
        tracker.track(pictures[n % len(pictures)])
    return n


def decode(job: Job) -> float:
    """Decode alone."""
    return sum(1 for _ in frames_of(job))


def mesh(job: Job) -> float:
    """The mesh alone, as often as the take has frames."""
    pictures = ready(job)
    tracker = tools().tracker
    tracker.restart()
    n = len(_frames[job.take.take_id])
    for k in range(n):
        tracker.track(pictures[k % len(pictures)])
    return n


_frames: dict[str, range] = {}


def frames_of(job: Job) -> Any:
    """The decoder's frames, one thread."""
    with av.open(str(path_of(job))) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def path_of(job: Job) -> Path:
    """Where a take's picture lies."""
    assert job.take.video is not None
    return job.root / job.take.video.path


def ready(job: Job) -> list[np.ndarray]:
    """A few of a take's pictures as the stage shows them to the mesh."""
    name = job.take.take_id
    if name not in _ready:
        section = job.section
        with open_video(path_of(job), _LIMITS) as video:
            assert video is not None
            pictures, n = [], 0
            for frame in video.frames():
                if not n:
                    face = faces_in(frame, tools().finder, section.mesh_px, thorough=True)[0]
                    square = square_for([face], section.crop_margin, section.crop_px)
                if n < _READY:
                    px = min(section.mesh_px, square.stored_px)
                    pictures.append(frame.cut(square.box, px, px))
                n += 1
        _ready[name], _frames[name] = pictures, range(n)
    return _ready[name]


def naive(out: Path, refined: bool, job: Job) -> float:
    """What one would write: OpenCV, the whole frame in RGB, files of pictures, ffmpeg's sound."""
    from mediapipe.python.solutions import face_mesh

    folder = out / "naive" / job.take.take_id
    folder.mkdir(parents=True, exist_ok=True)
    capture, points, square = cv2.VideoCapture(str(path_of(job))), [], None
    with face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=refined) as model:
        while True:
            there, bgr = capture.read()
            if not there:
                break
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            height, width = rgb.shape[:2]
            found = model.process(rgb).multi_face_landmarks
            if found:
                points.append([(p.x * width, p.y * height, p.z * width) for p in found[0].landmark])
            if square is None:
                square = _square(np.array(points[0]), width, height, job.section.crop_margin)
            x, y, side = square
            crop = bgr[y : y + side, x : x + side]
            px = min(side, job.section.crop_px)
            small = cv2.resize(crop, (px, px), interpolation=cv2.INTER_AREA)
            quality = [cv2.IMWRITE_JPEG_QUALITY, job.section.jpeg_quality]
            cv2.imwrite(str(folder / f"{len(points):05}.jpg"), small, quality)
    np.save(folder / "landmarks.npy", np.array(points, np.float32))
    _naive_sound(path_of(job), folder / "sound.wav", job.section.sample_rate_hz)
    return len(points)


def _naive_sound(source: Path, target: Path, rate_hz: int) -> None:
    """By ffmpeg; by our own decoder where there is none, which is sooner."""
    if shutil.which("ffmpeg") is None:
        sound = decode_sound(source, rate_hz, 1e4)
        assert sound is not None
        soundfile.write(target, sound.samples, rate_hz)
        return
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-vn", "-ac", "1", "-ar", str(rate_hz),
         str(target)], check=True,
    )  # fmt: skip


def _square(points: np.ndarray, width: int, height: int, margin: float) -> tuple[int, int, int]:
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    side = int(min(margin * (high - low).max(), width, height))
    x, y = ((low + high) / 2 - side / 2).astype(int)
    return max(0, min(x, width - side)), max(0, min(y, height - side)), side


def pixels(out: Path, job: Job) -> np.ndarray:
    """How far each landmark (n, 478) is from that of the whole frame, tracked at full size."""
    ours(out, job)
    item = ItemStore(out).path(job.take.take_id, FRAMES)
    stored = landmarks_of(read_table(item, columns=["landmarks"])["landmarks"])
    tracker = MeshTracker()
    tracker.restart()
    away = []
    for frame, own in zip(frames_of(job), stored, strict=True):
        whole = tracker.track(frame.to_ndarray(format="rgb24"))
        if whole is not None:
            away.append(np.linalg.norm(own[:, :2] - whole[:, :2], axis=1))
    return np.array(away)


def jobs(corpus: str, root: Path, most: int) -> list[Job]:
    """Takes with a picture, the longest first; the first `most` by name."""
    every: dict[str, list[str]] = {"speakers": [], "emotions": [], "levels": [], "views": []}
    entry = Dataset.model_validate(
        {"corpus": corpus, "root": str(root), "select": every, "split": "by_speaker"}
    )
    found = [t for t in corpora.list_takes(corpus, entry, root).takes if t.video is not None]
    chosen: list[Take] = found[:: max(1, len(found) // most)][:most]
    section = params.load(None).extract
    return [Job(take, None, root, section) for take in chosen]


def main(arguments: list[str] | None = None) -> None:
    """Print the table, the steps, and how far landmarks are from those of whole frames."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--root", type=Path, default=Path("data/demo/corpus"))
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="extract_speed_"))
    try:
        _print(jobs(options.corpus, options.root, options.takes), folder, options)
    finally:
        shutil.rmtree(folder)


def _print(todo: list[Job], folder: Path, options: argparse.Namespace) -> None:
    two = f", {options.workers} processes"
    with crew(options.workers) as many, crew(1) as one:
        cases: dict[str, Case] = {
            "ours" + two: lambda: many(partial(ours, folder), todo),
            "floor" + two: lambda: many(floor, todo),
            "decode alone" + two: lambda: many(decode, todo),
            "naive, 1 process": lambda: one(partial(naive, folder, True), todo),
            "naive" + two: lambda: many(partial(naive, folder, True), todo),
        }
        took = race(cases, options.rounds)
        table(f"extract: {len(todo)} takes", "frames", took, "floor" + two)
        print(f"ours over the floor {spread(took, 'ours' + two, 'floor' + two)}")
        print(f"ours over naive     {spread(took, 'ours' + two, 'naive, 1 process')}")
        rate = max(t.units / t.wall_s for t in took["ours" + two])
        print(f"{PAPERS_FRAMES} frames of the papers' corpus: {PAPERS_FRAMES / rate / 3600:.2f} h")
        away = np.concatenate(list(many.pool.map(partial(pixels, folder), todo[::2])))
        print(
            f"landmarks to those of whole frames: median {np.median(away):.2f} px, "
            f"95 % within {np.percentile(away, 95):.2f} px"
        )


if __name__ == "__main__":
    main()
