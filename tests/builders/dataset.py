"""A small dataset as extract and align would leave it: a textured face that moves as we say.

The face is the demo's head seen from the front, its texture stuck to it, so that the map between
any two frames is known exactly and the framed images of a pair must look alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg
import soundfile
from numpy.typing import NDArray

from pipeline import params
from pipeline.demo_corpus.action_units import UNIT_INDEX, UNITS, Muscles
from pipeline.demo_corpus.geometry import FaceShape, face_points
from pipeline.digests import sha256_of
from pipeline.faces.affine import apply, compose, invert
from pipeline.faces.framing import square
from pipeline.faces.sampling import sample
from pipeline.records import FRAMES_SCHEMA, N_LANDMARKS, Clip, Pair, Sentence
from pipeline.runtime.executor import EngineName
from pipeline.runtime.run import Options, Run
from pipeline.runtime.tables import write_rows, write_table
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

FRAME_PX, CROP_PX, CROP_SIDE = 320, 256, 288.0
EYES_PX = 80.0
MUSCLES = Muscles(face_points(FaceShape()))


def face(jaw: float = 0.0, **units: float) -> NDArray[np.float64]:
    """(478, 3) landmarks of a face, x right and y down, one unit between the outer eye corners."""
    strengths = np.zeros((2, len(UNITS)))
    for name, strength in units.items():
        strengths[:, UNIT_INDEX[name.removeprefix("au")]] = strength
    points = MUSCLES.deform(strengths, jaw) * [1.0, -1.0, 1.0]
    irises = np.repeat(points[[33, 263]], 5, axis=0)
    return np.concatenate([points, irises])[:N_LANDMARKS]


def similarity(scale: float, roll_deg: float, x: float, y: float) -> NDArray[np.float64]:
    """(2, 3) from face units to the full frame."""
    c, s = scale * np.cos(np.deg2rad(roll_deg)), scale * np.sin(np.deg2rad(roll_deg))
    return np.array([[c, -s, x], [s, c, y]])


def texture(seed: int) -> NDArray[np.uint8]:
    """A image (400, 400, 3) of soft blots: 4 face units wide, the face's origin in its middle."""
    noise = np.random.default_rng(seed).uniform(0, 255, (40, 40, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (400, 400), interpolation=cv2.INTER_CUBIC))


TEXTURE_TO_FACE = np.array([[0.01, 0.0, -2.0], [0.0, 0.01, -2.0]])


