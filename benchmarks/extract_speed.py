"""extract against its floor and against the script that one would write, and how right it is.

    python -m benchmarks.extract_speed [--corpus mead --root FOLDER] [--takes N] [--rounds 3]

Without a folder the demo's corpus is taken (`--corpus demo --root data/demo/corpus`). The floor
decodes every frame and asks the face mesh, with the stage's own options, of images that lie
ready: no conversion, no crop, nothing is written. The naive script converts every frame to RGB
whole, asks the mesh of it, cuts the head out, shrinks it and writes it, and has ffmpeg write the
audio; one process, as it would be, and two; as a video, the face followed, and frame by frame, as
single images (`static_image_mode`). `pixels` compares landmarks with those of the whole frames,
tracked at full resolution. `steps` is where the time of ours goes, one process, by its own clock.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from inspect import isgenerator
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import cv2
import imageio_ffmpeg
import numpy as np

from benchmarks.racing import Case, crew, race, spread, table
from pipeline import corpora, params
from pipeline.faces import tracking as footage
from pipeline.faces.crop import square_for
from pipeline.faces.detection import faces_in
from pipeline.faces.mesh import MeshTracker
from pipeline.media import Limits, open_video
from pipeline.media.video import Frame, Video
from pipeline.params import Dataset
from pipeline.records import Take
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.extract import frame_rows as rows
from pipeline.stages.extract import frame_writer as image
from pipeline.stages.extract import stage as extract_stage
from pipeline.stages.extract import worker as take
from pipeline.stages.extract.worker import FRAMES, Job, Tools, extract_take
from pipeline.takes.frame_file import landmarks_of

PAPERS_FRAMES = 7560 * 4 * 30
"""36 speakers of MEAD, 30 frames a second."""
_READY = 6  # images of a take that the floor shows in turn
_LOOKS = 100
_LIMITS = Limits(1 << 26, 1e4)
_tools: list[Tools] = []
_ready: dict[str, np.ndarray] = {}


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


def floor(out: Path, job: Job) -> float:
    """Decode, and the mesh on images that are there."""
    images = ready(out, job)
    tracker = tools().tracker
    tracker.restart()
    n = 0
    for n, _ in enumerate(frames_of(job), 1):
        tracker.track(images[n % len(images)])
    return n


def decode(job: Job) -> float:
    """Decode alone."""
    return sum(1 for _ in frames_of(job))


def mesh(out: Path, job: Job) -> float:
    """The mesh alone, on images of a take."""
    images = ready(out, job)
    tracker = tools().tracker
    tracker.restart()
    for k in range(_LOOKS):
        tracker.track(images[k % len(images)])
    return _LOOKS


def frames_of(job: Job) -> Any:
    """The decoder's frames, one thread."""
    with av.open(str(path_of(job))) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def path_of(job: Job) -> Path:
    """Where a take's image lies."""
    assert job.take.video is not None
    return job.root / job.take.video.path


def make_ready(out: Path, job: Job) -> float:
    """Put a few of a take's images down as the stage shows them to the mesh."""
    section = job.section
    with open_video(path_of(job), _LIMITS) as video:
        assert video is not None
        images = []
        for frame in islice(video.frames(), _READY):
            if not images:
                face = faces_in(frame, tools().finder, section.mesh_px, thorough=True)[0]
                square = square_for([face], section.crop_margin, section.crop_px)
            px = min(section.mesh_px, square.stored_px)
            images.append(frame.cut(square.box, px, px))
    np.save(out / f"{job.take.take_id}.npy", images)
    return len(images)


def ready(out: Path, job: Job) -> np.ndarray:
    """The images of a take that lie ready; read once a process."""
    name = job.take.take_id
    if name not in _ready:
        _ready[name] = np.load(out / f"{name}.npy")
    return _ready[name]


def naive(out: Path, static: bool, job: Job) -> float:
    """What one would write: OpenCV, the whole frame in RGB, files of images, ffmpeg's audio."""
    from mediapipe.python.solutions import face_mesh

    folder = out / "naive" / job.take.take_id
    folder.mkdir(parents=True, exist_ok=True)
    capture, points, square = cv2.VideoCapture(str(path_of(job))), [], None
    with face_mesh.FaceMesh(static, max_num_faces=1, refine_landmarks=True) as model:
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
    _naive_audio(path_of(job), folder / "audio.wav", job.section.sample_rate_hz)
    return len(points)


