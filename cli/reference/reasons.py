"""docs/reference/reasons.md: why an item is rejected, and what is noticed in a take."""

from __future__ import annotations

from pathlib import Path

from cli.reference.text import code, made_from, table
from pipeline.errors import REASONS
from pipeline.media import FINDINGS

PAGE = Path("docs/reference/reasons.md")


def page() -> str:
    """The page as Markdown."""
    reasons = [(code(slug), r.kind, r.meaning) for slug, r in REASONS.items()]
    findings = [(code(slug), meaning) for slug, meaning in FINDINGS.items()]
    return (
        "\n\n".join(
            [
                "# Rejects and findings\n\n"
                + made_from("`pipeline/errors.py` and `pipeline/media`"),
                "## Rejects\n\nEach stage lists what it planned and did not keep in its table\n"
                "`rejected`. *filtered*: chosen so, a parameter decides; *failed*: it could not\n"
                "be done, and `--retry-failed` tries again.",
                table(["reason", "kind", "meaning"], reasons),
                "## Findings\n\nWhat is odd about a take without making it unusable\n"
                "(`clips.findings`). `extract.policies` says what becomes of each:\n"
                "[extract.md](../extract.md).",
                table(["finding", "meaning"], findings),
            ]
        )
        + "\n"
    )