def motion(seed: int, n: int) -> list[NDArray[np.float64]]:
    """Where the head is in each of n frames: a slow drift of place, size and tilt."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, 4)
    t = np.arange(n) / 8
    return [
        similarity(
            EYES_PX * (1 + 0.08 * np.sin(u + phase[0])),
            6 * np.sin(u + phase[1]),
            160 + 8 * np.sin(u + phase[2]),
            150 + 8 * np.sin(u + phase[3]),
        )
        for u in t
    ]


def write_take(
    items: Path,
    speaker: str,
    take_id: str,
    emotion: str,
    seed: int,
    n: int = 14,
    lost: int = 0,
    *,
    face_seed: int | None = None,
) -> Clip:
    """Write the frame file and the audio of one take; its last `lost` frames have no face.

    `face_seed` draws another face than the speaker's own.
    """
    image = texture(sum(speaker.encode()) if face_seed is None else face_seed)
    x, y = 160 - CROP_SIDE / 2, 150 - CROP_SIDE / 2
    columns: dict[str, list[object]] = {name: [] for name in FRAMES_SCHEMA.names}
    for k, face_to_frame in enumerate(motion(seed, n)):
        jaw = 0.5 + 0.5 * np.sin(k + seed)
        points = face(jaw, au12=1.0 if emotion == "happy" else 0.0)
        landmarks = np.column_stack([apply(face_to_frame, points[:, :2]), points[:, 2] * EYES_PX])
        frame = sample(image, compose(face_to_frame, TEXTURE_TO_FACE), FRAME_PX)
        crop = sample(frame, square(x, y, CROP_SIDE, CROP_PX), CROP_PX)
        found = k < n - lost
        values = {
            "frame": k, "time_s": k / 25, "duration_s": 1 / 25, "found": found,
            "landmarks": landmarks.astype(np.float32).reshape(-1), "yaw_deg": float(seed),
            "pitch_deg": 1.0, "roll_deg": 0.0, "mouth_open": jaw * 0.3, "mouth_width": 0.5,
            "eye_open": 0.2, "interocular_px": np.hypot(*(landmarks[33] - landmarks[263])[:2]),
            "sharpness": 1.0, "jumped": False, "near_edge": False,
            "crop": bytes(simplejpeg.encode_jpeg(crop, 95)),
        }  # fmt: skip
        always = ("frame", "time_s", "duration_s", "found", "jumped", "near_edge", "crop")
        for name, value in values.items():
            columns[name].append(value if found or name in always else None)
    stem = items / speaker / take_id
    frames, audio = (
        stem.with_name(f"{take_id}.frames.parquet"),
        stem.with_name(f"{take_id}.audio.flac"),
    )
    write_table(frames, pa.table(columns, schema=FRAMES_SCHEMA), plain_columns=["crop"])
    samples = np.random.default_rng(seed).normal(0, 0.1, round(n / 25 * 16000))
    soundfile.write(audio, samples, 16000)
    return Clip(
        take_id=take_id, utterance_id=take_id, dataset="made", speaker=speaker, emotion=emotion,
        level=1, view="front", take=take_id[-3:], sentence="s1", sentence_source="name",
        video_path="v", video_member=None, audio_path=None, audio_member=None, split=None,
        width_px=FRAME_PX, height_px=FRAME_PX, fps=25.0, n_frames=n, n_found=n - lost,
        video_start_s=0.0, video_end_s=n / 25, audio_start_s=0.0, audio_end_s=n / 25,
        audio_from="container", crop_x_px=x, crop_y_px=y, crop_side_px=CROP_SIDE, crop_px=CROP_PX,
        interocular_px=80.0, frames_sha256=sha256_of(frames), audio_sha256=sha256_of(audio),
        findings=(),
    )  # fmt: skip


def make_pair(a: Clip, b: Clip, frames: list[tuple[int, int]], split: str) -> Pair:
    """One clip pair with the frame pairs given; the k-th has confidence k / n."""
    n = len(frames)
    return Pair(
        pair_id=f"{a.take_id}+{b.emotion}", dataset="made", speaker=a.speaker, view=a.view,
        sentence="s1", split=split, take_a=a.take_id, take_b=b.take_id, emotion_a=a.emotion,
        emotion_b=b.emotion, level_a=1, level_b=1, sentence_score=0.1, sentence_method="name",
        odd_span="only_in_a", odd_span_score=0.2,
        length_ratio=1.0, n_frames_a=a.n_frames, n_frames_b=b.n_frames, coverage=n / a.n_frames,
        mouth_agreement=0.9 if b.emotion == "happy" else None,
        sync_a_ms=0.0, sync_b_ms=40.0, sync_error_ms=10.0,
        frame_a=tuple(i for i, _ in frames), frame_b=tuple(j for _, j in frames),
        confidence=tuple(float(np.float32(k / n)) for k in range(n)), error_ms=(10.0,) * n,
        run_ms=(0.0,) * n, slope=(1.0,) * n, contrast=(2.0,) * n,
        speech_a=(True,) * n, speech_b=(False,) * n, mouth_gap=(0.05,) * n,
        knots_a_s=(0.0, 0.5), knots_b_s=(0.0, 0.5),
    )  # fmt: skip


def make_sentence(clip: Clip, split: str | None) -> Sentence:
    """What align says of a take."""
    return Sentence(
        utterance_id=clip.utterance_id, dataset="made", speaker=clip.speaker, emotion=clip.emotion,
        level=1, take=clip.take, sentence="s1", method="name", anchor=None, score=None, margin=None,
        verified=True, split=split,
    )  # fmt: skip


STEADY = [(k, k) for k in range(12)]
WINDOWS = params.ShardsWindows(length=4, max_step=2, min_confidence=0.0, keep_rejected=False)
GAPPED = [(k, k) for k in range(5)] + [(k, k + 3) for k in range(7, 11)]


def _filter(section: params.Filter) -> params.Filter:
    """The section as it stands, with thresholds that the networks shipped have no say in."""
    even = params.FilterThresholds(**dict.fromkeys(SEVEN_EMOTIONS, 0.6))
    duplicates = params.FilterDuplicates(within_s=0.1, similarity=0.995)
    suspects = params.FilterSuspects(
        min_p=0.6, min_share=0.5, neutral_share=0.8, neutral_from_level=2, drop=True
    )
    return section.model_copy(
        update={"thresholds": even, "duplicates": duplicates, "suspects": suspects}
    )


def make_run(data: Path, *, workers: int = 1, **shards: object) -> Run:
    """The run of the dataset `made`, with small shards."""
    loaded = params.load(None)
    section = loaded.shards.model_copy(
        update={
            "size_px": 128, "rows_per_group": 5,
            "n_shards": params.ShardsCounts(
                pairs=2, sequences=1, takes=1, emotions=1, families=1, frames=1
            ),
            "windows": WINDOWS, **shards,
        }
    )  # fmt: skip
    dataset = loaded.datasets["demo"]
    loaded = loaded.model_copy(
        update={"shards": section, "filter": _filter(loaded.filter), "datasets": {"made": dataset}}
    )
    engine: EngineName = "serial" if workers == 1 else "processes"
    return Run("made", loaded, data, Options(engine, workers))


def make_inputs(run: Run, *, without: str = "") -> None:
    """Write what extract and align leave: two speakers, three takes each; `without` is left out."""
    clips, pairs, sentences = [], [], []
    for number, (speaker, split) in enumerate((("S1", "train"), ("S2", "test"))):
        takes = {}
        for k, emotion in enumerate(("neutral", "happy", "angry")):
            take_id = f"{speaker}_{emotion}"
            if take_id == without:
                continue
            items = run.items("extract").folder
            lost = 3 if emotion == "angry" else 0
            takes[emotion] = write_take(
                items, speaker, take_id, emotion, 10 * number + k, lost=lost
            )
        for emotion, frames in (("happy", STEADY), ("angry", GAPPED)):
            if emotion in takes:
                pairs.append(make_pair(takes["neutral"], takes[emotion], frames, split))
        clips += takes.values()
        sentences += [make_sentence(clip, split) for clip in takes.values()]
    write_rows(run.table("extract", "clips"), clips, Clip)
    write_rows(run.table("align", "pairs"), pairs, Pair)
    write_rows(run.table("align", "sentences"), sentences, Sentence)


def true_affine(seed_a: int, frame_a: int, seed_b: int, frame_b: int) -> NDArray[np.float64]:
    """The map from take b's full frame to take a's."""
    a, b = motion(seed_a, frame_a + 1)[-1], motion(seed_b, frame_b + 1)[-1]
    return compose(a, invert(b))


def changed(run: Run, **options: object) -> Run:
    """The same run with other options; several workers are processes."""
    if options.get("workers", 1) != 1:
        options = {"engine": "processes", **options}
    return replace(run, options=replace(run.options, **options))
