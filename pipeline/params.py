"""params.yaml, one section a frozen model. Defaults live in that file only; unknown keys stop the
run.

What must not change a result (workers, engine, shard) is an option of the command line, not a
parameter.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.digests import digest
from pipeline.errors import ParameterError, meant
from pipeline.yaml_files import parse_yaml, read_text
from spfem_data.labels import EMOTIONS

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """One section: frozen, every key required, none unknown, no type coerced silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def key(self, without: Collection[str] = ()) -> str:
        """Digest of the section's values, of those named not."""
        return digest(self.model_dump(mode="json", exclude=set(without)))


class Select(Section):
    """Which takes of a corpus to use; an empty list means all."""

    speakers: list[str]
    emotions: list[str]
    levels: list[int]
    views: list[str]


class Dataset(Section):
    """One entry of `datasets`: a corpus on disk and what to take of it."""

    corpus: Literal["mead", "ravdess", "custom", "demo"]
    root: str
    select: Select
    split: str


class SplitRule(Section):
    """How takes fall into train, validation and test: named values first, shares for the rest."""

    unit: Literal["speaker", "sentence", "speaker+sentence", "take"]
    seed: int
    validation: Share
    test: Share
    assign: dict[str, Literal["train", "validation", "test"]]
    only: list[str]


class ModelFile(Section):
    """One entry of `models`: a file of weights, and where it can be fetched.

    `path` names the file; without it the file is what `models fetch` stores from `url`.
    """

    path: str
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, url: str) -> str:
        urlsplit(url)  # of `http://[` it says what is wrong
        return url


class Demo(Section):
    """The demo corpus."""

    seed: int
    frame_px: Count
    fps: Count
    crf: Annotated[int, Field(ge=0, le=51)]
    image_offset_ms: Annotated[int, Field(ge=0, le=400)]
    speakers: Annotated[list[str], Field(min_length=1)]


KeepOr = Literal["keep", "reject"]
RepairOr = Literal["keep", "repair", "reject"]


class ExtractPolicies(Section):
    """How a take with a finding is handled; the keys are those of `media.FINDINGS`.

    `repair` is allowed where extract can correct the problem; docs/extract.md says how.
    """

    no_video: KeepOr
    rotated: RepairOr
    interlaced: KeepOr
    hdr: KeepOr
    not_square_pixels: KeepOr
    variable_rate: KeepOr
    pts_gap: KeepOr
    pts_repeats: KeepOr
    frames_missing: KeepOr
    frames_extra: KeepOr
    frames_patched: KeepOr
    frozen_video: KeepOr
    frames_doubled: KeepOr
    cut: KeepOr
    audio_gap: RepairOr
    clipped_audio: KeepOr
    quiet_audio: KeepOr
    several_tracks: KeepOr
    channels_cancel: RepairOr
    channels_differ: RepairOr
    two_voices: KeepOr
    audio_starts_late: KeepOr
    audio_starts_early: KeepOr
    lengths_differ: KeepOr
    other_audio_used: KeepOr
    other_audio_unusable: KeepOr
    file_offset: RepairOr
    file_drifts: KeepOr
    file_differs: RepairOr
    several_faces: KeepOr
    face_passes: KeepOr
    wrong_way_up: RepairOr
    landmarks_unconfirmed: KeepOr
    face_outside: KeepOr
    small_face: KeepOr
    face_comes_and_goes: KeepOr
    mouth_covered: KeepOr
    face_jumps: KeepOr
    face_near_edge: KeepOr
    head_leaves_crop: KeepOr


class Extract(Section):
    """Decode, track faces, store one crop per frame and 16 kHz audio."""

    crop_px: Annotated[int, Field(ge=64, le=2048)]
    crop_margin: Positive
    jpeg_quality: Annotated[int, Field(ge=50, le=100)]
    mesh_px: Annotated[int, Field(ge=128)]
    min_found: Share
    count_faces_every_s: Positive
    min_duration_s: Positive
    max_duration_s: Annotated[float, Field(gt=0, le=21600)]
    max_frame_px: Count
    max_file_mb: Count
    silence_db: float
    sample_rate_hz: Literal[16000]
    audio_from: Literal["container", "file"]
    landmarker: Annotated[str, Field(pattern=r"^mesh$|\.task$")]
    landmarker_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    policies: ExtractPolicies


