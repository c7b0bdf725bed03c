"""Every row type that stages write, with its Arrow schema.

Rows are frozen and validate themselves. Coordinates are pixel-edge coordinates of the full frame:
pixel i covers [i, i + 1), so the centre of the first pixel is 0.5. Times are seconds of
presentation time on the container's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import pyarrow as pa

from pipeline.errors import REASONS, printable
from spfem_data.labels import EMOTIONS

CORPUS_EMOTIONS = (*EMOTIONS, "contempt", "calm")
"""All emotions of the corpora: MEAD adds contempt, RAVDESS calm."""
N_LANDMARKS = 478

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+%-]*")


def check_id(name: str, what: str) -> None:
    """Refuse an id that is not a safe file name; `corpora.naming.safe_id` creates safe ones."""
    if not _ID.fullmatch(name) or len(name) > 200:
        raise ValueError(
            f"{what} {name!r} is not an id of letters, digits and . _ + % - (at most 200 characters)"
        )


class Row:
    """Base of all rows: conversion to and from the plain values of a table."""

    SCHEMA: ClassVar[pa.Schema]

    def to_row(self) -> dict[str, Any]:
        """The row as plain values by column."""
        return {name: getattr(self, name) for name in self.SCHEMA.names}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The record of a table row; lists become tuples."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_IDENTITY = {
    "take_id": pa.string(),
    "utterance_id": pa.string(),
    "dataset": pa.string(),
    "speaker": pa.string(),
    "emotion": pa.string(),
    "level": pa.int8(),
    "view": pa.string(),
    "take": pa.string(),
    "sentence": pa.string(),
    "sentence_source": pa.string(),
    "video_path": pa.string(),
    "video_member": pa.string(),
    "audio_path": pa.string(),
    "audio_member": pa.string(),
}


@dataclass(frozen=True)
class Source:
    """A file, or a member of an archive, below the root of its dataset."""

    path: str
    member: str | None = None

    def __str__(self) -> str:
        return printable(self.path if self.member is None else f"{self.path}!{self.member}")


@dataclass(frozen=True)
class Take(Row):
    """One recording as the corpus names it, before decoding.

    `utterance_id` is the take without its view; views of a take share one audio. `sentence` is what
    the corpus states (a RAVDESS name, a manifest, a prior table), with `sentence_source` name,
    manifest or prior; both null if it states nothing. Paths are POSIX, relative to the root.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(**_IDENTITY)

    take_id: str
    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: int
    view: str
    take: str
    sentence: str | None
    sentence_source: str | None
    video_path: str | None
    video_member: str | None
    audio_path: str | None
    audio_member: str | None

    def __post_init__(self) -> None:
        check_id(self.take_id, "take_id")
        check_id(self.utterance_id, "utterance_id")
        if self.emotion not in CORPUS_EMOTIONS:
            raise ValueError(f"emotion {self.emotion!r} is not one of {', '.join(CORPUS_EMOTIONS)}")
        if self.video_path is None and self.audio_path is None:
            raise ValueError(f"take {self.take_id} has neither video nor audio")

    @property
    def video(self) -> Source | None:
        """Source of the video; None for a take with audio only."""
        return None if self.video_path is None else Source(self.video_path, self.video_member)

    @property
    def audio(self) -> Source | None:
        """Source of a separate audio file; None if the container's own track is used."""
        return None if self.audio_path is None else Source(self.audio_path, self.audio_member)


