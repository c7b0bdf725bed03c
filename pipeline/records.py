"""Every row type that stages write, with its Arrow schema.

Rows are frozen and validate themselves. Coordinates are pixel-edge coordinates of the full frame:
pixel i covers [i, i + 1), so the centre of the first pixel is 0.5. Times are seconds of
presentation time on the container's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

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
            f"{what} {name!r} is not an id of at most 200 letters, digits and . _ + % -"
        )


Int8 = Annotated[int, pa.int8()]
Int32 = Annotated[int, pa.int32()]
Float32 = Annotated[float, pa.float32()]
Matrix2x3 = Annotated[tuple[float, ...], pa.list_(pa.float64(), 6)]
"""An affine on pixel-edge coordinates, row by row."""
_PLAIN = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}


def _arrow_type(hint: Any) -> pa.DataType:
    """The Arrow type of a field: annotated, plain, `X | None`, or a list of these."""
    if get_origin(hint) is Annotated:
        return hint.__metadata__[0]
    inner = [part for part in get_args(hint) if part not in (type(None), ...)]
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(inner[0]))
    return _arrow_type(inner[0]) if inner else _PLAIN[hint]


class Row:
    """Base of all rows: conversion to and from the plain values of a table."""

    SCHEMA: ClassVar[pa.Schema]
    """Derived from the fields; all columns are nullable."""

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls, include_extras=True)
        cls.SCHEMA = pa.schema([(name, _arrow_type(hints[name])) for name in cls.__annotations__])

    def to_row(self) -> dict[str, Any]:
        """The row as plain values by column."""
        return {name: getattr(self, name) for name in self.SCHEMA.names}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The record of a table row; lists become tuples."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


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

    take_id: str
    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: Int8
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

    `findings` are slugs of media.FINDINGS, `repaired` those that were repaired. They are based on
    `declared_frames` of the container (null: none declared), `longest_frame_s`,
    `n_mouth_covered` (frames in which the mouth seems covered) and `audio_gap_s` (total gaps in the
    audio used). For a take with both a track and an audio file: `file_offset_ms` is the delay of
    the file relative to the video, `file_match` their correlation at that delay (1: equal),
    `file_drift_ms` the growth of the delay until the end (null: not measurable).
    """

    take_id: str
    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: Int8
    view: str
    take: str
    sentence: str | None
    sentence_source: str | None
    video_path: str | None
    video_member: str | None
    audio_path: str | None
    audio_member: str | None
    split: str | None
    width_px: Int32 | None
    height_px: Int32 | None
    fps: float | None
    n_frames: Int32
    n_found: Int32
    video_start_s: float | None
    video_end_s: float | None
    audio_start_s: float
    audio_end_s: float
    audio_from: str
    crop_x_px: float | None
    crop_y_px: float | None
    crop_side_px: float | None
    crop_px: Int32 | None
    interocular_px: Float32 | None
    frames_sha256: str | None
    audio_sha256: str
    findings: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    declared_frames: Int32 | None = None
    longest_frame_s: float | None = None
    n_mouth_covered: Int32 = 0
    audio_gap_s: float = 0.0
    file_offset_ms: float | None = None
    file_match: Float32 | None = None
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
        if not set(self.repaired) <= set(self.findings):
            raise ValueError(
                f"{self.take_id}: repaired {self.repaired} are not all in {self.findings}"
            )

    @property
    def has_video(self) -> bool:
        """Whether frames were extracted."""
        return self.n_frames > 0


FRAMES_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("duration_s", pa.float64()),
        ("found", pa.bool_()),
        # Not fixed-size: pyarrow before 26 cannot read null lists of fixed size that it wrote.
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

