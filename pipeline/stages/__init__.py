"""The stages in their order: each is a package with `stage.py` (plan, run) and `worker.py`.

Only declarations, and nothing is imported: whoever imports one stage does not import the others,
and every layer may read this list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageSpec:
    """One stage: its package, DVC stage, command and section of params.yaml carry its name.

    `reads` are the stages whose outputs it reads, as dvc.yaml has it; it runs without those of
    them that are `optional` and have not run.
    """

    name: str
    purpose: str
    reads: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that holds `VERSION`, `plan` and `run`, to be imported by name."""
        return f"{__name__}.{self.name}.stage"


SPECS = (
    StageSpec(
        "demo",
        "Generate the demo corpus: speaking heads in MEAD's and RAVDESS's layouts, with truth.",
    ),
    StageSpec(
        "extract",
        "Decode the takes: landmarks and one stored crop per frame, 16 kHz audio.",
    ),
    StageSpec(
        "sync",
        "Measure how late the image of each recording session is against its audio.",
        reads=("extract",),
    ),
    StageSpec(
        "align",
        "Find which takes share a sentence, and pair their frames in time.",
        reads=("extract", "sync"),
        optional=("sync",),
    ),
    StageSpec(
        "pose",
        "Fit the affine that warps each frame pair's second face onto the first.",
        reads=("extract", "align"),
    ),
    StageSpec(
        "score",
        "Score frames with CLIP: probabilities of seven emotions, and an embedding.",
        reads=("extract",),
    ),
    StageSpec(
        "filter",
        "Choose the clear frames of each emotion by their scores. Runs no model.",
        reads=("extract", "align", "score"),
    ),
    StageSpec(
        "invert",
        "Find the W+ code of each chosen frame, and its reconstruction error.",
        reads=("extract", "align"),
    ),
    StageSpec(
        "directions",
        "Fit one W+ direction per emotion, with mouth motion projected out.",
        reads=("invert", "extract"),
    ),
    StageSpec(
        "synth",
        "Synthesise families: one frame in seven emotions with the same mouth, measured.",
        reads=("extract", "invert", "directions"),
    ),
    StageSpec(
        "shards",
        "Pack pairs, sequences and takes into Parquet shards, with a manifest and a card.",
        reads=("extract", "sync", "align", "pose", "score", "filter", "synth"),
        optional=("sync", "score", "filter", "synth"),
    ),
    StageSpec(
        "report",
        "Write an HTML page with film strips and statistics.",
        reads=(
            "extract", "sync", "align", "pose", "score", "filter", "invert", "directions", "synth",
            "shards",
        ),
        optional=("sync", "score", "filter", "invert", "directions", "synth", "shards"),
    ),
)  # fmt: skip
"""The one list of stages; everything else derives from it."""

STAGES = tuple(spec.name for spec in SPECS)
READS = {spec.name: spec.reads for spec in SPECS}
OPTIONAL = {spec.name: spec.optional for spec in SPECS}


def module_of(stage: str) -> str:
    """The module of a stage by the stage's name."""
    return SPECS[STAGES.index(stage)].module