@dataclass(frozen=True)
class Clip(Row):
    """One extracted take: its identity, what decoding measured, and its stored crop.

    The stored crop of every frame is the square [crop_x, crop_x + crop_side) x [crop_y, crop_y +
    crop_side) of the full frame, scaled to crop_px. `frames_sha256` and `audio_sha256` are of the
    files that extract wrote. Without video, frame counts are 0 and image columns null.

    `findings` are slugs of media.FINDINGS, `mended` those that were repaired. They are based on
    `declared_frames` of the container (null: none declared), `longest_frame_s`,
    `n_mouth_covered` (frames in which the mouth seems covered) and `audio_gap_s` (total gaps in the
    audio used). For a take with both a track and an audio file: `file_offset_ms` is the delay of
    the file relative to the video, `file_match` their correlation at that delay (1: equal),
    `file_drift_ms` the growth of the delay until the end (null: not measurable).
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        **_IDENTITY,
        split=pa.string(),
        width_px=pa.int32(),
        height_px=pa.int32(),
        fps=pa.float64(),
        n_frames=pa.int32(),
        n_found=pa.int32(),
        video_start_s=pa.float64(),
        video_end_s=pa.float64(),
        audio_start_s=pa.float64(),
        audio_end_s=pa.float64(),
        audio_from=pa.string(),
        crop_x_px=pa.float64(),
        crop_y_px=pa.float64(),
        crop_side_px=pa.float64(),
        crop_px=pa.int32(),
        interocular_px=pa.float32(),
        frames_sha256=pa.string(),
        audio_sha256=pa.string(),
        findings=pa.list_(pa.string()),
        mended=pa.list_(pa.string()),
        declared_frames=pa.int32(),
        longest_frame_s=pa.float64(),
        n_mouth_covered=pa.int32(),
        audio_gap_s=pa.float64(),
        file_offset_ms=pa.float64(),
        file_match=pa.float32(),
        file_drift_ms=pa.float64(),
    )

    take_id: str
    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: int
    view: str
    take: str
    sentence: str | None
    sentence_source: str | None
    video_path: str | None
    video_member: str | None
    audio_path: str | None
    audio_member: str | None
    split: str | None
    width_px: int | None
    height_px: int | None
    fps: float | None
    n_frames: int
    n_found: int
    video_start_s: float | None
    video_end_s: float | None
    audio_start_s: float
    audio_end_s: float
    audio_from: str
    crop_x_px: float | None
    crop_y_px: float | None
    crop_side_px: float | None
    crop_px: int | None
    interocular_px: float | None
    frames_sha256: str | None
    audio_sha256: str
    findings: tuple[str, ...]
    mended: tuple[str, ...] = ()
    declared_frames: int | None = None
    longest_frame_s: float | None = None
    n_mouth_covered: int = 0
    audio_gap_s: float = 0.0
    file_offset_ms: float | None = None
    file_match: float | None = None
    file_drift_ms: float | None = None

    def __post_init__(self) -> None:
        check_id(self.take_id, "take_id")
        if not 0 <= self.n_found <= self.n_frames:
            raise ValueError(f"{self.take_id}: {self.n_found} faces in {self.n_frames} frames")
        if self.audio_end_s <= self.audio_start_s:
            raise ValueError(
                f"{self.take_id}: audio from {self.audio_start_s} to {self.audio_end_s} s"
            )
        if (self.frames_sha256 is None) != (self.n_frames == 0):
            raise ValueError(
                f"{self.take_id}: frames and their file must both exist or both be absent"
            )
        if not set(self.mended) <= set(self.findings):
            raise ValueError(
                f"{self.take_id}: repaired {self.mended} are not all in {self.findings}"
            )

    @property
    def has_picture(self) -> bool:
        """Whether frames were extracted."""
        return self.n_frames > 0


FRAMES_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("duration_s", pa.float64()),
        ("found", pa.bool_()),
        # Not of fixed size: pyarrow before 26 cannot read the null lists of fixed size that it writes.
        ("landmarks", pa.list_(pa.float32())),
        ("yaw_deg", pa.float32()),
        ("pitch_deg", pa.float32()),
        ("roll_deg", pa.float32()),
        ("mouth_open", pa.float32()),
        ("mouth_width", pa.float32()),
        ("eye_open", pa.float32()),
        ("interocular_px", pa.float32()),
        ("sharpness", pa.float32()),
        ("jumped", pa.bool_()),
        ("near_edge", pa.bool_()),
        ("crop", pa.binary()),
    ]
)
"""One row per frame, one file per take.

