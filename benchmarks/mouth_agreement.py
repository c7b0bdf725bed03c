"""Mouth agreement as a check from the image: does it know right maps from wrong ones?

    python benchmarks/mouth_agreement.py [data/demo ...]

Each FOLDER is a dataset's outputs after extract, align and pose. Right: the pairs that align made.
Wrong: (a) the same neutral take aligned, in the same way, with takes of other sentences of that
speaker, emotion, level and view; (b) the right maps with every frame of b replaced by the one 120,
200 or 400 ms later, and earlier; (c) the right maps with b's frames in reversed order. A table of
AUC, one row a statistic: the one that we store, and what else was tried in its place.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from pipeline import media, params
from pipeline.alignment.align import Alignment, align, pair_frames
from pipeline.alignment.warping_path import map_times
from pipeline.faces.measures import INNER_LIPS
from pipeline.records import Clip, Pair, Sentence, SyncTake
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, read_table
from pipeline.stages.align.mouth_agreement import mouth_agreement
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings
from pipeline.stages.align.worker import synced_track
from pipeline.takes.frame_file import read_columns

SHIFTS_MS = (120, 200, 400)
LAGS = (-10, -8, -6, -5, -4, -3, 3, 4, 5, 6, 8, 10)
SLOW_FRAMES = 15
LEAST = (0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Curves:
    """Mouth openings along one map: at its frame pairs, at all frames of a, and what we store."""

    a: np.ndarray
    b: np.ndarray
    whole_a: np.ndarray
    whole_b: np.ndarray
    stored: float


class Outputs:
    """What the stages left of one dataset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.section = params.load(Path("params.yaml")).align
        self.items = ItemStore(folder / "extract" / "items")
        self.recordings = Recordings(self._read_audio, self.section.features)
        self._alignments: dict[tuple[str, str], Alignment] = {}
        self._tracks: dict[str, Track] = {}

    @cached_property
    def clips(self) -> dict[str, Clip]:
        """The clips with image by their id."""
        rows = read_rows(self.folder / "extract" / "tables" / "clips.parquet", Clip)
        return {clip.take_id: clip for clip in rows if clip.has_video}

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs of takes with image."""
        rows = read_rows(self.folder / "align" / "tables" / "pairs.parquet", Pair)
        return [pair for pair in rows if {pair.take_a, pair.take_b} <= self.clips.keys()]

    @cached_property
    def says(self) -> dict[str, str | None]:
        """The sentence of every utterance."""
        rows = read_rows(self.folder / "align" / "tables" / "sentences.parquet", Sentence)
        return {row.utterance_id: row.sentence for row in rows}

    @cached_property
    def sync(self) -> dict[str, SyncTake]:
        """The offset of every take's image."""
        rows = read_rows(self.folder / "sync" / "tables" / "sync_takes.parquet", SyncTake)
        return {row.take_id: row for row in rows}

    def file(self, clip: Clip, suffix: str) -> Path:
        """A file that extract wrote of a clip."""
        return self.items.path(f"{clip.speaker}/{clip.take_id}", suffix)

    def _read_audio(self, clip: Clip) -> np.ndarray:
        return media.read_flac(self.file(clip, ".audio.flac"))

    def track(self, clip: Clip) -> Track:
        """Instants and mouth openings of a clip."""
        if clip.take_id not in self._tracks:
            self._tracks[clip.take_id] = synced_track(self.items, 25.0, self.sync, clip)
        return self._tracks[clip.take_id]

    def alignment(self, a: Clip, b: Clip) -> Alignment:
        """Our alignment of two clips."""
        key = a.take_id, b.take_id
        if key not in self._alignments:
            features = self.recordings.features(a), self.recordings.features(b)
            self._alignments[key] = align(*features, self.section)
        return self._alignments[key]

    def others(self) -> list[tuple[Clip, Clip, bool]]:
        """Neutral takes beside takes of other sentences; whether the two are RAVDESS's twins."""
        found = []
        for pair in self.pairs:
            a, b = self.clips[pair.take_a], self.clips[pair.take_b]
            for other in self.clips.values():
                same = all(
                    getattr(other, name) == getattr(b, name)
                    for name in ("speaker", "emotion", "level", "view")
                )
                if same and self.says[other.utterance_id] != pair.sentence:
                    found.append((a, other, b.sentence_source == "name"))
        return found

    def curves(self, a: Clip, b: Clip, *, shift_ms: float = 0, reverse: bool = False) -> Curves:
        """Openings along our map of a and b, b's side shifted or reversed."""
        track_a, track_b = self.track(a), self.track(b)
        found = self.alignment(a, b)
        frames = pair_frames(found, track_a.instants_s, track_b.instants_s, self.section)
        frame_a = frames.frame_a
        frame_b = frames.frame_b[::-1] if reverse else frames.frame_b
        if shift_ms:
            wanted = track_b.instants_s[frame_b] + shift_ms / 1e3
            inside = (wanted >= track_b.instants_s[0]) & (wanted <= track_b.instants_s[-1])
            frame_a, wanted = frame_a[inside], wanted[inside]
            frame_b = np.abs(track_b.instants_s[None] - wanted[:, None]).argmin(axis=1)
        knots = found.warp.knots_s
        inside = (track_a.instants_s >= knots[0, 0]) & (track_a.instants_s <= knots[-1, 0])
        mapped = map_times(knots, track_a.instants_s[inside]) + shift_ms / 1e3
        whole_b = np.interp(
            mapped[::-1] if reverse else mapped, track_b.instants_s, track_b.mouth_open
        )
        return Curves(
            track_a.mouth_open[frame_a], track_b.mouth_open[frame_b],
            track_a.mouth_open[inside], whole_b,
            stored(track_a, track_b, np.add(knots, [0, shift_ms / 1e3]), reverse=reverse),
        )  # fmt: skip


