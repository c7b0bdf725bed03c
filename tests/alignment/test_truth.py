"""The accuracy that is promised, on speech whose true time map is known (not in a user's clone)."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.alignment.align import align, pair_frames
from pipeline.alignment.features import take_features
from pipeline.alignment.warping_path import map_times
from pipeline.params import Align

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "truth_speech"
FPS = 25.0

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="truth_speech is not here")


def instants(audio: np.ndarray) -> np.ndarray:
    return (np.arange(int(len(audio) / 16000 * FPS)) + 0.5) / FPS


@pytest.mark.parametrize(
    ("which", "within", "coverage", "boundary_ms"),
    [("same", 0.996, 0.90, 3.0), ("hard", 0.975, 0.85, 5.0)],
)
def test_odd_sentences_keep_the_promise(
    which: str, within: float, coverage: float, boundary_ms: float, params: Align
) -> None:
    rows = [json.loads(line) for line in (FOLDER / "truth.jsonl").read_text().splitlines()]
    error_s, claim_s, boundary, kept, frames = [], [], [], 0, 0.0
    for row in rows:
        if row["set"] != which or row["sentence"] % 2 == 0:
            continue
        a, b = (soundfile.read(FOLDER / row[key], dtype="float32")[0] for key in "ab")
        found = align(take_features(a, params.features), take_features(b, params.features), params)
        pairs = pair_frames(found, instants(a), instants(b), params)
        x, y = np.array(row["a_s"]), np.array(row["b_s"])
        time_s = (pairs.frame_a + 0.5) / FPS
        inside = (time_s >= x[0]) & (time_s <= x[-1])
        off = np.abs((pairs.frame_b + 0.5) / FPS - np.interp(time_s, x, y))
        error_s.append(off[inside])
        claim_s.append(pairs.error_s[inside])
        kept += int(inside.sum())
        frames += min(x[-1] - x[0], y[-1] - y[0]) * FPS
        onset = np.array(row["boundaries"])
        boundary.append(np.abs(map_times(found.warp.knots_s, onset[:, 0]) - onset[:, 1]))
    error, claim = np.concatenate(error_s), np.concatenate(claim_s)
    assert (error <= 0.04).mean() >= within
    assert kept / frames >= coverage
    assert np.median(np.concatenate(boundary)) * 1e3 <= boundary_ms
    assert (error[claim < 0.04] <= 0.04).mean() >= 0.99