The frame is displayed in [time_s, time_s + duration_s). `landmarks` are 478 x (x, y, z) in pixels of
the full frame, null without a face, as are the measures derived from them. Yaw is
positive when the face turns towards the right edge of the image, pitch when it looks up, roll
when the head tilts clockwise in the image. Openings and widths are divided by the
distance of the outer eye corners (interocular_px). `crop` is the stored crop as JPEG.
"""


@dataclass(frozen=True)
class Sentence(Row):
    """The sentence of one utterance, and how it was determined.

    `method` is transcript, name, manifest, prior or sound. `anchor` is the neutral utterance that
    the audio was compared with, `score` as in `alignment.sentence_score` (low is alike), `margin`
    the distance to the next best.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        utterance_id=pa.string(),
        dataset=pa.string(),
        speaker=pa.string(),
        emotion=pa.string(),
        level=pa.int8(),
        take=pa.string(),
        sentence=pa.string(),
        method=pa.string(),
        anchor=pa.string(),
        score=pa.float64(),
        margin=pa.float64(),
        verified=pa.bool_(),
        split=pa.string(),
    )

    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: int
    take: str
    sentence: str | None
    method: str
    anchor: str | None
    score: float | None
    margin: float | None
    verified: bool
    split: str | None


@dataclass(frozen=True)
class Pair(Row):
    """One pair of takes, frame by frame: take a (the anchor, neutral) and take b.

    `frame_a` and `frame_b` increase strictly (with preset compat_scmcl they never decrease, and no
    frame pair repeats); the per-frame columns have their length. `error_ms`
    is the claimed error of the pairing in time, `confidence` in 0..1, `run_ms` the longest
    standstill of the warping path near the frame, `slope` the local tempo of b over a.
    `knots_a_s` and `knots_b_s` are the whole time map as knots of a piecewise-linear function, in
    seconds. `mouth_agreement` is the correlation of the two mouths' faster movements along the
    whole map (see `stages.align.mouth_agreement`), null without video. `odd_span` is the most
    likely extra word (only_in_a, only_in_b, twice_in_a, twice_in_b); a score of 1 or more is an
    alarm.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        pair_id=pa.string(),
        dataset=pa.string(),
        speaker=pa.string(),
        view=pa.string(),
        sentence=pa.string(),
        split=pa.string(),
        take_a=pa.string(),
        take_b=pa.string(),
        emotion_a=pa.string(),
        emotion_b=pa.string(),
        level_a=pa.int8(),
        level_b=pa.int8(),
        sentence_score=pa.float64(),
        sentence_method=pa.string(),
        odd_span=pa.string(),
        odd_span_score=pa.float64(),
        length_ratio=pa.float64(),
        n_frames_a=pa.int32(),
        n_frames_b=pa.int32(),
        coverage=pa.float64(),
        mouth_agreement=pa.float64(),
        frame_a=pa.list_(pa.int32()),
        frame_b=pa.list_(pa.int32()),
        confidence=pa.list_(pa.float32()),
        error_ms=pa.list_(pa.float32()),
        run_ms=pa.list_(pa.float32()),
        slope=pa.list_(pa.float32()),
        contrast=pa.list_(pa.float32()),
        knots_a_s=pa.list_(pa.float64()),
        knots_b_s=pa.list_(pa.float64()),
    )

    pair_id: str
    dataset: str
    speaker: str
    view: str
    sentence: str
    split: str
    take_a: str
    take_b: str
    emotion_a: str
    emotion_b: str
    level_a: int
    level_b: int
    sentence_score: float
    sentence_method: str
    odd_span: str
    odd_span_score: float
    length_ratio: float
    n_frames_a: int
    n_frames_b: int
    coverage: float
    mouth_agreement: float | None
    frame_a: tuple[int, ...]
    frame_b: tuple[int, ...]
    confidence: tuple[float, ...]
    error_ms: tuple[float, ...]
    run_ms: tuple[float, ...]
    slope: tuple[float, ...]
    contrast: tuple[float, ...]
    knots_a_s: tuple[float, ...]
    knots_b_s: tuple[float, ...]

    def __post_init__(self) -> None:
        per_frame = ("frame_b", "confidence", "error_ms", "run_ms", "slope", "contrast")
        lengths = {len(self.frame_a), *(len(getattr(self, name)) for name in per_frame)}
        if len(lengths) != 1:
            raise ValueError(f"{self.pair_id}: per-frame columns of lengths {sorted(lengths)}")
        for name in ("frame_a", "frame_b"):
            if any(j < i for i, j in pairwise(getattr(self, name))):
                raise ValueError(f"{self.pair_id}: {name} decreases")
        frames = list(zip(self.frame_a, self.frame_b, strict=True))
        if len(set(frames)) != len(frames):
            raise ValueError(f"{self.pair_id}: a frame pair repeats")

    @property
    def is_one_to_one(self) -> bool:
        """Whether no frame of either take is in two pairs."""
        return all(i < j for frames in (self.frame_a, self.frame_b) for i, j in pairwise(frames))


@dataclass(frozen=True)
class PosePair(Row):
    """The pose of one frame pair: the affine that takes b's full frame onto a's.

    `affine` is a 2x3 matrix, row by row, on pixel-edge coordinates, `inverse` its inverse.
    Residuals are the root mean square distance of the stable landmarks over a's interocular
    distance: before (centred, scaled only by the stored crops) and after. Angles are b
    minus a; no 2-D map can correct them.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        pair_id=pa.string(),
        frame_a=pa.int32(),
        frame_b=pa.int32(),
        affine=pa.list_(pa.float64(), 6),
        inverse=pa.list_(pa.float64(), 6),
        residual_before=pa.float32(),
        residual_after=pa.float32(),
        yaw_difference_deg=pa.float32(),
        pitch_difference_deg=pa.float32(),
        mouth_open_a=pa.float32(),
        mouth_open_b=pa.float32(),
        mouth_difference=pa.float32(),
    )

    pair_id: str
    frame_a: int
    frame_b: int
    affine: tuple[float, ...]
    inverse: tuple[float, ...]
    residual_before: float
    residual_after: float
    yaw_difference_deg: float
    pitch_difference_deg: float
    mouth_open_a: float
    mouth_open_b: float
    mouth_difference: float


