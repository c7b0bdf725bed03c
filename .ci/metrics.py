"""Print `dvc metrics diff --json` (standard input) as Markdown: changes first, then rounding.

A metric differs by rounding where it differs by at most a thousandth of its larger value.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

ROUNDING = 1e-3
Row = tuple[str, str, object, object]


def rows(told: dict[str, dict[str, dict[str, object]]]) -> Iterator[Row]:
    """File, metric, old value, new value."""
    for path, metrics in sorted(told.items()):
        for name, values in sorted(metrics.items()):
            yield path, name, values.get("old"), values.get("new")


def is_rounding(old: object, new: object) -> bool:
    """Whether both are numbers and nearly equal."""
    if not all(isinstance(value, float | int) for value in (old, new)):
        return False
    return abs(old - new) <= ROUNDING * max(abs(old), abs(new))  # type: ignore[operator, arg-type]


def table(found: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| Path | Metric | old | new |", "|---|---|---|---|"]
    lines += [f"| {path} | {name} | {old} | {new} |" for path, name, old, new in found]
    return "\n".join(lines)


if __name__ == "__main__":
    found = list(rows(json.loads(sys.stdin.read() or "{}")))
    changed = [row for row in found if not is_rounding(row[2], row[3])]
    rounded = len(found) - len(changed)
    if changed:
        print(table(changed))
    if rounded:
        print(f"\n{rounded} other metrics differ by rounding (at most 0.1 %).")