# --- statistics: what we store, and rivals


def stored(a: Track, b: Track, knots: np.ndarray, *, reverse: bool) -> float:
    """`mouth_agreement`, NaN for None; with `reverse` b runs backwards between the map's ends."""
    instants_b, open_b = b.instants_s, b.mouth_open
    if reverse:
        instants_b, open_b = knots[0, 1] + knots[-1, 1] - instants_b[::-1], open_b[::-1]
    found = mouth_agreement(a.instants_s, a.mouth_open, instants_b, open_b, knots)
    return np.nan if found is None else found


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation where both are finite, NaN for fewer than 8 or a constant."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 8 or a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.asarray(rankdata(values, nan_policy="omit"), np.float64)


def _quick(values: np.ndarray) -> np.ndarray:
    """A curve without its slow part: expressions move a mouth slowly, speech quickly."""
    filled = np.where(np.isfinite(values), values, np.nanmedian(values))
    return values - median_filter(filled, SLOW_FRAMES, mode="nearest")


def _changes(curves: Curves) -> float:
    return correlation(np.gradient(curves.a), np.gradient(curves.b))


def _at_zero_lag(curves: Curves) -> float:
    """The correlation less the best with b some pairs earlier or later."""
    n = len(curves.a)
    shifted = [
        correlation(
            curves.a[max(lag, 0) : n + min(lag, 0)], curves.b[max(-lag, 0) : n - max(lag, 0)]
        )
        for lag in LAGS
        if n - abs(lag) >= 8
    ]
    return correlation(curves.a, curves.b) - np.nanmax(shifted) if shifted else np.nan


def _weighed(curves: Curves) -> float:
    """Fisher's z of the correlation times the root of the number of pairs."""
    return float(np.arctanh(0.999 * correlation(curves.a, curves.b)) * np.sqrt(len(curves.a)))


STATISTICS: dict[str, Callable[[Curves], float]] = {
    "stored: quick, whole map": lambda c: c.stored,
    "plain, at frame pairs": lambda c: correlation(c.a, c.b),
    "of ranks": lambda c: correlation(_ranks(c.a), _ranks(c.b)),
    "without the slow part": lambda c: correlation(_quick(c.a), _quick(c.b)),
    "of changes": _changes,
    "mean of it and of changes": lambda c: (correlation(c.a, c.b) + _changes(c)) / 2,
    "less the best other lag": _at_zero_lag,
    "weighed by its frames": _weighed,
    "plain, whole map": lambda c: correlation(c.whole_a, c.whole_b),
}


# --- tables