class Sync(Section):
    """The offset of image against audio of each recording session; see `alignment.sync_offsets`."""

    mode: Literal["apply", "report", "off"]
    model_takes: Count
    min_takes: Annotated[int, Field(ge=2)]
    min_audio_s: Positive
    ridge: Positive
    min_strength: Share
    max_error_ms: Positive
    significance: Positive


class AlignFeatures(Section):
    """Mel features and speech mask; see `alignment.features`."""

    sample_rate: Literal[16000]
    n_fft: Count
    window_samples: Count
    hop_samples: Count
    n_mels: Count
    fmin_hz: Annotated[float, Field(ge=0)]
    fmax_hz: Positive
    top_db: Positive
    blur_bands: Annotated[float, Field(ge=0)]
    delta_width: Annotated[int, Field(ge=3)]
    speech_share: Share
    speech_median_cells: Count

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.hop_samples <= self.window_samples <= self.n_fft:
            raise ValueError("expected hop_samples <= window_samples <= n_fft")
        if not self.fmin_hz < self.fmax_hz <= self.sample_rate / 2:
            raise ValueError(f"expected fmin_hz < fmax_hz <= {self.sample_rate / 2:g}")
        if self.delta_width % 2 == 0:
            raise ValueError(f"delta_width ({self.delta_width}) must be odd")
        return self

    @property
    def hop_s(self) -> float:
        """Seconds from one cell to the next."""
        return self.hop_samples / self.sample_rate


class AlignSteps(Section):
    """The cost of a step: its weight times the distance of the cell that it enters."""

    diagonal: Positive
    along_b: Positive
    along_a: Positive

    def as_tuple(self) -> tuple[float, float, float]:
        """Weights in the order of `alignment.warping_path.STEPS`."""
        return self.diagonal, self.along_b, self.along_a


class AlignPosterior(Section):
    """The distribution over warping paths; see `alignment.posterior`."""

    temperature: Positive
    min_temperature: Positive
    band_s: Positive


class AlignCalibration(Section):
    """``logit(p) = intercept + mass * logit(mass) + tempo * abs(log(slope))``."""

    intercept: float
    mass: float
    tempo: float


class AlignFrames(Section):
    """Which frames are paired, and how their reliability is measured."""

    tolerance_s: Positive
    min_confidence: Annotated[float, Field(ge=0, lt=1)]
    certainty: Annotated[float, Field(ge=0, lt=1)]
    slope_half_s: Positive
    contrast_offset_s: Positive
    calibration: AlignCalibration


class AlignSpans(Section):
    """Words that only one take has, or has twice; see `alignment.word_mismatch`."""

    limit_s: Positive
    twice_limit: Positive
    distance_cap: Positive
    step_fee: Positive
    speech_margin_s: Annotated[float, Field(ge=0)]
    twice_min_s: Positive
    twice_max_s: Positive
    twice_beside_s: Positive
    twice_speech: Share

    @model_validator(mode="after")
    def _lags_are_in_order(self) -> Self:
        if not self.twice_beside_s < self.twice_min_s <= self.twice_max_s:
            raise ValueError("expected twice_beside_s < twice_min_s <= twice_max_s")
        return self


class AlignMouths(Section):
    """Frame pairs whose mouths contradict each other; see `stages.align.mouth_check`."""

    one_silent: Literal["keep", "match", "drop"]
    both_silent: Literal["keep", "match", "drop"]
    max_difference: Positive
    gap_limit: Positive
    max_gap: Annotated[float, Field(ge=0)]


class AlignSameRecording(Section):
    """When two takes are one recording; see `alignment.same_recording`."""

    sure_score: Positive
    max_score: Positive
    min_straight: Share


