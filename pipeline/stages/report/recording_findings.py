"""Findings of extract and pose: how many takes or clip pairs have each, and its policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.media import FINDINGS
from pipeline.stages.report.inputs import Inputs


@dataclass(frozen=True)
class FindingCount:
    """One finding: the policy in force, and how many takes (of pose: clip pairs) with it were kept
    and rejected."""

    finding: str
    meaning: str
    policy: str
    kept: int
    rejected: int


def kept_with_findings(inputs: Inputs) -> Counter[str]:
    """The number of extracted takes with each finding."""
    return Counter(finding for clip in inputs.clips.values() for finding in clip.findings)


def finding_counts(
    inputs: Inputs, policies: Mapping[str, str], other_face: str
) -> list[FindingCount]:
    """One row for each finding that any take has, the most frequent first."""
    kept = kept_with_findings(inputs)
    rejected = Counter(
        row.detail.split(":")[0] for row in inputs.rejects if row.stage == "extract"
    )  # a finding's reject begins with its slug
    rows = [
        FindingCount(finding, meaning, policies[finding], kept[finding], rejected[finding])
        for finding, meaning in FINDINGS.items()
        if kept[finding] or rejected[finding]
    ]
    two_faces = FindingCount(
        "other_face",
        "the two takes of a clip pair seem to show two people",
        other_face,
        sum(posed.other_face for posed in inputs.posed.values()),
        sum(row.reason == "other_face" for row in inputs.rejects),
    )
    rows += [two_faces] if two_faces.kept or two_faces.rejected else []
    return sorted(rows, key=lambda row: (-row.kept - row.rejected, row.finding))
