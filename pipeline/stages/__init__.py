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
        "Make the demo corpus: speaking heads in MEAD's and RAVDESS's layouts, with truth.",
    ),
    StageSpec(
        "extract",
        "Decode the takes: frames with landmarks, one stored crop a frame, 16 kHz sound.",
    ),
    StageSpec(
        "align",
        "Find which takes say the same and pair their frames in time.",
        reads=("extract",),
    ),
    StageSpec(
        "pose",
        "Fit the affine that lays each frame pair's second face onto the first.",
        reads=("extract", "align"),
    ),
    StageSpec(
        "score",
        "Judge frames by CLIP: seven probabilities of emotions and an embedding each.",
        reads=("extract",),
    ),
    StageSpec(
        "filter",
        "Choose the clear frames of every emotion out of their scores. No model runs.",
        reads=("extract", "align", "score"),
    ),
    StageSpec(
        "invert",
        "Find the W+ code of each chosen frame, and how well it gives the frame back.",
        reads=("extract", "align"),
    ),
    StageSpec(
        "directions",
        "Fit the way from neutral to each emotion in W+, with the mouth's part out.",
        reads=("invert", "extract"),
    ),
    StageSpec(
        "synth",
        "Make families: one source frame, seven emotions, one mouth, all measured.",
        reads=("extract", "invert", "directions"),
    ),
    StageSpec(
        "shards",
        "Pack pairs, sequences and takes into Parquet shards with a manifest and a card.",
        reads=("extract", "align", "pose", "score", "filter", "synth"),
        optional=("score", "filter", "synth"),
    ),
    StageSpec(
        "report",
        "Write the page of pictures and numbers.",
        reads=(
            "extract", "align", "pose", "score", "filter", "invert", "directions", "synth",
            "shards",
        ),
        optional=("score", "filter", "invert", "directions", "synth", "shards"),
    ),
)  # fmt: skip
"""The one list of stages; everything else derives from it."""

STAGES = tuple(spec.name for spec in SPECS)
READS = {spec.name: spec.reads for spec in SPECS}
OPTIONAL = {spec.name: spec.optional for spec in SPECS}


def module_of(stage: str) -> str:
    """The module of a stage by the stage's name."""
    return SPECS[STAGES.index(stage)].module