class Align(Section):
    """Which takes say the same sentence, and which of their frames are paired."""

    preset: Literal["default", "compat_scmcl"]
    pairs: Literal["neutral", "all"]
    levels: Literal["each", "level_3"]
    features: AlignFeatures
    steps: AlignSteps
    posterior: AlignPosterior
    frames: AlignFrames
    spans: AlignSpans
    same_recording: AlignSameRecording
    mouths: AlignMouths
    odd_spans: Literal["keep", "reject"]
    backend: Literal["dtw-python", "librosa"]
    audio_fps: Positive
    transcripts: str
    transcripts_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    max_score: Positive
    max_score_named: Positive
    max_score_files: Positive
    min_margin: float
    prior_bonus: float
    max_duration_s: Positive
    max_length_ratio: Annotated[float, Field(ge=1)]
    min_pairs: Count


class Pose(Section):
    """The affine of each frame pair."""

    method: Literal["affine", "affine_robust", "similarity"]
    landmarks: Literal["stable", "all"]
    expression: Literal["solve", "ignore"]
    shear_prior: Annotated[float, Field(ge=0)]
    smooth_s: Annotated[float, Field(ge=0)]
    max_residual: Positive
    max_face_difference: Annotated[float, Field(ge=0)]
    other_face: Literal["keep", "reject"]

    @model_validator(mode="after")
    def _movements_are_of_stable_landmarks(self) -> Self:
        if self.landmarks == "all" and self.expression == "solve":
            raise ValueError("expression solve needs landmarks stable; with all, give ignore")
        return self


Prompts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class ScorePrompts(Section):
    """One ensemble: the prompts of each emotion."""

    neutral: Prompts
    happy: Prompts
    angry: Prompts
    surprised: Prompts
    fear: Prompts
    sad: Prompts
    disgusted: Prompts


class Score(Section):
    """Which CLIP judges the frames, with which words; `scoring.setup` makes a judge of it."""

    network: Annotated[str, Field(min_length=1)]
    weights: str
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    framing: Literal["ned256", "ffhq", "head"]
    frames_per_take: Annotated[int, Field(ge=0)]
    batch: Count
    ensemble: str
    ensembles: dict[str, ScorePrompts]

    @model_validator(mode="after")
    def _ensemble_is_there(self) -> Self:
        if self.ensemble not in self.ensembles:
            known = ", ".join(sorted(self.ensembles)) or "none"
            raise ValueError(f"ensemble {self.ensemble!r} is none of ensembles: {known}")
        return self

    @property
    def prompts(self) -> tuple[tuple[str, ...], ...]:
        """The prompts of the chosen ensemble, in the order of EMOTIONS."""
        own = self.ensembles[self.ensemble]
        return tuple(tuple(getattr(own, emotion)) for emotion in EMOTIONS)


class FilterThresholds(Section):
    """The least clarity of a frame of each emotion (CDRL 3.2: one an emotion)."""

    neutral: Share
    happy: Share
    angry: Share
    surprised: Share
    fear: Share
    sad: Share
    disgusted: Share


class FilterDuplicates(Section):
    """Near-duplicates inside a take; see `clarity.choice.near_duplicates`."""

    within_s: Annotated[float, Field(ge=0)]
    similarity: Share


class FilterSuspects(Section):
    """Takes that look mislabelled; see `stages.filter.selection.is_suspect`."""

    min_p: Share
    min_share: Share
    neutral_share: Share
    neutral_from_level: Count
    drop: bool


class Filter(Section):
    """Which frames are clear enough for D_n."""

    policy: Literal["threshold", "quantile", "quota"]
    thresholds: FilterThresholds
    quantile: Share
    quota: Count
    floor: Share
    require_recorded: bool
    relative_to_neutral: bool
    equal_per_emotion: bool
    duplicates: FilterDuplicates
    suspects: FilterSuspects


