"""The filter's decisions as rows."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa

from pipeline.clip.clarity import NONE, passing_counts
from pipeline.digests import digest
from pipeline.records import (
    CLEAR_SCHEMA,
    FilteredTake,
    Rejected,
    ScoredTake,
    Suspect,
    YieldPoint,
    rejected,
)
from pipeline.stages.filter.decide import Decision, Scored
from pipeline.stages.filter.selection import KEPT, OTHER_EMOTION, OVER_QUOTA, VERDICTS
from spfem_data.labels import EMOTIONS

GRAIN = "take"
GRID = (*(k / 20 for k in range(20)), 0.97, 0.99)
"""Thresholds at which the yield is reported."""


def clear_table(scored: Scored, decision: Decision, k: int) -> pa.Table:
    """The rows (`CLEAR_SCHEMA`) of the k-th take, by frame number."""
    take, (start, stop) = scored.takes[k], scored.spans[k]
    here = slice(start, stop)
    n = stop - start
    names = [
        take.emotion if number == NONE else EMOTIONS[number] for number in decision.emotion[here]
    ]
    values, rank = decision.values[here], decision.rank[here]
    columns = [
        pa.array([take.take_id] * n, pa.string()),
        pa.array(scored.frames.frame[here], pa.int32()),
        pa.array(names, pa.string()),
        pa.array([take.speaker] * n, pa.string()),
        pa.array([scored.splits[k]] * n, pa.string()),
        pa.array(values.astype(np.float32), pa.float32(), mask=~np.isfinite(values)),
        pa.array(rank, pa.int32(), mask=rank == 0),
        pa.array([VERDICTS[code] for code in decision.verdicts[here]], pa.string()),
    ]
    return pa.table(columns, schema=CLEAR_SCHEMA)


def filtered_take(scored: Scored, decision: Decision, k: int, rows: pa.Table) -> FilteredTake:
    """Counts of the verdicts on the frames of the k-th take."""
    take, (start, stop) = scored.takes[k], scored.spans[k]
    verdicts = decision.verdicts[start:stop]
    counts = np.bincount(verdicts, minlength=len(VERDICTS)).tolist()
    kept = decision.values[start:stop][verdicts == KEPT]
    return FilteredTake(
        take_id=take.take_id,
        speaker=take.speaker,
        emotion=take.emotion,
        split=scored.splits[k],
        n_scored=stop - start,
        **{f"n_{name}": counts[code] for code, name in enumerate(VERDICTS)},
        clarity=float(np.float32(np.median(kept))) if len(kept) else None,
        weights_sha256=take.weights_sha256,
        clear_sha256=_sha256(take, rows),
    )


def _sha256(take: ScoredTake, rows: pa.Table) -> str:
    """A digest of the take's scores and of the values of its rows."""
    hasher = hashlib.sha256(digest(take.to_row()).encode())
    for name in rows.schema.names:
        column = rows[name].combine_chunks()
        if pa.types.is_string(column.type):
            column = column.dictionary_encode()
            hasher.update("\0".join(map(str, column.dictionary.to_pylist())).encode())
            column = column.indices
        hasher.update(column.fill_null(-1).to_numpy().tobytes())
    return hasher.hexdigest()


def reject_of(scored: Scored, decision: Decision, k: int) -> Rejected | None:
    """Why no frame of the k-th take is in D_n; None if one is."""
    take, (start, stop) = scored.takes[k], scored.spans[k]
    verdicts = decision.verdicts[start:stop]
    if (verdicts == KEPT).any():
        return None
    reason, detail = _why(scored, decision, k)
    return rejected("filter", GRAIN, take.take_id, reason, detail)


def _why(scored: Scored, decision: Decision, k: int) -> tuple[str, str]:
    take, (start, stop) = scored.takes[k], scored.spans[k]
    verdicts, values = decision.verdicts[start:stop], decision.values[start:stop]
    look = decision.looks[k]
    told = _counts(verdicts.tolist())
    if take.emotion not in EMOTIONS:
        return "not_of_seven", f"recorded as {take.emotion}"
    if decision.suspects[k] and look is not None and (verdicts == OTHER_EMOTION).all():
        return "looks_mislabelled", f"recorded as {take.emotion}, shows {EMOTIONS[look.seen]}"
    if len(values) and not np.isfinite(values).any():
        return "no_neutral", f"{take.speaker} has no scored neutral frame"
    if (verdicts == OVER_QUOTA).any():
        return "over_quota", told
    best = f", the clearest has {np.nanmax(values):.2f}" if len(values) else ""
    return "unclear", f"{told}{best}"


def _counts(verdicts: list[int]) -> str:
    counts = Counter(verdicts)
    names = [name.replace("_", " ") for name in VERDICTS]
    found = ", ".join(f"{counts[code]} {name}" for code, name in enumerate(names) if counts[code])
    return f"of {len(verdicts)} frames: {found or 'none'}"


def suspect_rows(scored: Scored, decision: Decision) -> list[Suspect]:
    """The takes that look mislabelled, the most certain first."""
    rows = [
        Suspect(
            take_id=take.take_id, speaker=take.speaker, recorded=take.emotion,
            seen=EMOTIONS[look.seen], level=take.level, split=scored.splits[k],
            n_scored=take.n_scored, n_clear=look.n_clear, share=look.share, p_seen=look.p_seen,
            p_recorded=look.p_recorded,
        )
        for k, (take, look) in enumerate(zip(scored.takes, decision.looks, strict=True))
        if decision.suspects[k] and look is not None
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.p_recorded - row.p_seen, row.take_id))


def yield_rows(decision: Decision) -> list[YieldPoint]:
    """For each emotion, the number of scored frames at or above each threshold."""
    counts = passing_counts(decision.values, decision.emotion, np.array(GRID))
    return [
        YieldPoint(name, at, int((decision.emotion == n).sum()), int(counts[n, k]))
        for n, name in enumerate(EMOTIONS)
        for k, at in enumerate(GRID)
    ]
