"""The manifest, which lists the files with checksums, and the dataset card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runtime.store import write_bytes, write_json
from pipeline.stages.shards.protocol_trials import Drawn
from pipeline.stages.shards.shard_plan import KeptPair, Shard
from pipeline.stages.shards.terms import TERMS, faces, personal
from spfem_data.labels import SPLITS
from spfem_data.protocols import protocol_file
from spfem_data.schema import COLUMNS, CONFIGS, SCHEMA_VERSION

ABOUT = (
    "Frame pairs of one speaker at the same moment of the same sentence in two emotions, aligned "
    "in time by audio and in the image by an affine of stable landmarks. Each row carries measures "
    "of its reliability."
)
_COUNTED = {
    "pairs": "frame pairs",
    "sequences": "windows",
    "takes": "takes",
    "emotions": "clear frames",
    "families": "synthetic images",
    "frames": "single frames",
}
"""What one row of each config is."""


@dataclass(frozen=True)
class Published:
    """What the card and the manifest say about one dataset."""

    dataset: str
    corpus: str
    params_sha256: str
    versions: Mapping[str, str]
    framing: str
    files: Mapping[Shard, Mapping[str, Any]]
    """sha256, bytes and rows of each file."""
    pairs: Sequence[KeptPair]
    rule: str
    """The name of the split rule in params.yaml."""
    unit: str
    """The unit that the rule never divides between splits."""
    drawn: Drawn
    networks: str
    """Names and sha256 of the networks in use."""
    numerics: Sequence[Mapping[str, Any]]
    """What the bytes may depend on besides inputs, parameters and code; see `runtime.numerics`."""


def write_manifest(
    folder: Path, published: Published, documents: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write manifest.json: every file with its checksum, rows and bytes; no time, host or path.

    `documents` are the files other than Parquet, with sha256 and bytes.
    """
    files = {shard.file: dict(facts) for shard, facts in published.files.items()}
    write_json(
        folder / "manifest.json",
        {
            "schema_version": SCHEMA_VERSION,
            "dataset": published.dataset,
            "params_sha256": published.params_sha256,
            "versions": dict(published.versions),
            "numerics": [dict(one) for one in published.numerics],
            "split": {"rule": published.rule, "unit": published.unit},
            "rows": _rows(published.files),
            "files": files,
            "documents": {name: dict(facts) for name, facts in documents.items()},
        },
    )


def write_card(folder: Path, published: Published) -> None:
    """Write README.md, the dataset card that `datasets` and the Hub read."""
    rows = _rows(published.files)
    terms = TERMS[published.corpus]
    parts = [
        _front_matter(published),
        f"# {published.dataset}\n\n{ABOUT} Built with spfem-data.",
        f"## Terms\n\n{terms.text}\n\n{faces(terms)}",
        f"## Personal data\n\n{personal(terms)}",
        f"## Counts\n\n{_counts(published)}",
        f"## Evaluation\n\n{_evaluation(published)}",
        f"## Provenance\n\n{_provenance(published)}",
        _limits(published),
        *(_columns(config) for config in CONFIGS if config in rows),
    ]
    write_bytes(folder / "README.md", ("\n\n".join(parts) + "\n").encode())


def _rows(files: Mapping[Shard, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows by config and split."""
    counts: dict[str, dict[str, int]] = {}
    for shard, facts in files.items():
        by_split = counts.setdefault(shard.config, {})
        by_split[shard.split] = by_split.get(shard.split, 0) + int(facts["rows"])
    return counts


def _front_matter(published: Published) -> str:
    rows = _rows(published.files)
    terms = TERMS[published.corpus]
    lines = ["---", f"pretty_name: {published.dataset}", f"license: {terms.licence}"]
    if terms.name:
        lines.append(f"license_name: {terms.name}")
    lines.append("tags: [talking-face, facial-expression, paired-frames]")
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
    there = [config for config in CONFIGS if config in rows]
    heads = ["split", "speakers", "clip pairs", *(_COUNTED.get(config, config) for config in there)]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for split in SPLITS:
        pairs = [kept for kept in published.pairs if kept.pair.split == split]
        speakers = len({kept.pair.speaker for kept in pairs})
        counts = [rows[config].get(split, 0) for config in there]
        cells = [split, speakers, len(pairs), *counts]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    emotions = Counter(kept.pair.emotion_b for kept in published.pairs)
    counts_text = ", ".join(f"{emotion} {n}" for emotion, n in sorted(emotions.items())) or "none"
    return "\n".join(lines) + f"\n\nClip pairs by emotion of take b: {counts_text}."


def _evaluation(published: Published) -> str:
    lines = [
        "Trials for comparing methods on this dataset: which take is edited to which emotion.\n"
    ]
    lines += ["| list | trials | by emotion |", "|---|---|---|"]
    for name, trials in published.drawn.trials.items():
        emotions = Counter(trial.emotion for trial in trials)
        each = ", ".join(f"{emotion} {n}" for emotion, n in emotions.items()) or "none"
        lines.append(f"| `{protocol_file(name)}` | {len(trials)} | {each} |")
    lacks = [f"\n`{name}`: {why}." for name, why in published.drawn.lacks.items()]
    return "\n".join(lines + lacks)


def _provenance(published: Published) -> str:
    libraries = ", ".join(
        f"{name} {version}" for name, version in sorted(published.versions.items())
    )
    cite = TERMS[published.corpus].cite
    lines = [
        f"- Corpus: `{published.corpus}`" + (f" ({cite})" if cite else ""),
        f"- Split: rule `{published.rule}`; no {published.unit} is in two splits",
        f"- Parameters: sha256 `{published.params_sha256}`",
        f"- Networks: {published.networks}",
        f"- Libraries: {libraries}",
        "- Checksums of all files: `manifest.json`; to check them, run `spfem-data verify DIR`",
    ]
    return "\n".join(lines)


def _limits(published: Published) -> str:
    clear = (
        "- In `emotions`, a frame is clear if CLIP assigns it the emotion of its take. Use "
        "`clarity`, `p_*` and `rank` for a stricter selection. The metadata of each file names "
        "the weights.\n"
    )
    return (
        "## Limits\n\n"
        f"- Images are framed as `{published.framing}`. `target` is warped by an affine, which "
        "cannot correct a difference in yaw or pitch: see `yaw_difference_deg`, "
        "`pitch_difference_deg` and `residual_after`.\n"
        "- `error_ms` was calibrated on synthetic speech with known truth, not on this corpus.\n"
        "- Emotion labels are those of the corpus; individual frames have not been annotated.\n"
        f"{clear if 'emotions' in _rows(published.files) else ''}"
        "- Where a framing extends beyond the camera frame, content is mirrored. `valid_b` and "
        "`frame_to_target` give the mask (`spfem_data.masks.valid_mask`)."
    )


def _columns(config: str) -> str:
    lines = [f"## Columns of `{config}`\n", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| {c.name} | {c.media or c.type} | {c.doc} |" for c in COLUMNS[config]]
    return "\n".join(lines)
