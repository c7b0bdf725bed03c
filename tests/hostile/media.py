"""Damaged media, by the thousand: `python -m tests.hostile.media --mutants 2000`.

Each mutant goes through extract's own function and align-pair's reading, in a process of its own
kind: output or a reasoned reject, within bounded time and memory.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.builders import isolated_cases
from tests.builders.seed_takes import make_seeds
from tests.hostile.takes import setup_for, spoilt_cases, try_media


def main() -> int:
    """Try them all and print the table; 1 where anything ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--limit-mb", type=float, default=2048.0)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/spfem-hostile"))
    given = parser.parse_args()
    folder = given.folder / "seeds"
    seeds = make_seeds(folder)
    before = isolated_cases.hashes(folder)
    results = isolated_cases.try_all(
        spoilt_cases(seeds, given.mutants, given.seed), try_media, setup_for(folder),
        limit_s=given.limit_s, limit_mb=given.limit_mb, workers=given.workers,
    )  # fmt: skip
    found = isolated_cases.tally("media", results)
    found.show("damaged media")
    untouched = isolated_cases.hashes(folder) == before
    print(f"  sources: {len(before)} files, hashes equal: {untouched}")
    return 0 if not found.bad and untouched else 1


if __name__ == "__main__":
    sys.exit(main())
