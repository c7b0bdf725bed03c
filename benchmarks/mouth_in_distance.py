"""Does the image help the audio to find the time map? Mouth curves joined to the mel features.

    python benchmarks/mouth_in_distance.py [data/demo]

FOLDER is the demo's outputs after extract and align. Opening and width of the mouth are read at
every cell, the slower part taken out, z-scored over the take, with their slopes, and appended to
the mel features with a weight: at 1 the four columns count as much as the 120 of the audio. The
cosine distance, the path, the posterior and the gate are then as always. Against the demo's truth:
error of the time map (median, p95, ms), frame pairs within 40 ms and their coverage at the gate.
Noise is added to both takes' audio, at so many dB below the speech: where the audio says little,
the image has a chance.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from benchmarks.mouth_agreement import Outputs
from pipeline.alignment.align import Alignment, align, pair_frames
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.records import Clip, Pair
from pipeline.stages.report.accuracy import alignment_figures, pair_error
from pipeline.stages.report.truth import Truth, read_truth
from pipeline.takes.frame_file import read_columns

WEIGHTS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
NOISE_DB = (None, 5.0, 0.0, -5.0)
SLOW_S = 0.6
SMOOTH_S = 0.03


def main() -> None:
    """Print a row for each noise and weight."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/demo"))
    folder = parser.parse_args().folder
    outputs = Outputs(folder)
    truth = read_truth(folder / "corpus", outputs.clips.values())
    known = [pair for pair in outputs.pairs if _known(pair, truth)]
    print(f"{len(known)} pairs; time map median / p95 ms | within 40 ms % at coverage, gate as set")
    for noise_db in NOISE_DB:
        heard = {take: _heard(outputs, outputs.clips[take], noise_db) for take in _takes(known)}
        for weight in WEIGHTS:
            errors = [_error(outputs, truth, pair, heard, weight) for pair in known]
            found = alignment_figures(errors)
            said = "as it is" if noise_db is None else f"{noise_db:g} dB"
            print(
                f"audio {said:9} mouth {weight:4.2f} | {found['map_median_ms']:5.1f} / "
                f"{found['map_p95_ms']:6.1f} | {100 * found['within_40ms_share']:6.2f} at "
                f"{np.mean([e.coverage for e in errors]):.3f}",
                flush=True,
            )


def _known(pair: Pair, truth: Truth) -> bool:
    a, b = (truth.takes.get(take) for take in (pair.take_a, pair.take_b))
    return a is not None and b is not None and a.phonemes == b.phonemes


def _takes(pairs: list[Pair]) -> list[str]:
    return sorted({take for pair in pairs for take in (pair.take_a, pair.take_b)})


def _heard(outputs: Outputs, clip: Clip, noise_db: float | None) -> tuple[TakeFeatures, np.ndarray]:
    """Mel features, perhaps of a noisy audio, and the four mouth columns at the same cells."""
    audio = outputs._read_audio(clip).astype(np.float64)
    if noise_db is not None:
        rng = np.random.default_rng(sum(clip.take_id.encode()))
        level = np.sqrt(np.mean(audio**2)) * 10 ** (-noise_db / 20)
        audio = audio + rng.normal(0, level, len(audio))
    features = take_features(audio, outputs.parts.align.features)
    columns = read_columns(
        outputs.file(clip, ".frames.parquet"),
        ["time_s", "duration_s", "mouth_open", "mouth_width"],
    )
    times_s = columns["time_s"] + columns["duration_s"] / 2 - clip.audio_start_s
    at_s = np.arange(len(features.mel)) * features.hop_s
    curves = [_quick(at_s, times_s, columns[n]) for n in ("mouth_open", "mouth_width")]
    slopes = [_unit(np.gradient(curve)) for curve in curves]
    return features, np.stack([*curves, *slopes], axis=1).astype(np.float32)


def _quick(at_s: np.ndarray, times_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    seen = np.isfinite(values)
    curve = np.interp(at_s, times_s[seen], values[seen])
    cells = 1 / (at_s[1] - at_s[0])
    slow = median_filter(curve, round(SLOW_S * cells), mode="nearest")
    return _unit(gaussian_filter1d(curve - slow, SMOOTH_S * cells))


def _unit(curve: np.ndarray) -> np.ndarray:
    return (curve - curve.mean()) / (curve.std() + 1e-6)


def _joined(features: TakeFeatures, mouth: np.ndarray, weight: float) -> TakeFeatures:
    share = np.float32(np.sqrt(weight * features.mel.shape[1] / mouth.shape[1]))
    return replace(features, mel=np.concatenate([features.mel, share * mouth], axis=1))


def _error(
    outputs: Outputs,
    truth: Truth,
    pair: Pair,
    heard: dict[str, tuple[TakeFeatures, np.ndarray]],
    weight: float,
) -> object:
    clips = outputs.clips[pair.take_a], outputs.clips[pair.take_b]
    found: Alignment = align(
        *(_joined(*heard[clip.take_id], weight) for clip in clips), outputs.parts.align
    )
    instants = [outputs.track(clip).instants_s for clip in clips]
    frames = pair_frames(found, *instants, outputs.parts.align)
    starts = np.array([clip.audio_start_s for clip in clips])
    onsets = tuple(truth.takes[clip.take_id].onsets_s for clip in clips)
    shown = tuple(times + start for times, start in zip(instants, starts, strict=True))
    places = frames.frame_a.tolist(), frames.frame_b.tolist()
    return pair_error(onsets, found.warp.knots_s + starts, shown, places)


if __name__ == "__main__":
    main()
