"""docs/reference/reasons.md: reasons for rejecting items, and findings in takes."""

from __future__ import annotations

from pathlib import Path

from cli.reference.text import code, made_from, table
from pipeline.errors import REASONS
from pipeline.media import FINDINGS

PAGE = Path("docs/reference/reasons.md")


def page() -> str:
    """The page as Markdown."""
    reasons = [(code(slug), r.kind, r.meaning, code(r.setting)) for slug, r in REASONS.items()]
    findings = [(code(slug), meaning) for slug, meaning in FINDINGS.items()]
    return (
        "\n\n".join(
            [
                "# Rejects and findings\n\n"
                + made_from("`pipeline/errors.py` and `pipeline/media`"),
                "## Rejects\n\nEach stage lists what it planned and did not keep in its table\n"
                "`rejected`; `spfem-data rejects` prints them all. *filtered*: a parameter\n"
                "decides; *failed*: it could not be done, and `--retry-failed` tries again. The\n"
                "last column is the key of `params.yaml`, or the option, that decides.",
                table(["reason", "kind", "meaning", "decided by"], reasons),
                "## Findings\n\nProblems of a take that do not by themselves make it unusable\n"
                "(`clips.findings`). `extract.policies` decides how each is handled:\n"
                "[extract.md](../extract.md).",
                table(["finding", "meaning"], findings),
            ]
        )
        + "\n"
    )