class Invert(Section):
    """Frames to W+ codes. Networks are names of `models`; "" gives none."""

    encoder: str
    generator: str
    identity: str
    perceptual: str
    framing: Literal["ffhq", "ned256"]
    smooth_square_frames: Annotated[float, Field(ge=0)]
    frames_per_take: Annotated[int, Field(ge=0)]
    smooth_codes_s: Annotated[float, Field(ge=0)]
    max_pixel_error: Share
    max_perceptual_error: Annotated[float, Field(ge=0)]
    min_identity: Annotated[float, Field(ge=-1, le=1)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    batch: Count


class TrainEncoder(Section):
    """The training of a W+ encoder on a dataset's faces (SSERD eq. 7 to 10).

    Networks are names of `models`. This is not a stage: list the result under `models`.
    """

    start: str
    generator: str
    perceptual: str
    framing: Literal["ffhq", "ned256"]
    smooth_square_frames: Annotated[float, Field(ge=0)]
    frames_per_take: Annotated[int, Field(ge=0)]
    steps: Count
    batch: Count
    rate: Positive
    perceptual_weight: Annotated[float, Field(ge=0)]
    adversarial: Annotated[float, Field(ge=0)]
    contrast: Annotated[float, Field(ge=0)]
    tau: Positive
    r1: Annotated[float, Field(ge=0)]
    freeze_norms: bool
    seed: Annotated[int, Field(ge=0)]
    checkpoint_every: Count
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]

    @model_validator(mode="after")
    def _judge_sees_groups_of_four(self) -> Self:
        if self.adversarial and self.batch > 4 and self.batch % 4:
            raise ValueError("batch is at most 4 or a multiple of 4 where adversarial is not 0")
        return self


MouthMeasure = Literal["mouth_open", "mouth_width", "mouth_corner"]


class Directions(Section):
    """The direction from neutral to each emotion; `stylegan.svm_direction`, `stylegan.mouth`."""

    speakers: Literal["pooled", "each"]
    c: Positive
    balance: Literal["none", "classes", "speakers"]
    cap: Annotated[int, Field(ge=0)]
    codes: Count
    min_takes: Count
    folds: Annotated[int, Field(ge=2)]
    norm: Literal["flattened", "per_layer"]
    compensate: list[MouthMeasure]
    closed_at: Positive
    rounds: Annotated[int, Field(ge=0)]
    gain: Positive
    calibration_frames: Count
    readout_frames: Count


class SynthBetas(Section):
    """An emotion's own beta; null takes `synth.beta`."""

    happy: float | None
    angry: float | None
    surprised: float | None
    fear: float | None
    sad: float | None
    disgusted: float | None


class Synth(Section):
    """Families: each source frame's reconstruction and its six emotions."""

    source_emotions: Annotated[list[str], Field(min_length=1)]
    frames_per_take: Annotated[int, Field(ge=0)]
    beta: Positive
    beta_in: Literal["gaps", "lengths"]
    betas: SynthBetas
    keep_mouth: bool
    corrections: Annotated[int, Field(ge=0)]
    gain: Positive
    tries: Count
    shrink: Annotated[float, Field(gt=0, lt=1)]
    max_open: Annotated[float, Field(ge=0)]
    max_width: Annotated[float, Field(ge=0)]
    max_corner: Annotated[float, Field(ge=0)]
    min_identity: Annotated[float, Field(ge=-1, le=1)]
    min_clarity_rise: Annotated[float, Field(ge=-1, le=1)]
    min_images: Annotated[int, Field(ge=1, le=6)]
    compose_back: bool
    jpeg_quality: Annotated[int, Field(ge=50, le=100)]


class ShardsWindows(Section):
    """Windows of the config `sequences`; see `pairing.windows.find_windows`."""

    length: Annotated[int, Field(ge=2)]
    max_step: Count
    min_confidence: Share
    keep_rejected: bool


class ShardsFrames(Section):
    """The config `frames`; see `packing.frames`."""

    per_take: Annotated[int, Field(ge=0)]
    framing: Literal["ned256", "ffhq", "head"]


class ShardsProtocols(Section):
    """The lists for evaluation; see `packing.trials.draw`."""

    split: Literal["train", "validation", "test"]
    per_emotion: Count


class ShardsCounts(Section):
    """Files of each config and split."""

    pairs: Count
    sequences: Count
    takes: Count
    emotions: Count
    families: Count
    frames: Count


