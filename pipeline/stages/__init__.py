"""The stages, in the order of the way: each is one module with a `VERSION` and a `run`."""

from __future__ import annotations

STAGES = ("demo", "extract", "align", "pose", "shards", "report")
"""The one list of stages; modules, DVC stages, commands and sections carry these names."""

PURPOSE = {
    "demo": "Make the demo corpus: speaking heads in MEAD's and RAVDESS's layouts, with truth.",
    "extract": "Decode the takes: frames with landmarks, one stored crop a frame, 16 kHz sound.",
    "align": "Find which takes say the same and pair their frames in time.",
    "pose": "Fit the affine that lays each frame pair's second face onto the first.",
    "shards": "Pack pairs, sequences and takes into Parquet shards with a manifest and a card.",
    "report": "Write the page of pictures and numbers.",
}