The frame is displayed in [time_s, time_s + duration_s). `landmarks` are 478 x (x, y, z) in pixels
of the full frame, null without a face, as are the measures derived from them. Yaw is positive when
the face turns towards the right edge of the image, pitch when it looks up, roll
when the head tilts clockwise in the image. Openings and widths are divided by the
distance of the outer eye corners (interocular_px). `crop` is the stored crop as JPEG.
"""


SYNC_STATUS = (
    "applied", "reported", "not_significant", "weak", "one_session", "no_mouth", "not_measured",
)  # fmt: skip
"""How the offset of a take is handled; `stages.sync.decisions` says when."""


@dataclass(frozen=True)
class SyncTake(Row):
    """The offset of a take's image against its audio; positive: the image is late.

    `session` is the recording session. `offset_ms` is the take's own, measured without others, with
    its standard error and the `strength` (correlation of predicted and measured mouth openings);
    null if it could not be measured. Offsets are relative to the commonest one of the dataset.
    `pooled` says which takes `applied_ms` was measured on: those of the session, of its view, or
    this take; empty if none was. `remaining_ms` is the standard error of the image's time after
    `applied_ms` is subtracted, null where nothing is known about it.
    """

    take_id: str
    session: str
    offset_ms: float | None
    error_ms: float | None
    strength: Float32 | None
    pooled: str
    applied_ms: float
    remaining_ms: float | None
    status: str

    def __post_init__(self) -> None:
        if self.status not in SYNC_STATUS:
            raise ValueError(f"{self.take_id}: status {self.status!r} is not one of SYNC_STATUS")
        if self.applied_ms and self.status != "applied":
            raise ValueError(f"{self.take_id}: {self.applied_ms} ms applied, but {self.status}")


@dataclass(frozen=True)
class SyncSession(Row):
    """The offset of a recording session, or of a part of it whose takes do not agree with others.

    `pooled` is session, view or take, `part` the view or take id, empty for the whole session. Of
    `n_takes`, `n_measured` show enough of the mouth. `spread_ms` is the standard deviation of the
    takes' own offsets, null for one. Other columns are as in `SyncTake`, of all takes together.
    """

    session: str
    speaker: str
    emotion: str
    level: Int8
    pooled: str
    part: str
    n_takes: Int32
    n_measured: Int32
    offset_ms: float | None
    error_ms: float | None
    spread_ms: float | None
    strength: Float32 | None
    applied_ms: float
    remaining_ms: float | None
    status: str


@dataclass(frozen=True)
class Sentence(Row):
    """The sentence of one utterance, and how it was determined.

    `method` is transcript, name, manifest, prior or audio. `anchor` is the neutral utterance that
    the audio was compared with, `score` as in `alignment.sentence_score` (low is alike), `margin`
    the distance to the next best.
    """

    utterance_id: str
    dataset: str
    speaker: str
    emotion: str
    level: Int8
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
    whole map (see `stages.align.mouth_agreement`), null without video. `sync_a_ms` is what was
    subtracted from the times of a's frames (positive: the image is late), `sync_error_ms` the
    standard error of the two takes' images against each other, null if not measured; `error_ms`
    includes it. `speech_a` says whether a's audio speaks at the frame, `mouth_gap` how
    far the mouths are apart around it (see `stages.align.mouth_check`). `odd_span` is the most
    likely extra word (only_in_a, only_in_b, twice_in_a, twice_in_b); a score of 1 or more is an
    alarm.
    """

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
    level_a: Int8
    level_b: Int8
    sentence_score: float
    sentence_method: str
    odd_span: str
    odd_span_score: float
    length_ratio: float
    n_frames_a: Int32
    n_frames_b: Int32
    coverage: float
    mouth_agreement: float | None
    sync_a_ms: float
    sync_b_ms: float
    sync_error_ms: float | None
    frame_a: tuple[Int32, ...]
    frame_b: tuple[Int32, ...]
    confidence: tuple[Float32, ...]
    error_ms: tuple[Float32, ...]
    run_ms: tuple[Float32, ...]
    slope: tuple[Float32, ...]
    contrast: tuple[Float32, ...]
    speech_a: tuple[bool, ...]
    speech_b: tuple[bool, ...]
    mouth_gap: tuple[Float32 | None, ...]
    knots_a_s: tuple[float, ...]
    knots_b_s: tuple[float, ...]

    def __post_init__(self) -> None:
        per_frame = (
            "frame_b", "confidence", "error_ms", "run_ms", "slope", "contrast", "speech_a",
            "speech_b", "mouth_gap",
        )  # fmt: skip
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

    pair_id: str
    frame_a: Int32
    frame_b: Int32
    affine: Matrix2x3
    inverse: Matrix2x3
    residual_before: Float32
    residual_after: Float32
    yaw_difference_deg: Float32
    pitch_difference_deg: Float32
    mouth_open_a: Float32
    mouth_open_b: Float32
    mouth_difference: Float32