def main() -> None:
    """Print the tables of every folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("data/demo")])
    for number, folder in enumerate(parser.parse_args().folders, 1):
        print(f"\ndataset {number}: {folder.name}")
        outputs = Outputs(folder)
        print_auc(outputs)
        print_difference(outputs)


def print_auc(outputs: Outputs) -> None:
    """AUC of every statistic against every kind of wrong map."""
    right = [(outputs.clips[p.take_a], outputs.clips[p.take_b]) for p in outputs.pairs]
    sets = {"right": [outputs.curves(a, b) for a, b in right]}
    for name, twins in (("other", False), ("twin", True)):
        sets[name] = [outputs.curves(a, b) for a, b, twin in outputs.others() if twin == twins]
    for ms in SHIFTS_MS:
        sets[f"{ms} ms"] = [
            outputs.curves(a, b, shift_ms=side * ms) for a, b in right for side in (1, -1)
        ]
    sets["reversed"] = [outputs.curves(a, b, reverse=True) for a, b in right]
    wrong = [name for name in sets if name != "right" and sets[name]]
    print(f"AUC of {len(right)} right maps against wrong ones (how many below)")
    print(f"{'':26}" + "".join(f"{name:>9}" for name in wrong) + "  right p5 / p50")
    print(f"{'':26}" + "".join(f"{len(sets[name]):>9}" for name in wrong))
    for label, statistic in STATISTICS.items():
        values = {name: _finite(statistic, curves) for name, curves in sets.items()}
        cells = "".join(f"{_auc(values['right'], values[name]):9.3f}" for name in wrong)
        low, middle = np.percentile(values["right"], [5, 50])
        print(f"{label:26}{cells}  {low:.2f} / {middle:.2f}")
    print("share of maps that store at least ...")
    for least in LEAST:
        shares = [
            100 * (_finite(lambda c: c.stored, sets[name]) >= least).mean()
            for name in ("right", *wrong)
        ]
        print(f"  {least:.1f}: right {shares[0]:5.1f} %" + " " * 5, end="")
        print("".join(f"{share:8.1f}%" for share in shares[1:]))


def _finite(statistic: Callable[[Curves], float], curves: Iterable[Curves]) -> np.ndarray:
    values = np.array([statistic(c) if len(c.a) >= 8 else np.nan for c in curves])
    return values[np.isfinite(values)]


def _auc(right: np.ndarray, wrong: np.ndarray) -> float:
    labels = np.repeat([1, 0], [len(right), len(wrong)])
    return float(roc_auc_score(labels, np.concatenate([right, wrong])))


def print_difference(outputs: Outputs) -> None:
    """The stored difference of openings, beside the one measured after the affine, and shifted."""
    pairs = {pair.pair_id: pair for pair in outputs.pairs}
    columns = ["landmarks", "interocular_px"]
    read = partial(read_columns, names=columns)
    faces = {key: read(outputs.file(c, ".frames.parquet")) for key, c in outputs.clips.items()}
    stored, after, shifted = [], [], {ms: [] for ms in SHIFTS_MS}
    for file in sorted((outputs.folder / "pose" / "items").rglob("*.poses.parquet")):
        for row in read_table(file).to_pylist():
            pair = pairs[row["pair_id"]]
            a, b = faces[pair.take_a], faces[pair.take_b]
            matrix = np.array(row["affine"]).reshape(2, 3)
            lips = b["landmarks"][row["frame_b"], :, :2] @ matrix[:, :2].T + matrix[:, 2]
            gaps = [np.hypot(*(lips[one] - lips[other])) for one, other in INNER_LIPS]
            opening = np.mean(gaps) / a["interocular_px"][row["frame_a"]]
            stored.append(row["mouth_difference"])
            after.append(opening - row["mouth_open_a"])
            track = outputs.track(outputs.clips[pair.take_b])
            for ms, found in shifted.items():
                wanted = track.instants_s[row["frame_b"]] + ms / 1e3
                late = track.mouth_open[np.abs(track.instants_s - wanted).argmin()]
                found.append(late - row["mouth_open_a"])
    print(f"openings, difference over the eyes' distance, {len(stored)} frame pairs: |p50| / |p95|")
    for name, values in {"stored": stored, "after the affine": after}.items():
        print(f"  {name:18}{_spread(values)}, mean {np.mean(values):+.3f}")
    for ms, values in shifted.items():
        print(f"  b {ms} ms later{'':4}{_spread(values)}")
    print(f"  stored and after the affine: correlation {np.corrcoef(stored, after)[0, 1]:.3f}")


def _spread(values: Iterable[float]) -> str:
    middle, high = np.nanpercentile(np.abs(np.array(list(values))), [50, 95])
    return f"{middle:.3f} / {high:.3f}"


if __name__ == "__main__":
    main()