@dataclass(frozen=True)
class PosedPair(Row):
    """One clip pair after pose: what became of its frame pairs, and their medians.

    n_frames = n_kept + n_no_face + n_degenerate + n_large_residual. Medians are over the kept,
    angles as absolute values, null where none was kept; `poses_sha256` is a digest of the kept
    rows' values.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        pair_id=pa.string(),
        speaker=pa.string(),
        n_frames=pa.int32(),
        n_kept=pa.int32(),
        n_no_face=pa.int32(),
        n_degenerate=pa.int32(),
        n_large_residual=pa.int32(),
        residual_before=pa.float64(),
        residual_after=pa.float64(),
        yaw_difference_deg=pa.float64(),
        pitch_difference_deg=pa.float64(),
        mouth_difference=pa.float64(),
        poses_sha256=pa.string(),
    )

    pair_id: str
    speaker: str
    n_frames: int
    n_kept: int
    n_no_face: int
    n_degenerate: int
    n_large_residual: int
    residual_before: float | None
    residual_after: float | None
    yaw_difference_deg: float | None
    pitch_difference_deg: float | None
    mouth_difference: float | None
    poses_sha256: str

    def __post_init__(self) -> None:
        lost = self.n_no_face + self.n_degenerate + self.n_large_residual
        if self.n_kept + lost != self.n_frames:
            raise ValueError(
                f"{self.pair_id}: {self.n_kept} + {lost} of {self.n_frames} frame pairs"
            )


SCORES_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        *((f"p_{emotion}", pa.float32()) for emotion in EMOTIONS),
        ("embedding", pa.list_(pa.float32())),
    ]
)
"""One row a scored frame of a take, one file a take, frames increasing.