@dataclass(frozen=True)
class PosedPair(Row):
    """One clip pair after pose: counts of its frame pairs by outcome, and medians.

    n_frames = n_kept + n_no_face + n_degenerate + n_large_residual. Medians are over the kept,
    angles as absolute values, null if none was kept. `face_difference` compares the aligned faces
    of the two takes (null: one has no face), `other_face` says that they seem to be two people's.
    `poses_sha256` is a digest of the kept rows' values.
    """

    pair_id: str
    speaker: str
    n_frames: Int32
    n_kept: Int32
    n_no_face: Int32
    n_degenerate: Int32
    n_large_residual: Int32
    residual_before: float | None
    residual_after: float | None
    yaw_difference_deg: float | None
    pitch_difference_deg: float | None
    mouth_difference: float | None
    face_difference: float | None
    other_face: bool
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
"""One row per scored frame, one file per take, frames increasing.

`p_*` are the probabilities of the seven emotions, which sum to 1; `embedding` is the image's in
CLIP's space, of unit length. Frames without a face are not scored.
"""


@dataclass(frozen=True)
class ScoredTake(Row):
    """One take after scoring: of `n_frames` frames `n_scored` have a row.

    `p` are the means of the seven probabilities over them, in the order of EMOTIONS;
    `weights_sha256` is of the file that scored, `scores_sha256` of the take's own file.
    """

    take_id: str
    dataset: str
    speaker: str
    emotion: str
    level: Int8
    view: str
    split: str | None
    n_frames: Int32
    n_scored: Int32
    p: tuple[Float32, ...]
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
"""One row per scored frame, one file per speaker: what the stage filter decided.

`emotion` is the n of the D_n in question: as recorded, or the likeliest if
`filter.require_recorded` is false. `clarity` is its probability (or that against the speaker's own
neutral), null for takes of another emotion. `verdict` is one of
stages.filter.selection.VERDICTS. `rank` is the rank among the clear frames (kept and over_quota) of
that emotion and split, clearest 1, else null. `split` is null if the take has none.
"""


@dataclass(frozen=True)
class FilteredTake(Row):
    """One scored take after the filter: counts of its frames by verdict.

    n_scored = n_kept + n_unclear + n_duplicate + n_over_quota + n_other_emotion. `clarity` is the
    median over the kept, null if none; `weights_sha256` is of the network that gave the scores,
    `clear_sha256` a digest of the take's rows.
    """

    take_id: str
    speaker: str
    emotion: str
    split: str | None
    n_scored: Int32
    n_kept: Int32
    n_unclear: Int32
    n_duplicate: Int32
    n_over_quota: Int32
    n_other_emotion: Int32
    clarity: Float32 | None
    weights_sha256: str
    clear_sha256: str

    def __post_init__(self) -> None:
        lost = self.n_unclear + self.n_duplicate + self.n_over_quota + self.n_other_emotion
        if self.n_kept + lost != self.n_scored:
            raise ValueError(f"{self.take_id}: {self.n_kept} + {lost} of {self.n_scored} frames")


@dataclass(frozen=True)
class ClarityThreshold(Row):
    """The least clarity of an emotion's frames; null: none could be fitted.

    `how` is given, quantile or floor; `n_fit` the training frames that a quantile was fitted on.
    """

    emotion: str
    threshold: float | None
    how: str
    n_fit: Int32


@dataclass(frozen=True)
class YieldPoint(Row):
    """A point of the yield curve: how many scored frames of an emotion reach a clarity."""

    emotion: str
    threshold: float
    n_scored: Int32
    n_passing: Int32


@dataclass(frozen=True)
class Suspect(Row):
    """A take that looks mislabelled: recorded as one emotion, clear as another.

    `share` of its scored frames are clear as `seen`; `p_seen` and `p_recorded` are means over its
    `n_clear` clear frames.
    """

    take_id: str
    speaker: str
    recorded: str
    seen: str
    level: Int8
    split: str | None
    n_scored: Int32
    n_clear: Int32
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
"""One row per inverted frame, one file per take.

`time_s` is the middle of the frame's display interval. `quad` is the square that the image was cut
from, 4 x (x, y) in the full frame: top left, bottom left, bottom right, top right. `code` is
the W+ code, n_latent x dim. `pixel_error` is the root mean square difference of the reconstruction
over the range of a pixel (0 to 1), `perceptual_error` the mean squared difference of deep
features, `identity` the cosine of ArcFace embeddings; both null without the network. Mouth
measures are of the source, over the distance of the outer eye corners. `verdict`: kept,
large_error, unlike_features or other_identity.
"""


