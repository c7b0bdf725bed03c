"""The error tree, by who can mend the cause.

    SpfemError
    ├── Reject                 one item is unusable: it is recorded with its reason, the run goes on
    └── PipelineError          the user must do something: one line on the terminal, exit 1
        ├── ParameterError     params.yaml or an option says something that cannot be
        ├── PartDone           this part of a run is done, others are still missing
        ├── OutOfOrderError    a stage that must run first has not run
        ├── MissingExtraError  a library of an extra is not installed
        ├── MissingWeightsError  the weights that a stage names are not there
        ├── StorageError       the disk is full, or a folder cannot be written any more
        ├── BusyError          another run works on the same outputs
        └── TableError         a table on disk is not what this version writes

Anything else is a bug and shows a traceback. The reader raises some of them, too: those are defined
in `spfem_data.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """What a reject slug means; `filtered`: we chose, `failed`: we could not and may try again."""

    kind: Kind
    meaning: str


REASONS: dict[str, Reason] = {
    # extract
    "unreadable": Reason("failed", "the file cannot be opened or decoded"),
    "truncated": Reason("failed", "decoding stops before the declared end"),
    "too_large": Reason("failed", "the file or its picture is beyond the limits of extract"),
    "missing_file": Reason("failed", "the file that the corpus names is not there"),
    "no_sound": Reason("failed", "neither the container nor a separate file holds usable sound"),
    "silent": Reason("filtered", "the sound is below extract.silence_db throughout"),
    "no_face": Reason("filtered", "a face is found in too few frames"),
    "several_faces": Reason("filtered", "more than one face is in the picture"),
    "rejected_finding": Reason("filtered", "extract.policies rejects takes with this finding"),
    "not_admitted": Reason("filtered", "the split's rule admits other speakers only"),
    "few_frames": Reason("filtered", "fewer frames or less sound than a take needs"),
    "duplicate_take": Reason("filtered", "two files claim the same take"),
    "misfiled": Reason("filtered", "its folder names another speaker than its file name"),
    "encrypted": Reason("failed", "the member of the archive needs a password"),
    "unsafe_member": Reason(
        "filtered", "a link, a device or a path out of its archive: not followed"
    ),
    "outside_root": Reason("filtered", "the manifest names a path out of its own folder"),
    "bad_row": Reason("failed", "the row of the manifest does not say what a take needs"),
    "worker_died": Reason("failed", "the process that worked on the item died each time"),
    "timed_out": Reason("failed", "the item took longer than --item-timeout, and was ended"),
    "too_much_memory": Reason("failed", "the item's process grew beyond --worker-memory"),
    "worker_garbled": Reason("failed", "what the item's process sent back is no result"),
    # align
    "no_partner": Reason("filtered", "no take of the other emotion has this sentence"),
    "wrong_sentence": Reason("filtered", "by their audio, the two takes say different sentences"),
    "ambiguous_sentence": Reason("filtered", "another take matches nearly as well"),
    "same_recording": Reason("filtered", "the two takes are one recording under two labels"),
    "straddles_split": Reason("filtered", "the two takes are in different splits"),
    "few_pairs": Reason("filtered", "too few frame pairs reach the minimum confidence"),
    "odd_span": Reason("filtered", "one take has a word that the other lacks, or has it twice"),
    "level_not_paired": Reason("filtered", "align.levels pairs takes of another level only"),
    "too_long": Reason("filtered", "its audio is longer than align.max_duration_s"),
    "length_ratio": Reason("filtered", "the lengths of the two takes differ too much"),
    # pose
    "no_landmarks": Reason("filtered", "one frame of the pair has no face"),
    "degenerate_pose": Reason("failed", "no affine maps one face onto the other"),
    "large_residual": Reason("filtered", "the landmarks are too far apart after the affine"),
    # filter
    "unclear": Reason("filtered", "no frame reaches the clarity threshold of its emotion"),
    "over_quota": Reason("filtered", "clearer frames of other takes filled the quota"),
    "looks_mislabelled": Reason("filtered", "its clear frames show another emotion than recorded"),
    "not_of_seven": Reason("filtered", "its emotion is not one of the seven with a D_n"),
    "no_neutral": Reason(
        "filtered", "clarity is relative to neutral, and the speaker has no neutral frame"
    ),
    # invert
    "sound_only": Reason("filtered", "an audio-only take"),
    "poor_inversion": Reason("filtered", "no frame's reconstruction is close enough to its source"),
    # directions
    "few_codes": Reason("filtered", "too few takes with codes of the emotion or of neutral"),
    "mouth_unmeasured": Reason("filtered", "the mouth hardly moves, or is not found"),
    # synth
    "no_direction": Reason("filtered", "there is no direction for this emotion and speaker"),
    "no_face_made": Reason("filtered", "no face is found in the generated image"),
    "mouth_moved": Reason("filtered", "the mouth moved beyond the limits of synth"),
    "identity_lost": Reason("filtered", "the generated face is no longer similar to the source"),
    "unclear_emotion": Reason("filtered", "the emotion's probability rose too little"),
    "few_pictures": Reason("filtered", "too few images of the family were kept"),
    # shards
    "low_confidence": Reason("filtered", "all its frame pairs are below shards.min_confidence"),
    "no_split": Reason("filtered", "the split goes by sentence and its sentence is not known"),
}


class Reject(SpfemError):
    """One item is unusable; the run records it and goes on.

    Parameters
    ----------
    reason
        A slug of `REASONS`.
    detail
        What was found, in words, with the values.
    """

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no slug of REASONS")
        detail = printable(detail)
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Reject], tuple[str, str]]:
        return Reject, (self.reason, self.detail)


class ParameterError(PipelineError):
    """params.yaml or an option says something that cannot be."""


class PartDone(PipelineError):
    """One part of a run is done and others are still missing: no fault, and no tables yet."""


class OutOfOrderError(PipelineError):
    """A stage that must run first has not run for this dataset."""


class StorageError(PipelineError):
    """The disk is full, or a folder cannot be written any more: what is finished is kept."""


class BusyError(PipelineError):
    """Another run works on the same outputs; both at once would mix them."""


class MissingWeightsError(PipelineError):
    """The weights that a stage names are not there; such a stage gives nothing and says so."""


class MissingExtraError(PipelineError):
    """A library that only an extra installs is missing."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed; run: {extra_install(extra)}")
        self.library = library
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return MissingExtraError, (self.library, self.extra)