def _naive_audio(source: Path, target: Path, rate_hz: int) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source), "-vn", "-ac", "1",
         "-ar", str(rate_hz), str(target)], check=True,
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


_STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "decode": ((Video, "_unpacked"),),
    "face mesh": ((footage, "_track"),),
    "cut, shrink, to RGB": ((Frame, "cut"),),
    "JPEG": ((footage, "encode_jpeg"),),
    "audio, both tracks": ((take, "_chosen_audio"),),
    "sharpness, skin, changes": (
        (footage, "sharpness"), (footage, "skin_around_mouth"), (footage, "_compare"),
    ),
    "faces found and counted": ((image, "first_face"), (footage, "faces_in")),
    "measures, rows": ((rows, "_columns"),),
    "hashes": ((image, "sha256_of"), (take, "sha256_of")),
    "opening, Parquet, FLAC, all else": ((take, "write_frames"), (extract_stage, "write_take")),
}  # fmt: skip
"""What is timed under which name; what one step calls of another counts there alone."""


def steps(out: Path, todo: list[Job]) -> dict[str, float]:
    """Milliseconds of the processor a frame that each step of ours takes, and all together."""
    ours(out, todo[0])
    spent, open_s = dict.fromkeys(_STEPS, 0.0), [0.0]

    def timed(name: str, work: Any) -> Any:
        began = time.process_time()
        open_s.append(0.0)
        try:
            return work()
        finally:
            took = time.process_time() - began
            spent[name] += took - open_s.pop()
            open_s[-1] += took

    def wrapped(name: str, function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            made = timed(name, lambda: function(*given, **named))
            return each(name, made) if isgenerator(made) else made

        return call

    def each(name: str, made: Iterator[Any]) -> Iterator[Any]:
        while (item := timed(name, lambda: next(made, None))) is not None:
            yield item

    with ExitStack() as stack:
        for name, places in _STEPS.items():
            for home, attribute in places:
                instead = wrapped(name, getattr(home, attribute))
                stack.enter_context(patch.object(home, attribute, instead))
        began = time.process_time()
        n = sum(ours(out, job) for job in todo)
        spent["all"] = time.process_time() - began
    return {name: 1e3 * s / n for name, s in spent.items()}


def jobs(corpus: str, root: Path, most: int) -> list[Job]:
    """Takes with a image, the longest first; the first `most` by name."""
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
        many(partial(make_ready, folder), todo)
        cases: dict[str, Case] = {
            "ours" + two: lambda: many(partial(ours, folder), todo),
            "ours, 1 process": lambda: one(partial(ours, folder), todo),
            "floor" + two: lambda: many(partial(floor, folder), todo),
            "floor, 1 process": lambda: one(partial(floor, folder), todo),
            "decode alone" + two: lambda: many(decode, todo),
            "mesh alone" + two: lambda: many(partial(mesh, folder), todo),
            "naive, 1 process": lambda: one(partial(naive, folder, False), todo),
            "naive" + two: lambda: many(partial(naive, folder, False), todo),
            "naive, frame by frame, 1 process": lambda: one(partial(naive, folder, True), todo),
        }
        took = race(cases, options.rounds)
        table(f"extract: {len(todo)} takes", "frames", took, "floor" + two)
        print(f"ours over the floor {spread(took, 'ours' + two, 'floor' + two)}")
        for other in ("naive, 1 process", "naive, frame by frame, 1 process"):
            print(f"ours over {other} {spread(took, 'ours' + two, other)}")
        rate = np.median([t.units / t.wall_s for t in took["ours" + two]])
        print(f"{PAPERS_FRAMES} frames of the papers' corpus: {PAPERS_FRAMES / rate / 3600:.2f} h")
        away = np.concatenate(list(many.pool.map(partial(pixels, folder), todo[::2])))
        print(
            f"landmarks to those of whole frames: median {np.median(away):.2f} px, "
            f"95 % within {np.percentile(away, 95):.2f} px"
        )
        _print_steps(one.pool.submit(steps, folder, todo).result())


def _print_steps(found: dict[str, float]) -> None:
    print("\nextract, one process, ms a frame")
    for name, each_ms in found.items():
        print(f"{name:34} {each_ms:12.2f}")


if __name__ == "__main__":
    main()