`p_*` are the probabilities of the seven emotions, which sum to 1; `embedding` is the image's in
CLIP's space, of unit length. Frames without a face are not scored.
"""


@dataclass(frozen=True)
class ScoredTake(Row):
    """One take after scoring: of `n_frames` frames `n_scored` have a row.

    `p` are the means of the seven probabilities over them, in the order of EMOTIONS;
    `weights_sha256` is of the file that scored, `scores_sha256` of the take's own file.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        take_id=pa.string(),
        dataset=pa.string(),
        speaker=pa.string(),
        emotion=pa.string(),
        level=pa.int8(),
        view=pa.string(),
        split=pa.string(),
        n_frames=pa.int32(),
        n_scored=pa.int32(),
        p=pa.list_(pa.float32()),
        weights_sha256=pa.string(),
        scores_sha256=pa.string(),
    )

    take_id: str
    dataset: str
    speaker: str
    emotion: str
    level: int
    view: str
    split: str | None
    n_frames: int
    n_scored: int
    p: tuple[float, ...]
    weights_sha256: str
    scores_sha256: str

    def __post_init__(self) -> None:
        if not 0 < self.n_scored <= self.n_frames:
            raise ValueError(f"{self.take_id}: {self.n_scored} of {self.n_frames} frames scored")
        if len(self.p) != len(EMOTIONS):
            raise ValueError(f"{self.take_id}: {len(self.p)} probabilities, not seven")


CLEAR_SCHEMA = pa.schema(
    [
        ("take_id", pa.string()),
        ("frame", pa.int32()),
        ("emotion", pa.string()),
        ("speaker", pa.string()),
        ("split", pa.string()),
        ("clarity", pa.float32()),
        ("rank", pa.int32()),
        ("verdict", pa.string()),
    ]
)
"""One row a scored frame, one file a speaker: what the stage filter decided.

`emotion` is the n of the D_n that the frame is judged for: as recorded, or the likeliest where
`filter.require_recorded` is false. `clarity` is its probability (or that against the speaker's own
neutral), null for takes of none of the seven. `verdict` is one of clarity.choice.VERDICTS. `rank`
is the place among the clear frames (kept and over_quota) of that emotion and split, clearest 1,
else null. `split` is null where the take has none.
"""


@dataclass(frozen=True)
class FilteredTake(Row):
    """One scored take after the filter: what became of its frames.

    n_scored = n_kept + n_unclear + n_duplicate + n_over_quota + n_other_emotion. `clarity` is the
    median over the kept, null without; `weights_sha256` is of the network that gave the scores,
    `clear_sha256` a digest of the take's rows.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        take_id=pa.string(),
        speaker=pa.string(),
        emotion=pa.string(),
        split=pa.string(),
        n_scored=pa.int32(),
        n_kept=pa.int32(),
        n_unclear=pa.int32(),
        n_duplicate=pa.int32(),
        n_over_quota=pa.int32(),
        n_other_emotion=pa.int32(),
        clarity=pa.float32(),
        weights_sha256=pa.string(),
        clear_sha256=pa.string(),
    )

    take_id: str
    speaker: str
    emotion: str
    split: str | None
    n_scored: int
    n_kept: int
    n_unclear: int
    n_duplicate: int
    n_over_quota: int
    n_other_emotion: int
    clarity: float | None
    weights_sha256: str
    clear_sha256: str

    def __post_init__(self) -> None:
        lost = self.n_unclear + self.n_duplicate + self.n_over_quota + self.n_other_emotion
        if self.n_kept + lost != self.n_scored:
            raise ValueError(f"{self.take_id}: {self.n_kept} + {lost} of {self.n_scored} frames")


@dataclass(frozen=True)
class ClarityThreshold(Row):
    """The clarity from which on a frame of an emotion counts; null: none could be fitted.

    `how`: given, quantile or floor; `n_fit` the frames of train that a quantile was fitted on.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        emotion=pa.string(), threshold=pa.float64(), how=pa.string(), n_fit=pa.int32()
    )

    emotion: str
    threshold: float | None
    how: str
    n_fit: int