@dataclass(frozen=True)
class InvertedTake(Row):
    """One take after inversion: n_asked = n_kept + n_rejected. Errors are medians over the kept."""

    take_id: str
    dataset: str
    speaker: str
    emotion: str
    level: Int8
    view: str
    split: str | None
    n_frames: Int32
    n_asked: Int32
    n_kept: Int32
    n_rejected: Int32
    pixel_error: Float32 | None
    perceptual_error: Float32 | None
    identity: Float32 | None
    framing: str
    n_latent: Int32
    dim: Int32
    encoder_sha256: str
    generator_sha256: str
    codes_sha256: str

    def __post_init__(self) -> None:
        if self.n_kept + self.n_rejected != self.n_asked:
            raise ValueError(f"{self.take_id}: {self.n_kept} + {self.n_rejected} of {self.n_asked}")


@dataclass(frozen=True)
class Direction(Row):
    """The direction from neutral to an emotion in W+, of all speakers or of one.

    `plain` is the normal of the boundary and `vector` the same with mouth motion projected out,
    both n_latent x dim at the length that `norm` names: 1 (flattened) or sqrt(n_latent)
    (per_layer). `class_gap` is the distance of the class means along `plain`, in its lengths;
    a step of one gap along `vector` is `gap_length` of its lengths. Accuracies are means of both
    classes' recalls on takes, and on speakers, that the boundary did not see; null where there are
    too few. `moves` are k patterns of the `measures`, k x n_latent x dim; `shift_before` and
    `shift_after` what the calibrating measurer saw in train's neutral frames at `closed_at` class
    gaps, through `readout` (k x 80 points of the lips, see `stylegan.mouth.readout`).
    """

    direction_id: str
    dataset: str
    emotion: str
    speaker: str | None
    n_latent: Int32
    dim: Int32
    norm: str
    c: float
    n_neutral: Int32
    n_emotion: Int32
    n_speakers: Int32
    n_takes: Int32
    accuracy_by_take: float | None
    accuracy_by_speaker: float | None
    class_gap: float
    gap_length: float
    cosine: float
    measures: tuple[str, ...]
    closed_at: float
    n_calibration: Int32
    shift_before: tuple[float, ...]
    shift_after: tuple[float, ...]
    vector: tuple[Float32, ...]
    plain: tuple[Float32, ...]
    moves: tuple[Float32, ...]
    readout: tuple[Float32, ...]
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
class MadeImage(Row):
    """One image of a family: the reconstruction of a source frame, or that with an emotion.

    `family_id` is `<take_id>-<frame>`. `beta` is in lengths of the direction, `gaps` the same in
    class gaps, both 0 for the reconstruction; `tries` is the number of betas tried. Mouth measures
    are of the synthetic image, over the distance of its outer eye corners; differences are to the
    reconstruction, and for the reconstruction to the source frame. `identity` is the cosine of
    ArcFace embeddings and `clarity` the probability of the image's emotion; null without the
    network, as are measures without a face. `clarity_rise` is the clarity minus
    the reconstruction's probability of that emotion. `verdict`: kept or why not; a kept image may
    belong to a rejected family, see `family_kept`.
    """

    family_id: str
    take_id: str
    frame: Int32
    time_s: float
    dataset: str
    speaker: str
    source_emotion: str
    level: Int8
    view: str
    split: str | None
    emotion: str
    is_reconstruction: bool
    norm: str
    beta: Float32
    gaps: Float32
    tries: Int32
    mouth_open: Float32 | None
    mouth_width: Float32 | None
    mouth_corner: Float32 | None
    mouth_open_difference: Float32 | None
    mouth_width_difference: Float32 | None
    mouth_corner_difference: Float32 | None
    identity: Float32 | None
    clarity: Float32 | None
    clarity_rise: Float32 | None
    verdict: str
    family_kept: bool
    frame_to_image: tuple[float, ...]
    generator_sha256: str
    encoder_sha256: str
    direction_sha256: str | None


FAMILIES_SCHEMA = pa.schema([*MadeImage.SCHEMA, ("image", pa.binary()), ("composed", pa.binary())])
"""One row per synthetic image, one file per take: `image` is a JPEG, and `composed`, if
requested, the take's stored crop with the image pasted in."""


@dataclass(frozen=True)
class MadeFamily(Row):
    """One family: a source frame's reconstruction and its images, of which `n_kept` were kept."""

    family_id: str
    take_id: str
    frame: Int32
    speaker: str
    split: str | None
    n_images: Int32
    n_kept: Int32
    rows_sha256: str


@dataclass(frozen=True)
class Rejected(Row):
    """One planned item that was not kept, with its reason."""

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
    """The row of one reject; the reason determines its kind."""
    kind = REASONS[reason].kind
    return Rejected(stage, grain, printable(item), reason, kind, printable(detail))
