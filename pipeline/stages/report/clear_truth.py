"""Accuracy of scores, and purity and recall of D_n, against the demo's ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.clip.clarity import NEUTRAL
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.report.clear import I64, Clear, Mask
from pipeline.stages.report.inputs import F64, Inputs
from pipeline.stages.report.metrics import rounded, share
from pipeline.stages.report.truth import Truth
from pipeline.takes.frame_file import read_columns
from spfem_data.labels import EMOTIONS

TRULY_CLEAR = 0.5
"""The intensity from which a frame counts as truly showing its emotion."""
_STILL = 0.1
"""The intensity below which a frame counts as neutral, whatever the emotion of its take."""
_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0001))
_PASSED = ("kept", "duplicate", "over_quota")
_SCORES = ".scores.parquet"
_COLUMNS = tuple(f"p_{emotion}" for emotion in EMOTIONS)


@dataclass(frozen=True)
class Judged:
    """The scored frames whose truth is known, as columns (n,).

    `row` is their position in `Clear`, `shown` the index of the take's true emotion, `intensity`
    its intensity at that frame, `seen` the index of the most probable emotion by the scores.
    """

    row: I64
    shown: I64
    intensity: F64
    seen: I64

    def shows(self, emotion: I64) -> Mask:
        """(n,) whether each frame truly shows the emotion (n,): neutral means a still face."""
        still = self.intensity < _STILL
        felt = (self.shown == emotion) & (self.intensity >= TRULY_CLEAR)
        return np.asarray(np.where(emotion == NEUTRAL, still, felt))


def judge(inputs: Inputs, clear: Clear, truth: Truth, scores: ItemStore) -> Judged:
    """Join the filter's rows with the scores and the truth, take by take."""
    parts = []
    for take in sorted(set(clear.takes) & set(truth.takes)):
        shown = truth.takes[take].shown
        if shown not in EMOTIONS:
            continue
        clip = inputs.clips[take]
        rows = np.flatnonzero(clear.take == take)
        path = scores.path(f"{clip.speaker}/{take}", _SCORES)
        table = read_table(path, columns=["frame", *_COLUMNS])
        p = np.column_stack([table[name].to_numpy() for name in _COLUMNS])
        order = np.searchsorted(table["frame"].to_numpy(), clear.frame[rows])
        times = read_columns(inputs.frames_path(clip), ["time_s", "duration_s"])
        instants = (times["time_s"] + times["duration_s"] / 2)[clear.frame[rows]]
        intensity = truth.intensity(take, instants)
        parts.append((
            rows, np.full(len(rows), EMOTIONS.index(shown)), intensity,
            np.argmax(p[order], axis=1),
        ))  # fmt: skip
    columns = [np.concatenate([np.empty(0), *column]) for column in zip(*parts, strict=True)]
    row, shown_as, intensity, seen = columns or [np.empty(0)] * 4
    known = np.isfinite(intensity)
    whole = [column[known].astype(np.int64) for column in (row, shown_as, seen)]
    return Judged(whole[0], whole[1], intensity[known], whole[2])


def clear_figures(clear: Clear, judged: Judged, truth: Truth) -> dict[str, Any]:
    """The nested numbers under metrics.truth.emotions; None where there is nothing to measure."""
    if not len(judged.row):
        return {}
    names = list(EMOTIONS)
    known = np.isin(clear.emotion[judged.row], names)
    judged_as = np.array([names.index(e) if e in names else -1 for e in clear.emotion[judged.row]])
    verdicts = clear.verdict[judged.row]
    true = judged.shows(judged_as) & known
    kept, passed = verdicts == "kept", np.isin(verdicts, _PASSED)
    return {
        "accuracy": _accuracy(judged),
        "purity_before": share(int(true.sum()), int(known.sum())),
        "purity": share(int((true & kept).sum()), int(kept.sum())),
        "truly_clear": int(true.sum()),
        "truly_clear_passing_share": share(int((true & passed).sum()), int(true.sum())),
        "truly_clear_kept_share": share(int((true & kept).sum()), int(true.sum())),
        "per_emotion": {
            name: _of_emotion(judged_as == n, true, kept, passed) for n, name in enumerate(names)
        },
        "mislabelled": _mislabelled(clear, truth),
    }


def _of_emotion(own: Mask, true: Mask, kept: Mask, passed: Mask) -> dict[str, Any]:
    clear = own & true
    return {
        "scored": int(own.sum()),
        "truly_clear": int(clear.sum()),
        "purity_before": share(int(clear.sum()), int(own.sum())),
        "kept": int((own & kept).sum()),
        "purity": share(int((clear & kept).sum()), int((own & kept).sum())),
        "truly_clear_passing_share": share(int((clear & passed).sum()), int(clear.sum())),
        "truly_clear_kept_share": share(int((clear & kept).sum()), int(clear.sum())),
    }


def _accuracy(judged: Judged) -> dict[str, Any]:
    """The accuracy of the most probable emotion, by the true intensity of the frame."""
    right = judged.seen == judged.shown
    still = judged.shown == NEUTRAL
    strong = judged.intensity >= TRULY_CLEAR
    felt = right[strong & ~still]
    return {
        "truly_clear": share(int(right[strong | still].sum()), int((strong | still).sum())),
        "without_neutral": share(int(felt.sum()), len(felt)),
        "per_emotion": {
            name: {
                "truly_clear": _share(right, (judged.shown == n) & (strong | still)),
                "by_intensity": [
                    _share(right, (judged.shown == n) & _between(judged.intensity, bounds))
                    for bounds in _BINS
                ],
            }
            for n, name in enumerate(EMOTIONS)
        },
    }


def _between(values: F64, bounds: tuple[float, float]) -> Mask:
    return np.asarray((values >= bounds[0]) & (values < bounds[1]))


def _share(right: Mask, among: Mask) -> float | None:
    return share(int(right[among].sum()), int(among.sum()))


def _mislabelled(clear: Clear, truth: Truth) -> dict[str, Any]:
    """The deliberately mislabelled takes: how many are found, and false alarms."""
    wrong = {take for take in clear.takes if take in truth.takes and truth.takes[take].mislabelled}
    suspects = {suspect.take_id for suspect in clear.suspects}
    return {
        "takes": len(wrong),
        "found": len(wrong & suspects),
        "false_alarms": len(suspects - wrong),
        "missed": sorted(wrong - suspects),
    }


def intensity_bins() -> list[str]:
    """The names of the intensity bins."""
    return [f"{low:g} to {min(high, 1):g}" for low, high in _BINS]


def frame_truth(judged: Judged) -> Mapping[int, tuple[str, float]]:
    """The true emotion and intensity of each frame, by its row in `Clear`."""
    return {
        row: (EMOTIONS[shown], rounded(intensity, 2))
        for row, shown, intensity in zip(
            judged.row.tolist(), judged.shown.tolist(), judged.intensity.tolist(), strict=True
        )
    }