@dataclass(frozen=True)
class YieldPoint(Row):
    """A point of the yield curve: of an emotion's scored frames, those at least so clear."""

    SCHEMA: ClassVar[pa.Schema] = _schema(
        emotion=pa.string(), threshold=pa.float64(), n_scored=pa.int32(), n_passing=pa.int32()
    )

    emotion: str
    threshold: float
    n_scored: int
    n_passing: int


@dataclass(frozen=True)
class Suspect(Row):
    """A take that looks mislabelled: recorded as one emotion, clear as another.

    `share` of its scored frames are clear as `seen`; `p_seen` and `p_recorded` are means over its
    `n_clear` clear frames.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        take_id=pa.string(),
        speaker=pa.string(),
        recorded=pa.string(),
        seen=pa.string(),
        level=pa.int8(),
        split=pa.string(),
        n_scored=pa.int32(),
        n_clear=pa.int32(),
        share=pa.float64(),
        p_seen=pa.float64(),
        p_recorded=pa.float64(),
    )

    take_id: str
    speaker: str
    recorded: str
    seen: str
    level: int
    split: str | None
    n_scored: int
    n_clear: int
    share: float
    p_seen: float
    p_recorded: float


CODES_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("quad", pa.list_(pa.float64())),
        ("code", pa.list_(pa.float32())),
        ("pixel_error", pa.float32()),
        ("perceptual_error", pa.float32()),
        ("identity", pa.float32()),
        ("mouth_open", pa.float32()),
        ("mouth_width", pa.float32()),
        ("mouth_corner", pa.float32()),
        ("verdict", pa.string()),
    ]
)
"""One row an inverted frame of a take, one file a take.

