"""The stages, in the order of the way: each is one module with a `VERSION` and a `run`."""

from __future__ import annotations

STAGES = (
    "demo",
    "extract",
    "align",
    "pose",
    "score",
    "filter",
    "invert",
    "directions",
    "synth",
    "shards",
    "report",
)
"""The one list of stages; modules, DVC stages, commands and sections carry these names."""

PURPOSE = {
    "demo": "Make the demo corpus: speaking heads in MEAD's and RAVDESS's layouts, with truth.",
    "extract": "Decode the takes: frames with landmarks, one stored crop a frame, 16 kHz sound.",
    "align": "Find which takes say the same and pair their frames in time.",
    "pose": "Fit the affine that lays each frame pair's second face onto the first.",
    "score": "Judge frames by CLIP: seven probabilities of emotions and an embedding each.",
    "filter": "Choose the clear frames of every emotion out of their scores. No model runs.",
    "invert": "Find the W+ code of each chosen frame, and how well it gives the frame back.",
    "directions": "Fit the way from neutral to each emotion in W+, with the mouth's part out.",
    "synth": "Make families: one source frame, seven emotions, one mouth, all measured.",
    "shards": "Pack pairs, sequences and takes into Parquet shards with a manifest and a card.",
    "report": "Write the page of pictures and numbers.",
}
