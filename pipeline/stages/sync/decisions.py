"""From measured offsets to those that are applied: the zero, significance, what remains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.alignment.sync_offsets import commonest
from pipeline.params import Sync
from pipeline.records import Clip, SyncSession, SyncTake
from pipeline.stages.sync.worker import session_of

_MS = 1000.0
_STEP_MS = 5.0
"""Applied offsets and errors are rounded to this, so that a slightly different model changes few of
them, and align redoes few speakers."""
_LEAST_SPREAD_MS = 20.0


@dataclass(frozen=True)
class Decided:
    """The rows of both tables; `zero_s` is the commonest offset, on the scale of the model."""

    takes: list[SyncTake]
    sessions: list[SyncSession]
    zero_s: float


def decide(
    clips: Sequence[Clip],
    takes: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    section: Sync,
) -> Decided:
    """What is applied to each clip.

    Parameters
    ----------
    takes, groups
        The rows of `worker.measure_speaker` of all speakers.
    """
    sure = [g for g in groups if _is_sure(g, section)]
    zero_s = commonest([g["offset_s"] for g in sure], [len(g["take_ids"]) for g in sure])
    spread_ms = _spread_ms(sure, zero_s)
    by_id = {clip.take_id: clip for clip in clips}
    own = {row["take_id"]: row for row in takes}
    several = _speakers_with_several(clips)
    sessions, placed = [], dict[str, SyncSession]()
    for group in groups:
        members = [by_id[take_id] for take_id in group["take_ids"]]
        row = _session(group, members, zero_s, [own[c.take_id]["offset_s"] for c in members])
        row = _settled(row, members[0].speaker in several, section, spread_ms)
        sessions.append(row)
        placed |= dict.fromkeys(group["take_ids"], row)
    measured = {row.session: row for row in sessions if row.pooled == "session"}
    rows = [_take(clip, own, placed, zero_s, measured) for clip in clips]
    sessions += _unmeasured(clips, sessions)
    counts = Counter(session_of(clip) for clip in clips)
    return Decided(
        sorted(rows, key=lambda row: row.take_id),
        sorted(
            (replace(s, n_takes=counts[s.session] if not s.part else s.n_takes) for s in sessions),
            key=lambda s: (s.session, s.part),
        ),
        zero_s,
    )


def _is_sure(group: Mapping[str, Any], section: Sync) -> bool:
    strong = group["strength"] >= section.min_strength
    return bool(strong and group["error_s"] * _MS <= section.max_error_ms)


def _spread_ms(sure: Sequence[Mapping[str, Any]], zero_s: float) -> float | None:
    """How far sessions are from the commonest offset: what is known of one that is not measured."""
    if len(sure) < 2:
        return None
    away = np.array([g["offset_s"] - zero_s for g in sure]) * _MS
    return max(float(np.sqrt((away**2).mean())), _LEAST_SPREAD_MS)


def _speakers_with_several(clips: Sequence[Clip]) -> set[str]:
    """Speakers with more than one session; the pairs of others have no relative offset."""
    sessions = {(clip.speaker, session_of(clip)) for clip in clips}
    counts = Counter(speaker for speaker, _ in sessions)
    return {speaker for speaker, n in counts.items() if n > 1}


def _session(
    group: Mapping[str, Any], members: Sequence[Clip], zero_s: float, own_s: Sequence[float]
) -> SyncSession:
    first = members[0]
    return SyncSession(
        session=session_of(first), speaker=first.speaker, emotion=first.emotion, level=first.level,
        pooled=group["pooled"], part=group["part"], n_takes=len(members), n_measured=len(members),
        offset_ms=_rounded((group["offset_s"] - zero_s) * _MS),
        error_ms=_rounded(group["error_s"] * _MS),
        spread_ms=_rounded(float(np.std(own_s, ddof=1)) * _MS) if len(own_s) > 1 else None,
        strength=round(group["strength"], 3), applied_ms=0.0, remaining_ms=None, status="weak",
    )  # fmt: skip


def _rounded(value_ms: float) -> float:
    return round(value_ms, 1)


def _settled(
    row: SyncSession, has_others: bool, section: Sync, spread_ms: float | None
) -> SyncSession:
    """The row with its status, what is applied, and the error that remains."""
    assert row.offset_ms is not None
    assert row.error_ms is not None
    assert row.strength is not None
    remaining = math.hypot(row.offset_ms, row.error_ms)
    if row.strength < section.min_strength or row.error_ms > section.max_error_ms:
        return replace(row, status="weak", remaining_ms=_stepped(spread_ms))
    if not has_others:
        return replace(row, status="one_session", remaining_ms=_stepped(remaining))
    if abs(row.offset_ms) < section.significance * row.error_ms:
        return replace(row, status="not_significant", remaining_ms=_stepped(remaining))
    if section.mode == "report":
        return replace(row, status="reported", remaining_ms=_stepped(remaining))
    applied = round(row.offset_ms / _STEP_MS) * _STEP_MS
    return replace(row, status="applied", applied_ms=applied, remaining_ms=_stepped(row.error_ms))


def _stepped(value_ms: float | None) -> float | None:
    return None if value_ms is None else max(round(value_ms / _STEP_MS), 1) * _STEP_MS


def _take(
    clip: Clip,
    own: Mapping[str, Mapping[str, Any]],
    placed: Mapping[str, SyncSession],
    zero_s: float,
    sessions: Mapping[str, SyncSession],
) -> SyncTake:
    """The row of a clip; one whose mouth is not visible gets the offset of its session."""
    at, mine = placed.get(clip.take_id) or sessions.get(session_of(clip)), own.get(clip.take_id)
    if at is None or not clip.has_video:
        status = "no_mouth" if own or not clip.has_video else "not_measured"
        return SyncTake(clip.take_id, session_of(clip), None, None, None, "", 0.0, None, status)
    return SyncTake(
        take_id=clip.take_id, session=session_of(clip),
        offset_ms=None if mine is None else _rounded((mine["offset_s"] - zero_s) * _MS),
        error_ms=None if mine is None else _rounded(mine["error_s"] * _MS),
        strength=None if mine is None else round(mine["strength"], 3),
        pooled=at.pooled, applied_ms=at.applied_ms, remaining_ms=at.remaining_ms, status=at.status,
    )  # fmt: skip


def _unmeasured(clips: Sequence[Clip], sessions: Sequence[SyncSession]) -> Iterator[SyncSession]:
    """A row for each session of which no take could be measured."""
    known, nothing = {row.session for row in sessions}, not sessions
    for clip in clips:
        if session_of(clip) not in known:
            known.add(session_of(clip))
            status = "not_measured" if nothing and clip.has_video else "no_mouth"
            yield SyncSession(
                session_of(clip), clip.speaker, clip.emotion, clip.level, "", "", 0, 0, None, None,
                None, None, 0.0, None, status,
            )  # fmt: skip