`time_s` is the frame's instant (the middle of its time). `quad` is the square that the picture was
taken from, 4 x (x, y) in the full frame: top left, bottom left, bottom right, top right. `code` is
the W+ code, n_latent x dim. `pixel_error` is the root mean square difference of the reconstruction
over the range of a pixel (0 to 1), `perceptual_error` the mean squared difference of deep
features, `identity` the cosine of ArcFace embeddings; both null where no network was given. Mouth
measures are of the source, over the distance of the outer eye corners. `verdict`: kept,
large_error, unlike_features or other_identity.
"""


@dataclass(frozen=True)
class InvertedTake(Row):
    """One take after inversion: n_asked = n_kept + n_rejected. Errors are medians over the kept."""

    SCHEMA: ClassVar[pa.Schema] = _schema(
        take_id=pa.string(),
        dataset=pa.string(),
        speaker=pa.string(),
        emotion=pa.string(),
        level=pa.int8(),
        view=pa.string(),
        split=pa.string(),
        n_frames=pa.int32(),
        n_asked=pa.int32(),
        n_kept=pa.int32(),
        n_rejected=pa.int32(),
        pixel_error=pa.float32(),
        perceptual_error=pa.float32(),
        identity=pa.float32(),
        framing=pa.string(),
        n_latent=pa.int32(),
        dim=pa.int32(),
        encoder_sha256=pa.string(),
        generator_sha256=pa.string(),
        codes_sha256=pa.string(),
    )

    take_id: str
    dataset: str
    speaker: str
    emotion: str
    level: int
    view: str
    split: str | None
    n_frames: int
    n_asked: int
    n_kept: int
    n_rejected: int
    pixel_error: float | None
    perceptual_error: float | None
    identity: float | None
    framing: str
    n_latent: int
    dim: int
    encoder_sha256: str
    generator_sha256: str
    codes_sha256: str

    def __post_init__(self) -> None:
        if self.n_kept + self.n_rejected != self.n_asked:
            raise ValueError(f"{self.take_id}: {self.n_kept} + {self.n_rejected} of {self.n_asked}")


@dataclass(frozen=True)
class Direction(Row):
    """The way from neutral to an emotion in W+, of all speakers or of one.

    `plain` is the normal of the boundary and `vector` the same with the mouth's part taken out,
    both n_latent x dim at the length that `norm` names: 1 (flattened) or sqrt(n_latent)
    (per_layer). `class_gap` is how far the classes' means lie apart along `plain`, in its lengths;
    a step of one gap along `vector` is `gap_length` of its lengths. Accuracies are means of both
    classes' recalls on takes, and on speakers, that the boundary did not see; null where there are
    too few. `moves` are k patterns of the `measures`, k x n_latent x dim; `shift_before` and
    `shift_after` what the calibrating measurer saw in train's neutral frames at `closed_at` class
    gaps, through `readout` (k x 80 points of the lips, see `stylegan.mouth.readout`).
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        direction_id=pa.string(),
        dataset=pa.string(),
        emotion=pa.string(),
        speaker=pa.string(),
        n_latent=pa.int32(),
        dim=pa.int32(),
        norm=pa.string(),
        c=pa.float64(),
        n_neutral=pa.int32(),
        n_emotion=pa.int32(),
        n_speakers=pa.int32(),
        n_takes=pa.int32(),
        accuracy_by_take=pa.float64(),
        accuracy_by_speaker=pa.float64(),
        class_gap=pa.float64(),
        gap_length=pa.float64(),
        cosine=pa.float64(),
        measures=pa.list_(pa.string()),
        closed_at=pa.float64(),
        n_calibration=pa.int32(),
        shift_before=pa.list_(pa.float64()),
        shift_after=pa.list_(pa.float64()),
        vector=pa.list_(pa.float32()),
        plain=pa.list_(pa.float32()),
        moves=pa.list_(pa.float32()),
        readout=pa.list_(pa.float32()),
        encoder_sha256=pa.string(),
        generator_sha256=pa.string(),
        direction_sha256=pa.string(),
    )

    direction_id: str
    dataset: str
    emotion: str
    speaker: str | None
    n_latent: int
    dim: int
    norm: str
    c: float
    n_neutral: int
    n_emotion: int
    n_speakers: int
    n_takes: int
    accuracy_by_take: float | None
    accuracy_by_speaker: float | None
    class_gap: float
    gap_length: float
    cosine: float
    measures: tuple[str, ...]
    closed_at: float
    n_calibration: int
    shift_before: tuple[float, ...]
    shift_after: tuple[float, ...]
    vector: tuple[float, ...]
    plain: tuple[float, ...]
    moves: tuple[float, ...]
    readout: tuple[float, ...]
    encoder_sha256: str
    generator_sha256: str
    direction_sha256: str

    def __post_init__(self) -> None:
        length = self.n_latent * self.dim
        if not len(self.vector) == len(self.plain) == length:
            raise ValueError(f"{self.direction_id}: a vector is not of {length} numbers")
        if len(self.moves) != len(self.measures) * length:
            raise ValueError(f"{self.direction_id}: {len(self.measures)} measures, other patterns")


