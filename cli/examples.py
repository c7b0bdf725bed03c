"""Examples of each command, shown below its help; a test parses all of them."""

from __future__ import annotations

from pipeline.stages import STAGES

EXAMPLES: dict[str, tuple[str, ...]] = {
    **{stage: (f"{stage} --dataset mead",) for stage in STAGES},
    "": ("doctor", "init", "run --dataset mead", "rejects --dataset mead"),
    "run": ("run --dataset mead", "run --dataset mead --to pose"),
    "rejects": ("rejects --dataset mead", "rejects --item 'M003_sad*' --stage align --json"),
    "demo": ("demo",),
    "demo train": ("demo train --network clip --out /tmp/clip",),
    "extract": ("extract --dataset mead --workers 8", "extract --dataset mead --shard 2/8"),
    "score": ("score --dataset mead --workers 1",),
    "inventory": ("inventory --dataset mead", "inventory --dataset mead --details"),
    "status": ("status --dataset mead", "status --json"),
    "doctor": ("doctor", "doctor --fast --json"),
    "init": ("init", "init /disk/MEAD /disk/takes.csv --yes"),
    "plan": ("plan --dataset mead",),
    "forget": ("forget --speaker M003 --dry-run", "forget --speaker M003 --dataset mead"),
    "show-pair": ("show-pair M003_neutral_1_front_001--M003_sad_3_front_004 --out pair.png",),
    "align-pair": ("align-pair a.mp4 b.wav", "align-pair a.mp4 b.mp4 --fps 25 --json"),
    "audit-pairs": ("audit-pairs pairs.json --dataset mead",),
    "export": ("export --format pairs-json --dataset mead --out pairs.json",),
    "verify": ("verify data/mead/shards", "verify data/mead/shards --against other/shards"),
    "show": ("show data/mead/shards --where 'mouth_agreement > 0.8' --out sheet.png",),
    "diff": ("diff old/shards data/mead/shards",),
    "train-encoder": ("train-encoder --dataset mead --out runs/encoder",),
    "models": ("models list",),
    "models list": ("models list",),
    "models check": ("models check stylegan2-ffhq-config-f.pt",),
    "models convert": ("models convert e4e_ffhq_encode.pt --out weights/e4e.safetensors",),
    "models fetch": ("models fetch e4e",),
}
