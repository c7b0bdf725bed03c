"""A stage's summary, as its command shows it."""

from __future__ import annotations

from pipeline.runtime.summaries import Summary

SUMMARY = Summary(
    "align", "demo", "clip pair", 96, 85, {"no_partner": 11}, 90, 6, 2,
    ("a note " + "of many words " * 12,), ("data/demo/align",),
)  # fmt: skip
