"""What the per-frame numbers beside the confidence tell: frames within 40 ms of the truth, by bins.

    python benchmarks/trust_numbers.py FOLDER [--params params.yaml]

FOLDER as in ``align_accuracy.py``, which has the tables of confidence and claimed error. Two
tables: all frames that can be paired (gate 0), and those that pass the gate of params.yaml.
"""

from itertools import pairwise

import numpy as np

from benchmarks.align_accuracy import (
    SETS,
    TOLERANCE_S,
    aligned,
    errors_s,
    of_truth,
    our_frames,
    read_options,
    ungated,
)

BINS = {
    "run_ms": (0, 30, 50, 80, 120, 200, 10_000),
    "slope, either way": (1, 1.1, 1.25, 1.5, 2, 3, 1_000),
    "contrast": (-1, 0, 0.1, 0.2, 0.4, 0.6, 2),
}


def main() -> None:
    """Print both tables."""
    params, pairs = read_options(of_truth(__doc__).parse_args())
    found = [aligned(pair, params) for pair in pairs]
    for gate in (0.0, params.frames.min_confidence):
        gated = ungated(params, gate)
        rows = []
        for pair, alignment in zip(pairs, found, strict=True):
            frames = our_frames(pair, alignment, gated)
            slope = np.maximum(frames.slope, 1 / frames.slope)
            error = errors_s(pair, frames.frame_a, frames.frame_b)
            hard = np.full(len(frames), pair.set == "hard")
            rows.append(np.stack([frames.run_s * 1e3, slope, frames.contrast, error, hard]))
        print(f"\ngate {gate}: within 40 ms % (share of frames %)")
        print_bins(np.concatenate(rows, axis=1))


def print_bins(columns: np.ndarray) -> None:
    """One line a bin."""
    error, hard = columns[3], columns[4] > 0
    for values, (name, edges) in zip(columns, BINS.items(), strict=False):
        for low, high in pairwise(edges):
            chosen = (values >= low) & (values < high)
            cells = [f"{name:18} {low:>5} to {high:<6}"]
            for which, of_set in zip(SETS, (~hard, hard), strict=True):
                within = error[chosen & of_set] <= TOLERANCE_S
                share = 100 * len(within) / of_set.sum()
                good = f"{100 * within.mean():6.2f}" if len(within) else "     -"
                cells.append(f"{which.upper()} {good} ({share:4.1f})")
            print(" | ".join(cells))


if __name__ == "__main__":
    main()
