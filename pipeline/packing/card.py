"""What lies beside the shards: the manifest that proves them and the card that explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.packing.plan import KeptPair, Shard
from pipeline.reuse import write_bytes, write_json
from pipeline.shards.schema import COLUMNS, CONFIGS, SCHEMA_VERSION, SPLITS

_TERMS = {
    "mead": "MEAD (Wang et al. 2020) is given out for research; no licence of its data is "
    "published. These shards hold frames of it: keep them private, and pass on no picture, no "
    "sound and no copy of the shards.",
    "ravdess": "RAVDESS (Livingstone, Russo 2018) is under CC BY-NC-SA 4.0: name its authors, use "
    "it for no commercial end, share alike. Its speakers agreed to research: keep the shards "
    "private.",
    "custom": "These shards hold frames of the corpus that they were made from: its terms, and "
    "what its speakers agreed to, hold for the shards too. Unless those say otherwise, keep them "
    "private.",
    "demo": "The heads and voices of the demo were drawn and spoken by a program; no person is in "
    "it. A result on it says nothing about real faces.",
}


@dataclass(frozen=True)
class Published:
    """What the card and the manifest tell of one dataset."""

    dataset: str
    corpus: str
    params_sha256: str
    versions: Mapping[str, str]
    framing: str
    files: Mapping[Shard, Mapping[str, Any]]
    """Of each file: sha256, bytes, rows."""
    pairs: Sequence[KeptPair]


def write_manifest(folder: Path, published: Published) -> None:
    """Write manifest.json: every file with its checksum, rows and bytes; no time, host or path."""
    files = {shard.file: dict(facts) for shard, facts in published.files.items()}
    write_json(
        folder / "manifest.json",
        {
            "schema_version": SCHEMA_VERSION,
            "dataset": published.dataset,
            "params_sha256": published.params_sha256,
            "versions": dict(published.versions),
            "rows": _rows(published.files),
            "files": files,
        },
    )


def write_card(folder: Path, published: Published) -> None:
    """Write README.md, the dataset card that `datasets` and the Hub read."""
    parts = [
        _front_matter(published),
        f"# {published.dataset}\n\nPairs of frames of one speaker: the same instant of the same "
        "sentence in two emotions, aligned in time by sound and in place by an affine of stable "
        "landmarks. Each row says how far it can be trusted. Made by spfem-data.",
        f"## Terms\n\n{_TERMS[published.corpus]}",
        f"## Counts\n\n{_counts(published)}",
        _limits(published),
        *(_columns(config) for config in CONFIGS),
    ]
    write_bytes(folder / "README.md", ("\n\n".join(parts) + "\n").encode())


def _rows(files: Mapping[Shard, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows by config and split."""
    found: dict[str, dict[str, int]] = {}
    for shard, facts in files.items():
        by_split = found.setdefault(shard.config, {})
        by_split[shard.split] = by_split.get(shard.split, 0) + int(facts["rows"])
    return found


def _front_matter(published: Published) -> str:
    rows = _rows(published.files)
    lines = ["---", f"pretty_name: {published.dataset}", "license: other"]
    lines += ["license_name: private-use", "tags: [talking-face, facial-expression, paired-frames]"]
    if not rows:
        return "\n".join([*lines, "---"])
    lines.append("configs:")
    for config in (c for c in CONFIGS if c in rows):
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in (s for s in SPLITS if s in rows[config]):
            lines.append(f"  - split: {split}")
            lines.append(f"    path: data/{config}/{split}-*.parquet")
    return "\n".join([*lines, "---"])


def _counts(published: Published) -> str:
    rows = _rows(published.files)
    lines = [
        "| split | speakers | clip pairs | frame pairs | windows | takes |",
        "|---|---|---|---|---|---|",
    ]
    for split in SPLITS:
        pairs = [kept for kept in published.pairs if kept.pair.split == split]
        speakers = len({kept.pair.speaker for kept in pairs})
        counts = [rows.get(config, {}).get(split, 0) for config in CONFIGS]
        lines.append(
            f"| {split} | {speakers} | {len(pairs)} | " + " | ".join(map(str, counts)) + " |"
        )
    emotions = Counter(kept.pair.emotion_b for kept in published.pairs)
    told = ", ".join(f"{emotion} {n}" for emotion, n in sorted(emotions.items())) or "none"
    return "\n".join(lines) + f"\n\nClip pairs by the second take's emotion: {told}."


def _limits(published: Published) -> str:
    return (
        "## Limits\n\n"
        f"- Pictures are framed as `{published.framing}`; `target` is bent by an affine, which "
        "cannot mend a turned head: see `yaw_difference_deg`, `pitch_difference_deg`, "
        "`residual_after`.\n"
        "- `error_ms` is a claim that was measured on made speech with known truth, not on this "
        "corpus.\n"
        "- Emotions are as acted and named by the corpus; nobody has judged each frame.\n"
        "- Where a framing reaches beyond what the camera saw, content is mirrored: `valid_b` and "
        "`frame_to_target` give the mask (`pipeline.shards.masks.covered`)."
    )


def _columns(config: str) -> str:
    lines = [f"## Columns of `{config}`\n", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| {c.name} | {c.media or c.type} | {c.doc} |" for c in COLUMNS[config]]
    return "\n".join(lines)
