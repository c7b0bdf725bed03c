"""Read shards where only the reader is installed: `python .ci/reader.py data/demo/shards`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from spfem_data import Loader, Pairs, Windows


def main(shards: Path) -> int:
    """Read every training row of two configs in shuffled batches; 1 if one is missing or twice."""
    if importlib.util.find_spec("librosa") is not None:
        print("the pipeline's libraries are installed: this must run without them", file=sys.stderr)
        return 1
    wrong = False
    for kind in (Pairs, Windows):
        dataset = kind(shards, "train")
        read = [
            row
            for batch in Loader(dataset, 16, seed=1, remainder="keep")
            for row in batch["sample_id"]
        ]
        print(f"{kind.__name__}: {len(read)} of {len(dataset)} rows")
        wrong |= not read or len(read) != len(dataset) or len(set(map(str, read))) != len(read)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