class Shards(Section):
    """What goes into the shards."""

    framing: Literal["ned256", "ffhq", "head"]
    size_px: Annotated[int, Field(ge=32, le=1024)]
    jpeg_quality: Annotated[int, Field(ge=50, le=100)]
    n_shards: ShardsCounts
    rows_per_group: Count
    min_confidence: Share
    windows: ShardsWindows
    frames: ShardsFrames
    protocols: ShardsProtocols


class Report(Section):
    """The HTML page and metrics.json."""

    pairs: Count
    page_mb: Annotated[float, Field(gt=0)]
    frames_per_strip: Count
    thumb_px: Annotated[int, Field(ge=32, le=512)]
    overlays: Count
    grids: Count
    families: Count
    suspects: Count
    sheet: Count
    sheet_px: Annotated[int, Field(ge=32, le=512)]
    examples: Count
    seed: int


class Params(Section):
    """All of params.yaml."""

    datasets: dict[Name, Dataset]
    forgotten: dict[Name, list[str]]
    numerics: Literal["portable", "native"]
    splits: dict[Name, SplitRule]
    models: dict[Name, ModelFile]
    train_encoder: TrainEncoder
    demo: Demo
    extract: Extract
    sync: Sync
    align: Align
    pose: Pose
    score: Score
    filter: Filter
    invert: Invert
    directions: Directions
    synth: Synth
    shards: Shards
    report: Report

    def dataset(self, name: str) -> Dataset:
        """The entry of a dataset.

        Raises
        ------
        ParameterError
            When params.yaml lists none of that name.
        """
        if name not in self.datasets:
            known = ", ".join(sorted(self.datasets)) or "none"
            raise ParameterError(
                f"params.yaml lists no dataset {name!r}; it lists: {known}"
                + meant(name, self.datasets)
            )
        return self.datasets[name]

    def split_rule(self, name: str) -> SplitRule:
        """The split rule that a dataset names."""
        rule = self.dataset(name).split
        if rule not in self.splits:
            known = ", ".join(sorted(self.splits))
            raise ParameterError(
                f"dataset {name!r} names split {rule!r}; params.yaml has: {known}"
                + meant(rule, self.splits)
            )
        return self.splits[rule]


def load(path: Path | None) -> Params:
    """Read params.yaml; None means the defaults that the installed package carries.

    Raises
    ------
    ParameterError
        One line that names the key and what was expected there.
    """
    text = default_text() if path is None else read_text(path)
    return parse(text, "the default params.yaml" if path is None else str(path))


def parse(text: str, where: str) -> Params:
    """Check the text of a params.yaml; `where` is how errors call it.

    Raises
    ------
    ParameterError
        As `load`.
    """
    try:
        return Params.model_validate(parse_yaml(text, where))
    except ValidationError as error:
        raise ParameterError(f"{where}: {_said(error)}") from error


def _said(error: ValidationError) -> str:
    """The first fault in words; a mistyped key before the key that it leaves missing."""
    faults = error.errors()
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    first = (unknown or faults)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the top level"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if first["type"] == "missing":
        return f"{key}: Field required; the default params.yaml has it{more}"
    if not unknown:
        return f"{key}: {first['msg']}, got {_short(first['input'])}{more}"
    beside = [
        f["loc"][-1]
        for f in faults
        if f["type"] == "missing" and f["loc"][:-1] == first["loc"][:-1]
    ]
    close = get_close_matches(str(first["loc"][-1]), [str(name) for name in beside], 1, 0.5)
    missing = f"; {close[0]!r} is missing there" if close else ""
    return f"{key}: no such key{missing}{more}"


def default_text() -> str:
    """The text of the default params.yaml: of the checkout, else as carried by the package."""
    checkout = Path(__file__).resolve().parent.parent / "params.yaml"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    return (resources.files("pipeline") / "params.yaml").read_text(encoding="utf-8")


def _short(value: Any) -> str:
    text = _REPR.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_REPR = Repr()
"""A few lines of YAML, each of which names the one before nine times, print without end."""
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 4, 120, 120, 80
