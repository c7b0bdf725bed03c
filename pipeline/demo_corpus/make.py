"""Generate the demo corpus: plan the takes, generate each, then finish what needs all of them.

`make_take` is a pure function of its take, so that any engine can run it in any order and process.
`finish` packs the archives and the truth. Files that are not in their final place yet are in
`.staging` in the root.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.demo_corpus.acting import Performance, perform, rng_of
from pipeline.demo_corpus.fixed_archives import write_tar, write_zip
from pipeline.demo_corpus.geometry import F64
from pipeline.demo_corpus.head import Head
from pipeline.demo_corpus.prosody import AUDIO_HZ, Reading, read_aloud
from pipeline.demo_corpus.speakers import CAST
from pipeline.demo_corpus.take_media import AAC_PRIMING_S, ClipWriter
from pipeline.demo_corpus.take_plan import plan_takes
from pipeline.demo_corpus.takes import (
    DAMAGED,
    LATE_AUDIO,
    MISLABELLED,
    NO_AUDIO_FILE,
    NO_FACE,
    VIEW_YAW_DEG,
    DemoParams,
    DemoTake,
    Place,
)
from pipeline.demo_corpus.truth import (
    MEASURES,
    N_POINTS,
    face_measures,
    frames_table,
    gather_parts,
    write_parts,
)

__all__ = ["VERSION", "DemoParams", "DemoTake", "finish", "make_take", "plan_takes"]

VERSION = 3

Measures = dict[str, F64]

STAGING = ".staging"
LATE_S = 0.3
_KEPT_SHARE = 0.6  # share of a damaged file's bytes; the index at its end is lost


@dataclass(frozen=True)
class TakeFiles:
    """The files of a take.

    Attributes
    ----------
    take
        Its id.
    files
        Paths relative to the root, including those in `.staging`.
    n_frames
        Rendered frames.
    """

    take: str
    files: tuple[str, ...]
    n_frames: int


@lru_cache(maxsize=2)
def _head(speaker: str, size_px: int) -> Head:
    return Head(CAST[speaker], size_px)


def _read(take: DemoTake) -> Reading:
    rng = rng_of(take.params.seed, take.key, "voice")
    lead_s, tail_s = rng.uniform(0.15, 0.32), rng.uniform(0.15, 0.30)
    if LATE_AUDIO in take.defects:
        lead_s += LATE_S
    voice = CAST[take.speaker].voice
    return read_aloud(take.text, voice, take.shown, take.strength, (lead_s, tail_s), rng)


def _frame_times(take: DemoTake, reading: Reading) -> F64:
    """Midpoints of the frames; video and audio differ in length, as in real recordings."""
    extra = int(rng_of(take.params.seed, take.key, "length").integers(-1, 3))
    n = int(reading.duration_s * take.fps) + extra
    return np.array([float((i + 0.5) / take.fps) for i in range(n)])


def _draw(take: DemoTake, performance: Performance, clip: ClipWriter) -> tuple[F64, Measures]:
    """Render all frames into the clip; returns landmarks (n, 468, 2) and measures."""
    head = _head(take.speaker, take.params.frame_px)
    n = len(performance.poses)
    landmarks = np.zeros((n, N_POINTS, 2))
    measures = {name: np.full(n, np.nan) for name in MEASURES}
    for i, (expression, pose) in enumerate(
        zip(performance.expressions, performance.poses, strict=True)
    ):
        if NO_FACE in take.defects:
            clip.add(head.background(i))
            continue
        drawn = head.draw(expression, pose, i)
        clip.add(drawn.image)
        landmarks[i] = drawn.landmarks_px
        values = (
            pose.yaw_deg, pose.pitch_deg, pose.roll_deg, pose.scale_px, *pose.origin_px,
            *face_measures(drawn.face), performance.intensity[i],
        )  # fmt: skip
        for name, value in zip(MEASURES, values, strict=True):
            measures[name][i] = value
    return landmarks, measures


def _take_row(take: DemoTake, reading: Reading, n_frames: int) -> dict[str, object]:
    late = LATE_AUDIO in take.defects
    audio = None if NO_AUDIO_FILE in take.defects else take.audio
    return {
        "take": take.id,
        "corpus": take.corpus,
        "path": take.video.path,
        "member": take.video.member,
        "audio_path": audio.path if audio else "",
        "audio_member": audio.member if audio else "",
        "speaker": take.speaker,
        "emotion": take.emotion,
        "shown_emotion": take.shown,
        "mislabelled": MISLABELLED in take.defects,
        "level": take.level,
        "strength": take.strength,
        "view": take.view,
        "number": take.number,
        "sentence_id": take.sentence_id,
        "text": take.text,
        "defects": list(take.defects),
        "fps_num": take.fps.numerator,
        "fps_den": take.fps.denominator,
        "n_frames": n_frames,
        # A decoder also returns the encoder's priming samples if audio does not start at 0.
        "audio_start_s": LATE_S - AAC_PRIMING_S if late else 0.0,
        "audio_end_s": reading.duration_s,
        "image_late_s": take.image_late_s,
        "phonemes": list(reading.phonemes),
        "onsets_s": reading.onsets_s.tolist(),
        "words": list(reading.words),
        "word_onsets_s": reading.word_onsets_s.tolist(),
    }


def _target(root: Path, place: Place) -> Path:
    path = root / STAGING / place.staged if place.member else root / place.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _part_name(take: DemoTake) -> str:
    return take.id.replace("/", "__")


def make_take(take: DemoTake, root: Path) -> TakeFiles:
    """Render, synthesise and write one take and its truth to `root`.

    Files are written atomically, the truth last.

    Raises
    ------
    MissingExtraError
        When espeakng_loader is not installed.
    """
    reading = _read(take)
    times_s = _frame_times(take, reading)
    performance = perform(
        CAST[take.speaker],
        reading,
        take.shown,
        take.strength,
        times_s - take.image_late_s,
        size_px=take.params.frame_px,
        view_yaw_deg=VIEW_YAW_DEG[take.view],
        seed=take.params.seed,
        key=take.key,
    )
    staging = root / STAGING
    parts = staging / "truth"
    parts.mkdir(parents=True, exist_ok=True)
    # All views share one audio file, which the front take writes.
    has_audio = take.audio and take.view == "front" and NO_AUDIO_FILE not in take.defects
    with tempfile.TemporaryDirectory(dir=staging) as scratch:
        video, audio = Path(scratch) / "take.mp4", Path(scratch) / "take.m4a"
        start_s = LATE_S if LATE_AUDIO in take.defects else 0.0
        samples = reading.samples[round(start_s * AUDIO_HZ) :]
        m4a = audio if has_audio else None
        with ClipWriter(take.params.frame_px, take.fps, samples, start_s, video, m4a,
                        crf=take.params.crf) as clip:  # fmt: skip
            landmarks, measures = _draw(take, performance, clip)
        if DAMAGED in take.defects:
            whole = video.read_bytes()
            video.write_bytes(whole[: int(_KEPT_SHARE * len(whole))])
        moves = [(video, _target(root, take.video))]
        if has_audio and take.audio:
            moves.append((audio, _target(root, take.audio)))
        write_parts(
            Path(scratch),
            _part_name(take),
            _take_row(take, reading, len(times_s)),
            frames_table(take.id, times_s, landmarks, measures, face=NO_FACE not in take.defects),
        )
        moves += [(path, parts / path.name) for path in sorted(Path(scratch).glob("*.parquet"))]
        for source, target in moves:
            os.replace(source, target)
    files = tuple(str(target.relative_to(root)) for _, target in moves)
    return TakeFiles(take.id, files, len(times_s))


def _archive_members(root: Path, takes: list[DemoTake]) -> dict[str, list[tuple[str, Path]]]:
    archives: dict[str, set[str]] = {}
    for take in takes:
        for place in (take.video, take.audio):
            if place and place.member and (root / STAGING / place.staged).exists():
                archives.setdefault(place.path, set()).add(place.member)
    return {
        path: [(name, root / STAGING / path / name) for name in sorted(names)]
        for path, names in sorted(archives.items())
    }


def finish(root: Path, takes: list[DemoTake]) -> None:
    """Pack the archives and truth tables when all takes are done, and delete the staging folder.

    Raises
    ------
    FileNotFoundError
        When a take has not been generated.
    """
    takes = sorted(takes, key=lambda take: take.id)
    staging = root / STAGING
    for path, members in _archive_members(root, takes).items():
        scratch = staging / "archive.tmp"
        if path.endswith(".tar"):
            # MEAD's tars are unordered.
            order = rng_of(takes[0].params.seed, path).permutation(len(members))
            write_tar(scratch, [members[i] for i in order])
        else:
            write_zip(scratch, members)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(scratch, root / path)
    scratch = staging / "gathered"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    gather_parts(staging / "truth", [_part_name(take) for take in takes], scratch)
    (root / "truth").mkdir(exist_ok=True)
    for table in sorted(scratch.iterdir()):
        os.replace(table, root / "truth" / table.name)
    shutil.rmtree(staging)