@dataclass(frozen=True)
class MadePicture(Row):
    """One picture of a family: the reconstruction of a source frame, or that with an emotion.

    `family_id` is `<take_id>-<frame>`. `beta` is in lengths of the direction, `gaps` the same in
    class gaps, both 0 for the reconstruction; `tries` how many betas were tried. Mouth measures
    are of the made picture, over the distance of its outer eye corners; differences are to the
    reconstruction, and for the reconstruction to the source frame. `identity` is the cosine of
    ArcFace embeddings and `clarity` the probability of the picture's emotion; null where no
    network was given, as are measures where no face was found. `clarity_rise` is the clarity less
    the reconstruction's probability of that emotion. `verdict`: kept or why not; a kept picture may
    stand in a family that is not, see `family_kept`.
    """

    SCHEMA: ClassVar[pa.Schema] = _schema(
        family_id=pa.string(),
        take_id=pa.string(),
        frame=pa.int32(),
        time_s=pa.float64(),
        dataset=pa.string(),
        speaker=pa.string(),
        source_emotion=pa.string(),
        level=pa.int8(),
        view=pa.string(),
        split=pa.string(),
        emotion=pa.string(),
        is_reconstruction=pa.bool_(),
        norm=pa.string(),
        beta=pa.float32(),
        gaps=pa.float32(),
        tries=pa.int32(),
        mouth_open=pa.float32(),
        mouth_width=pa.float32(),
        mouth_corner=pa.float32(),
        mouth_open_difference=pa.float32(),
        mouth_width_difference=pa.float32(),
        mouth_corner_difference=pa.float32(),
        identity=pa.float32(),
        clarity=pa.float32(),
        clarity_rise=pa.float32(),
        verdict=pa.string(),
        family_kept=pa.bool_(),
        frame_to_picture=pa.list_(pa.float64()),
        generator_sha256=pa.string(),
        encoder_sha256=pa.string(),
        direction_sha256=pa.string(),
    )

    family_id: str
    take_id: str
    frame: int
    time_s: float
    dataset: str
    speaker: str
    source_emotion: str
    level: int
    view: str
    split: str | None
    emotion: str
    is_reconstruction: bool
    norm: str
    beta: float
    gaps: float
    tries: int
    mouth_open: float | None
    mouth_width: float | None
    mouth_corner: float | None
    mouth_open_difference: float | None
    mouth_width_difference: float | None
    mouth_corner_difference: float | None
    identity: float | None
    clarity: float | None
    clarity_rise: float | None
    verdict: str
    family_kept: bool
    frame_to_picture: tuple[float, ...]
    generator_sha256: str
    encoder_sha256: str
    direction_sha256: str | None


FAMILIES_SCHEMA = pa.schema(
    [*MadePicture.SCHEMA, ("picture", pa.binary()), ("composed", pa.binary())]
)
"""One row a picture of a take's families, one file a take: `picture` as JPEG, and `composed`, where
asked for, the take's stored crop with the picture pasted into it."""


@dataclass(frozen=True)
class MadeFamily(Row):
    """One family: a source frame's reconstruction and its pictures, of which `n_kept` were kept."""

    SCHEMA: ClassVar[pa.Schema] = _schema(
        family_id=pa.string(),
        take_id=pa.string(),
        frame=pa.int32(),
        speaker=pa.string(),
        split=pa.string(),
        n_pictures=pa.int32(),
        n_kept=pa.int32(),
        rows_sha256=pa.string(),
    )

    family_id: str
    take_id: str
    frame: int
    speaker: str
    split: str | None
    n_pictures: int
    n_kept: int
    rows_sha256: str


@dataclass(frozen=True)
class Rejected(Row):
    """One planned item that gave nothing: which, at what grain, why."""

    SCHEMA: ClassVar[pa.Schema] = _schema(
        stage=pa.string(),
        grain=pa.string(),
        item=pa.string(),
        reason=pa.string(),
        kind=pa.string(),
        detail=pa.string(),
    )

    stage: str
    grain: str
    item: str
    reason: str
    kind: str
    detail: str

    def __post_init__(self) -> None:
        known = REASONS.get(self.reason)
        if known is None or known.kind != self.kind:
            raise ValueError(f"{self.item}: {self.reason!r} ({self.kind}) is no slug of REASONS")


def rejected(stage: str, grain: str, item: str, reason: str, detail: str) -> Rejected:
    """The row of one reject; its kind follows from the reason."""
    kind = REASONS[reason].kind
    return Rejected(stage, grain, printable(item), reason, kind, printable(detail))
