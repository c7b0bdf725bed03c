"""Our stages, a naive script and the lower bound, for every stage that has one, in one run.

    python -m benchmarks.stages [--takes FOLDER] [--audio FOLDER] [--data data/demo] [--only NAME]

The folders contain real takes in MEAD's layout and real audio in RAVDESS's; by default, the demo
corpus in DATA is used. Each table is also a benchmark of its own: extract_speed, align_speed,
network_speed. For reading shards, see loader. No benchmark writes to DATA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import align_speed, extract_speed, network_speed


def main(arguments: list[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--takes", type=Path, help="real takes in MEAD's layout")
    parser.add_argument("--audio", type=Path, help="real audio in RAVDESS's layout")
    parser.add_argument("--data", type=Path, default=Path("data/demo"))
    parser.add_argument("--only", action="append", choices=list(TABLES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    for name in options.only or TABLES:
        TABLES[name](options)


def _corpus(real: Path | None, layout: str, data: Path) -> list[str]:
    root = data / "corpus" if real is None else real
    return ["--corpus", "demo" if real is None else layout, "--root", str(root)]


def _extract(options: argparse.Namespace) -> None:
    corpus = _corpus(options.takes, "mead", options.data)
    extract_speed.main([*corpus, "--rounds", str(options.rounds)])


def _align(options: argparse.Namespace) -> None:
    corpus = _corpus(options.audio, "ravdess", options.data)
    align_speed.main([*corpus, "--rounds", str(options.rounds)])


def _networks(options: argparse.Namespace) -> None:
    arguments = ["--data", str(options.data), "--rounds", str(options.rounds)]
    network_speed.main(["score", "invert", "synth", *arguments])


TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "extract": _extract, "align": _align, "networks": _networks,
}  # fmt: skip


if __name__ == "__main__":
    main()
