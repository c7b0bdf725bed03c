"""The inventory of a corpus: takes by cell, and what is missing and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.corpora.listing import Finding, Listing, Promise
from pipeline.corpora.naming import ranges
from pipeline.records import Take
from spfem_data.labels import EMOTIONS

KINDS = {
    "no_emotion": "emotions of which the speaker has no take",
    "no_level": "levels that the speaker lacks of an emotion that is there",
    "gap": "takes that the numbering or the release promises",
    "no_view": "the speaker has no take of a view that others have",
    "view_gap": "utterances that the speaker has in other views only",
    "no_audio_file": "takes without a separate audio file",
    "bad_audio_file": "separate audio files that cannot be read",
    "audio_without_video": "audio files without a video",
    "duplicate_audio": "copies of an utterance's audio file",
    "other_version": "other versions of a take, not copies: compare them, and keep one",
    "misfiled": "files whose folder names another speaker than their name",
    "spare_video": "videos without audio of takes that have a better file",
    "song": "song, which is not used",
    "unparsed": "media files whose names do not identify a take",
    "hidden_file": "hidden media files, such as those of macOS",
    "linked_twice": "folders that several links lead to",
    "packed_archive": "compressed archives or parts of archives; unpack or join them",
    "nested_archive": "archives inside archives; unpack the outer one",
    "unknown_column": "unknown columns of the manifest",
}
"""Every kind of gap or problem and its meaning."""
_EXAMPLES = 3


@dataclass(frozen=True)
class Cell:
    """The number of takes of a speaker, emotion, level and view."""

    speaker: str
    emotion: str
    level: int
    view: str
    takes: int
    with_audio_file: int


@dataclass(frozen=True)
class Hole:
    """Something missing or unusual: its kind, place, count and details."""

    kind: str
    speaker: str
    where: str
    count: int
    detail: str


@dataclass(frozen=True)
class Inventory:
    """Counts by cell, gaps and problems, and rejects by reason."""

    cells: tuple[Cell, ...]
    holes: tuple[Hole, ...]
    rejects: tuple[tuple[str, int, str], ...]

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """The tables to show: (title, columns, rows of text); empty ones are left out."""
        emotions = sorted({cell.emotion for cell in self.cells}, key=emotion_order)
        held = [[*row[:3], *map(str, row[3:])] for row in self._held(emotions)]
        holes = [[h.kind, h.speaker, h.where, str(h.count), h.detail] for h in self.holes]
        rejects = [[reason, str(count), example] for reason, count, example in self.rejects]
        tables = [
            ("takes", ["speaker", "view", "level", *emotions, "all"], held),
            ("missing or odd", ["kind", "speaker", "where", "count", "which"], holes),
            ("rejected", ["reason", "files", "for example"], rejects),
        ]
        return [table for table in tables if table[2]]

    def _held(self, emotions: Sequence[str]) -> list[tuple[str, ...]]:
        counts: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
        for cell in self.cells:
            counts[cell.speaker, cell.view, cell.level][cell.emotion] += cell.takes
        return [
            (speaker, view, str(level), *(str(of[e]) for e in emotions), str(of.total()))
            for (speaker, view, level), of in sorted(counts.items())
        ]


def inventory(listing: Listing) -> Inventory:
    """Count the takes of a listing and find its gaps; nothing is read from disk."""
    holes = [
        *_missing_cells(listing),
        *_missing_views(listing.takes),
        *_found(finding for finding in listing.findings if finding.kind != "lost"),
    ]
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in listing.rejected:
        reasons[row.reason].append(f"{row.item}: {row.detail}")
    return Inventory(
        _cells(listing.takes),
        tuple(sorted(holes, key=lambda h: (list(KINDS).index(h.kind), h.speaker, h.where))),
        tuple((reason, len(rows), rows[0]) for reason, rows in sorted(reasons.items())),
    )


def _cells(takes: Iterable[Take]) -> tuple[Cell, ...]:
    counts: Counter[tuple[str, str, int, str]] = Counter()
    with_audio: Counter[tuple[str, str, int, str]] = Counter()
    for take in takes:
        key = take.speaker, take.emotion, take.level, take.view
        counts[key] += 1
        with_audio[key] += take.audio is not None
    return tuple(Cell(*key, counts[key], with_audio[key]) for key in sorted(counts))


def _missing_cells(listing: Listing) -> list[Hole]:
    """Promised emotions, levels and single takes that are missing."""
    present: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for take in listing.takes:
        present[take.speaker, take.emotion, take.level].add(take.take)
    has_emotion = {(speaker, emotion) for speaker, emotion, _ in present}
    lost = {
        (f.place.speaker, f.place.emotion, f.place.level, f.place.take): f.detail
        for f in listing.findings
        if f.kind == "lost"
    }
    holes = []
    for promise in listing.promises:
        key = promise.speaker, promise.emotion, promise.level
        where = f"{promise.emotion} {promise.level}"
        if key in present:
            missing = [take for take in promise.takes if take not in present[key]]
            if missing:
                detail = _gap(promise, missing, lost)
                holes.append(Hole("gap", promise.speaker, where, len(missing), detail))
        elif (promise.speaker, promise.emotion) in has_emotion:
            holes.append(Hole("no_level", promise.speaker, where, len(promise.takes) or 1, ""))
        else:
            holes.append(Hole("no_emotion", promise.speaker, where, len(promise.takes) or 1, ""))
    return _merge_cells(holes)


def _gap(
    promise: Promise,
    missing: Sequence[str],
    lost: dict[tuple[str | None, str | None, int | None, str | None], str],
) -> str:
    key = promise.speaker, promise.emotion, promise.level
    known = [take for take in missing if (*key, take) in lost]
    absent = ranges(take for take in missing if take not in known)
    because = [f"{take}: {lost[*key, take]}" for take in known[:12]]
    return "; ".join([absent, *because] if absent else because)


def _merge_cells(holes: Iterable[Hole]) -> list[Hole]:
    """One row for all emotions, or all levels, that a speaker lacks; gaps keep their rows."""
    merged: dict[tuple[str, str, str], list[Hole]] = defaultdict(list)
    for hole in holes:
        merged[hole.kind, hole.speaker, hole.where if hole.kind == "gap" else ""].append(hole)
    rows = []
    for (kind, speaker, where), group in merged.items():
        cells = [hole.where for hole in group]
        names = sorted({cell.split(" ")[0] for cell in cells} if kind == "no_emotion" else cells)
        detail = group[0].detail if kind == "gap" else ", ".join(names)
        count = sum(hole.count for hole in group) if kind == "gap" else len(names)
        rows.append(Hole(kind, speaker, where, count, detail))
    return rows


def _missing_views(takes: Iterable[Take]) -> list[Hole]:
    by_speaker: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for take in takes:
        if take.video is not None:
            by_speaker[take.speaker][take.view].add(take.utterance_id)
    everywhere = {view for views in by_speaker.values() for view in views}
    holes = []
    for speaker, views in by_speaker.items():
        all_of_speaker = set().union(*views.values())
        for view in sorted(everywhere):
            missing = all_of_speaker - views.get(view, set())
            if view not in views:
                holes.append(Hole("no_view", speaker, view, len(missing), ""))
            elif missing:
                examples = ranges(missing, _EXAMPLES)
                holes.append(Hole("view_gap", speaker, view, len(missing), examples))
    return holes


def _found(findings: Iterable[Finding]) -> list[Hole]:
    """Findings of one kind and place as one row, with a few examples."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        place = finding.place
        where = "" if place.emotion is None else f"{place.emotion} {place.level}"
        where = where or finding.detail
        groups[finding.kind, place.speaker or "", where].append(finding)
    return [
        Hole(kind, speaker, where, len(group), _examples(group))
        for (kind, speaker, where), group in sorted(groups.items())
    ]


def _examples(group: Sequence[Finding]) -> str:
    takes = {f.place.take for f in group if f.place.take is not None}
    if takes:
        return ranges(take for take in takes)
    return ranges((f.item for f in group), _EXAMPLES)


def emotion_order(emotion: str) -> tuple[int, str]:
    """Sort key: the seven emotions in their usual order, then others by name."""
    known = emotion in EMOTIONS
    return (EMOTIONS.index(emotion) if known else len(EMOTIONS)), emotion
