"""The error tree, by who can fix the cause.

    SpfemError
    ├── Reject                 one item is unusable: recorded with its reason, the run continues
    └── PipelineError          the user must act: one line on the terminal, exit 1
        ├── ParameterError     params.yaml or an option has an invalid value
        ├── PartDone           this part of a run is done, others are still missing
        ├── OutOfOrderError    a stage that must run first has not run
        ├── MissingExtraError  a library of an extra is not installed
        ├── MissingWeightsError  the weights that a stage names are missing
        ├── StorageError       the disk is full, or a folder is not writable
        ├── BusyError          another run works on the same outputs
        └── TableError         a table on disk is not what this version writes

Anything else is a bug and shows a traceback. The reader raises some of them, too; those are defined
in `spfem_data.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.install_hints import extra_install
from spfem_data.errors import PipelineError, SpfemError, TableError, meant, printable

__all__ = [
    "REASONS", "BusyError", "Kind", "MissingExtraError", "MissingWeightsError", "OutOfOrderError",
    "ParameterError", "PartDone", "PipelineError", "Reason", "Reject", "SpfemError", "StorageError",
    "TableError", "meant", "printable",
]  # fmt: skip

Kind = Literal["filtered", "failed"]


@dataclass(frozen=True)
class Reason:
    """What a reject slug means.

    `kind` is filtered (we chose so) or failed (it could not be done, and may be retried). `setting`
    is the params.yaml key or the option that decides it; "" if none does.
    """

    kind: Kind
    meaning: str
    setting: str = ""


REASONS: dict[str, Reason] = {
    # extract
    "unreadable": Reason("failed", "the file cannot be opened or decoded"),
    "truncated": Reason("failed", "decoding stops before the declared end"),
    "too_large": Reason(
        "failed", "the file or its image exceeds the limits of extract", "extract.max_file_mb"
    ),
    "missing_file": Reason("failed", "the file that the corpus names is missing"),
    "no_audio": Reason("failed", "neither the container nor a separate file has usable audio"),
    "never_together": Reason(
        "failed", "by their clocks, the audio ends before the video starts, or the reverse"
    ),
    "silent": Reason(
        "filtered", "the audio is below extract.silence_db throughout", "extract.silence_db"
    ),
    "no_face": Reason("filtered", "too few frames show a face", "extract.min_found"),
    "several_faces": Reason(
        "filtered", "several faces are in the image", "extract.policies.several_faces"
    ),
    "rejected_finding": Reason(
        "filtered", "extract.policies rejects takes with this finding", "extract.policies"
    ),
    "not_admitted": Reason(
        "filtered", "the split rule does not include the speaker", "splits.<name>.only"
    ),
    "few_frames": Reason(
        "filtered", "the video or the audio is too short", "extract.min_duration_s"
    ),
    "duplicate_take": Reason("filtered", "two files claim the same take"),
    "misfiled": Reason("filtered", "its folder names another speaker than its file name"),
    "encrypted": Reason("failed", "the member of the archive needs a password"),
    "unsafe_member": Reason(
        "filtered", "a link, a device or a path out of its archive: not followed"
    ),
    "outside_root": Reason("filtered", "the manifest names a path outside its own folder"),
    "bad_row": Reason("failed", "the row of the manifest lacks what a take needs"),
    "worker_died": Reason(
        "failed", "the worker process crashed on the item each time", "--worker-memory"
    ),
    "timed_out": Reason(
        "failed", "the item took longer than --item-timeout and was stopped", "--item-timeout"
    ),
    "too_much_memory": Reason(
        "failed", "the worker process exceeded --worker-memory", "--worker-memory"
    ),
    "worker_garbled": Reason("failed", "the worker process returned an invalid result"),
    # align
    "no_partner": Reason(
        "filtered", "no take of the other emotion says this sentence", "align.max_score"
    ),
    "wrong_sentence": Reason(
        "filtered",
        "the audio shows that the two takes say different words",
        "align.max_score_named",
    ),
    "ambiguous_sentence": Reason(
        "filtered", "another take fits nearly as well", "align.min_margin"
    ),
    "same_recording": Reason("filtered", "the two takes are one recording under two labels"),
    "straddles_split": Reason(
        "filtered", "the two takes are in different splits", "datasets.<name>.split"
    ),
    "few_pairs": Reason(
        "filtered", "too few frame pairs pass the confidence gate", "align.min_pairs"
    ),
    "odd_span": Reason(
        "filtered", "one take has a word that the other lacks, or repeats it", "align.odd_spans"
    ),
    "level_not_paired": Reason(
        "filtered", "align.levels pairs only takes of another level", "align.levels"
    ),
    "too_long": Reason(
        "filtered", "its audio is longer than align.max_duration_s", "align.max_duration_s"
    ),
    "length_ratio": Reason(
        "filtered", "one take is too long to say the same as the other", "align.max_length_ratio"
    ),
    # pose
    "no_landmarks": Reason("filtered", "one frame of the pair has no face"),
    "degenerate_pose": Reason("failed", "no affine maps one face onto the other"),
    "other_face": Reason("filtered", "the two takes seem to show two people", "pose.other_face"),
    "large_residual": Reason(
        "filtered", "the landmarks stay too far apart after the affine", "pose.max_residual"
    ),
    # filter
    "unclear": Reason(
        "filtered", "no frame shows its emotion as clearly as required", "filter.thresholds"
    ),
    "over_quota": Reason(
        "filtered", "clearer frames of other takes filled the quota", "filter.quota"
    ),
    "looks_mislabelled": Reason(
        "filtered", "its clear frames show another emotion than recorded", "filter.suspects.drop"
    ),
    "not_of_seven": Reason("filtered", "its emotion is not one of the seven that have a D_n"),
    "no_neutral": Reason(
        "filtered",
        "clarity is relative to neutral, and the speaker has no neutral take",
        "filter.relative_to_neutral",
    ),
    # invert
    "audio_only": Reason("filtered", "the take has audio only"),
    "poor_inversion": Reason(
        "filtered",
        "no frame's reconstruction is close enough to its source",
        "invert.max_pixel_error",
    ),
    # directions
    "few_codes": Reason(
        "filtered", "too few takes with codes show the emotion, or neutral", "directions.min_takes"
    ),
    "mouth_unmeasured": Reason(
        "filtered", "no mouth pattern: it hardly moves, or is not found", "directions.compensate"
    ),
    # synth
    "no_direction": Reason("filtered", "there is no direction for this emotion and speaker"),
    "no_face_made": Reason("filtered", "no face is found in the synthetic image"),
    "mouth_moved": Reason(
        "filtered", "the mouth moved beyond the limits of synth", "synth.max_open"
    ),
    "identity_lost": Reason(
        "filtered", "the synthetic face no longer resembles the source", "synth.min_identity"
    ),
    "unclear_emotion": Reason(
        "filtered", "the emotion's probability rose too little", "synth.min_clarity_rise"
    ),
    "few_images": Reason("filtered", "too few images of the family were kept", "synth.min_images"),
    # shards
    "low_confidence": Reason(
        "filtered", "all its frame pairs are below shards.min_confidence", "shards.min_confidence"
    ),
    "no_split": Reason(
        "filtered", "the split depends on the sentence, which is not known", "splits.<name>.unit"
    ),
}


class Reject(SpfemError):
    """One item is unusable; the run records it and continues.

    Parameters
    ----------
    reason
        A slug of `REASONS`.
    detail
        What was measured, with the values.
    """

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is not a slug of REASONS")
        detail = printable(detail)
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Reject], tuple[str, str]]:
        return Reject, (self.reason, self.detail)


class ParameterError(PipelineError):
    """params.yaml or an option has an invalid value."""


class PartDone(PipelineError):
    """One part of a run is done and others are missing: not an error, but no tables yet."""


class OutOfOrderError(PipelineError):
    """A stage that must run first has not run for this dataset."""


class StorageError(PipelineError):
    """The disk is full, or a folder is not writable. Finished work is kept."""


class BusyError(PipelineError):
    """Another run works on the same outputs."""


class MissingWeightsError(PipelineError):
    """The weights that a stage names are missing; the stage writes empty tables and a note."""


def _install(extra: str) -> str:
    """The pip command for an extra: of this checkout if the package is installed from one."""
    folder = Path(__file__).resolve().parent.parent
    if (folder / "constraints.txt").is_file():
        return f"pip install -c {folder / 'constraints.txt'} -e '{folder}[{extra}]'"
    return f"pip install 'spfem-data[{extra}]'"


class MissingExtraError(PipelineError):
    """A library of an extra is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed; run: {extra_install(extra)}")
        self.library = library
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return MissingExtraError, (self.library, self.extra)
