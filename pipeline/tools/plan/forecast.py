"""The fates of all units of all stages, in the order of the way, by the stages' own plans."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import corpora
from pipeline.records import (
    CLEAR_SCHEMA,
    Clip,
    Direction,
    FilteredTake,
    InvertedTake,
    MadeFamily,
    Pair,
    PosedPair,
    Rejected,
    Row,
    ScoredTake,
    Sentence,
)
from pipeline.runtime.run import Run, Unit
from pipeline.runtime.tables import AnyRow, read_rows
from pipeline.splits import split_of_take
from pipeline.stages import READS, module_of
from pipeline.stages.filter.decision_rows import suspect_rows, yield_rows
from pipeline.tools.plan import expected
from pipeline.tools.plan.forecast_run import EXPECTED, Foreseen
from pipeline.tools.plan.probing import Probed, probe_units
from pipeline.tools.plan.report_units import expected_sheets
from pipeline.tools.plan.unit_status import (
    FORGOTTEN,
    INPUT,
    LOST_FILES,
    NARROWED,
    NEW,
    NOT_ADMITTED,
    THRESHOLDS,
    UNUSABLE,
    Certainty,
    Fates,
    fates_of,
)
from spfem_data.labels import EMOTIONS

_ELSEWISE = {NEW, INPUT, THRESHOLDS}
"""Why units are redone that then give something else; others may well give the same again."""
_CLEAR_SHARE = 0.6
"""Of scored frames, on the demo."""
_KEPT_MADE = len(EMOTIONS) - 1


@dataclass
class Foresight:
    """What is foreseen of a dataset, stage by stage, and what that rests on."""

    run: Foreseen
    fates: dict[str, Fates]
    probed: Probed | None = None

    @property
    def n_pairs(self) -> int | None:
        """Clip pairs that align is expected to give or has given; None where that is not known."""
        pairs = self.run.tables.get(("align", "pairs"))
        return None if pairs is None else len(pairs)

    def certainty(self, *before: str) -> Certainty:
        """How sure a stage's units are that read those of the stages before it."""
        open_stages = [self.fates[stage] for stage in before if not self.fates[stage].is_done]
        if any(fates.certainty == "unknown" for fates in open_stages):
            return "unknown"
        reasons = {why for fates in open_stages for why in fates.open_reasons}
        sure = {fates.certainty for fates in open_stages}
        if not reasons and sure <= {"exact"}:
            return "exact"
        return "at most" if "at most" in sure or reasons - _ELSEWISE else "expected"


def foresee(
    run: Run, stages: Sequence[str], step: Callable[[str], None] = lambda _: None
) -> Foresight:
    """The fates of the units of the stages named, which are the first of the way.

    Parameters
    ----------
    step
        Called with the name of each stage before it is looked at.
    """
    is_fresh = not run.items("extract").units()
    seen = Foresight(
        Foreseen(run.dataset, run.params, run.data, run.options, run.progress, is_fresh=is_fresh),
        {},
    )
    for stage in stages:
        step(stage)
        seen.fates[stage] = _fates(seen, stage)
    return seen


def _fates(seen: Foresight, stage: str) -> Fates:
    if stage in _OWN_CERTAINTY:
        return _OWN_CERTAINTY[stage](seen)
    certainty = seen.certainty(*READS[stage])
    if certainty == "unknown":
        return Fates(stage, certainty=certainty)
    return _STAGES[stage](seen, certainty)


def _plan(stage: str, run: Run) -> Any:
    return importlib.import_module(module_of(stage)).plan(run)


def _demo(seen: Foresight) -> Fates:
    if seen.run.entry.corpus != "demo":
        return Fates("demo", idle="the dataset is no demo")
    planned = _plan("demo", seen.run)
    fates = fates_of(seen.run, "demo", planned.units)
    if fates.is_done and not planned.whole:
        redo = {unit.name: LOST_FILES for unit in planned.units}
        return replace(fates, redo=redo, receipts={})
    return fates


def _extract(seen: Foresight) -> Fates:
    """From the listing as it is now; a demo corpus that is not there yet has none."""
    run, is_made = seen.run, seen.fates["demo"].is_done
    if not is_made and not Path(run.entry.root).exists():
        return Fates("extract", certainty="unknown")
    planned = _plan("extract", run)
    certainty: Certainty = "exact" if is_made else "expected"
    fates = fates_of(run, "extract", planned.units, certainty=certainty)
    fates = replace(fates, removed=_removed_takes(run, fates, planned.rejects))
    seen.probed = probe_units(run, [u for u in fates.units if u.name in fates.redo])
    clips = [*_rows(fates, "clips"), *(clip.to_row() for clip in seen.probed.clips.values())]
    run.tables["extract", "clips"] = _sorted(clips, Clip, "take_id")
    return fates


def _removed_takes(run: Run, fates: Fates, rejects: Sequence[Rejected]) -> dict[str, str]:
    """Why takes that were extracted are no longer planned."""
    if not fates.removed:
        return {}
    reasons = {row.item: row.reason for row in rejects}
    entry = run.entry.model_copy(
        update={"select": type(run.entry.select)(speakers=[], emotions=[], levels=[], views=[])}
    )
    whole = corpora.list_takes(run.dataset, entry, Path(run.entry.root))
    there = {take.take_id for take in whole.takes}
    forgotten = {name.casefold() for name in run.forgotten}
    found = {}
    for unit, lost in fates.removed.items():
        speaker, take = unit.split("/", 1)
        if speaker.casefold() in forgotten:
            found[unit] = FORGOTTEN
        elif reasons.get(take) == "not_admitted":
            found[unit] = NOT_ADMITTED
        elif take in reasons:
            found[unit] = f"{UNUSABLE} ({reasons[take]})"
        else:
            found[unit] = NARROWED if take in there else lost
    return found


def _align(seen: Foresight, certainty: Certainty) -> Fates:
    run = seen.run
    planned = _plan("align", run)
    fates = fates_of(run, "align", planned.units, certainty=certainty)
    sentences, pairs = _rows(fates, "sentences"), _rows(fates, "pairs")
    rejects = [Rejected.from_row(row) for row in _rows(fates, "rejected")]
    settled = set()
    for unit in fates.units:
        if unit.name in fates.redo:
            found = _to_pair(run, unit, is_steady=_is_steady(fates, unit.name))
            sentences += [row.to_row() for row in found.sentences]
            pairs += [row.to_row() for row in found.pairs]
            rejects += found.rejects
            if fates.redo[unit.name] == THRESHOLDS and not found.n_returning:
                settled.add(unit.name)
    run.tables["align", "sentences"] = _sorted(sentences, Sentence, "utterance_id")
    run.tables["align", "pairs"] = _sorted(pairs, Pair, "pair_id")
    rejects.sort(key=lambda row: (row.grain, row.item, row.reason))
    run.tables["align", "rejected"] = rejects
    return replace(fates, settled=frozenset(settled))


def _is_steady(fates: Fates, unit: str) -> bool:
    """Whether a unit to be redone is likely to give the same for what did not change of it."""
    return fates.redo.get(unit) in (None, NEW, INPUT, THRESHOLDS)


def _to_pair(run: Run, unit: Unit, *, is_steady: bool) -> expected.Paired:
    """What a speaker is expected to give; where its parameters changed, no row stays as it was."""
    previous = run.items("align").receipt(unit.name)
    before = expected.Before.of(previous.rows if previous else {}, with_refused=is_steady)
    given = unit.payload
    found = expected.pairs_of(given.clips, given.section, given.rule, before)
    if is_steady:
        return found
    return replace(
        found,
        sentences=[replace(row, method=EXPECTED) for row in found.sentences],
        pairs=[replace(row, sentence_method=EXPECTED) for row in found.pairs],
    )


def _pose(seen: Foresight, certainty: Certainty) -> Fates:
    """Of a speaker whose pairs stay as they are, the poses do, too."""
    run, paired = seen.run, seen.fates["align"]
    shaken = {name for name in paired.redo if not _is_steady(paired, name)}
    units = [
        replace(unit, key=EXPECTED) if unit.name in shaken else unit
        for unit in _plan("pose", run).units
    ]
    fates = fates_of(run, "pose", units, certainty=certainty)
    posed = _rows(fates, "pose_pairs")
    by_speaker: dict[str, list[Pair]] = {}
    for pair in run.need("align", "pairs", Pair):
        if pair.speaker in fates.redo:
            by_speaker.setdefault(pair.speaker, []).append(pair)
    for speaker, pairs in by_speaker.items():
        is_steady = _is_steady(fates, speaker) and speaker not in shaken
        before = _posed_before(run, speaker) if is_steady else {}
        posed += [(before.get(p.pair_id) or expected.posed_of(p)).to_row() for p in pairs]
        run.made["pose", speaker] = expected.pose_table(pairs)
    run.tables["pose", "pose_pairs"] = _sorted(posed, PosedPair, "pair_id")
    return fates


def _posed_before(run: Run, speaker: str) -> dict[str, PosedPair]:
    previous = run.items("pose").receipt(speaker)
    rows = previous.rows.get("pose_pairs", ()) if previous else ()
    return {row.pair_id: row for row in expected.told(rows, PosedPair)}


def _score(seen: Foresight, certainty: Certainty) -> Fates:
    run = seen.run
    planned = _plan("score", run)
    fates = fates_of(run, "score", planned.units, planned.idle, certainty)
    scores = _rows(fates, "scores")
    run.tables["score", "known"] = _sorted(scores, ScoredTake, "take_id")
    for unit in fates.units:
        if unit.name in fates.redo and unit.effort:
            row = expected.scored_of(
                unit.payload.clip, int(unit.effort), planned.judge.weights.sha256
            )
            scores.append(row.to_row())
    run.tables["score", "scores"] = _sorted(scores, ScoredTake, "take_id")
    return fates


def _filter(seen: Foresight, certainty: Certainty) -> Fates:
    """What is scored is judged as the stage will; what waits for its scores moves others' ranks.

    Ranks are counted within an emotion and a split; other policies than `threshold` look at the
    whole dataset.
    """
    run = seen.run
    known = {row.take_id for row in run.tables["score", "known"] if isinstance(row, ScoredTake)}
    takes = run.need("score", "scores", ScoredTake)
    judged = [row for row in takes if row.take_id in known]
    planned = _plan("filter", replace(run, tables={**run.tables, ("score", "scores"): judged}))
    waiting = _filtered(run, [row for row in takes if row.take_id not in known])
    section = run.params.filter
    is_local = section.policy == "threshold" and not section.equal_per_emotion
    moved = {(row.emotion, row.split) for row in waiting}
    rows = [
        replace(row, clear_sha256=EXPECTED)
        if waiting and row.n_kept and (not is_local or (row.emotion, row.split) in moved)
        else row
        for row in planned.takes
    ]
    rows += waiting
    rows.sort(key=lambda row: row.take_id)
    run.tables["filter", "filtered_takes"] = rows
    run.tables["filter", "thresholds"] = planned.decision.thresholds
    run.tables["filter", "yields"] = yield_rows(planned.decision)
    run.tables["filter", "suspects"] = suspect_rows(planned.scored, planned.decision)
    for speaker in {row.speaker for row in rows}:
        run.made["filter", speaker] = CLEAR_SCHEMA.empty_table()
    for unit in planned.units:
        run.made["filter", unit.name] = unit.payload.cast(CLEAR_SCHEMA)
    return fates_of(run, "filter", list(_speakers(planned.units, rows)), certainty=certainty)


def _speakers(units: Sequence[Unit], takes: Sequence[FilteredTake]) -> Iterator[Unit]:
    """The units that there are, without a key where a take of theirs will change; then new ones."""
    efforts: dict[str, int] = {}
    for take in takes:
        efforts[take.speaker] = efforts.get(take.speaker, 0) + take.n_scored
    open_speakers = {take.speaker for take in takes if take.clear_sha256 == EXPECTED}
    for unit in units:
        effort = efforts.pop(unit.name)
        yield replace(unit, key=EXPECTED, effort=effort) if unit.name in open_speakers else unit
    for speaker, effort in sorted(efforts.items()):
        yield Unit(speaker, EXPECTED, None, effort=effort)


def _filtered(run: Run, takes: Sequence[ScoredTake]) -> list[FilteredTake]:
    """What is expected of takes that wait for their scores."""
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    said = {row.utterance_id: row for row in run.need("align", "sentences", Sentence)}
    splits = [split_of_take(clips[take.take_id], said) for take in takes]
    return [
        expected.filtered_of(take, split, _CLEAR_SHARE)
        for take, split in zip(takes, splits, strict=True)
    ]


def _invert(seen: Foresight, certainty: Certainty) -> Fates:
    run = seen.run
    planned = _plan("invert", run)
    fates = fates_of(run, "invert", planned.units, planned.idle, certainty)
    rows = _rows(fates, "inverted")
    for unit in fates.units:
        if unit.name in fates.redo and unit.effort:
            clip, n = unit.payload.clip, int(unit.effort)
            rows.append(
                expected.blank(
                    InvertedTake, take_id=clip.take_id, dataset=clip.dataset, speaker=clip.speaker,
                    emotion=clip.emotion, level=clip.level, view=clip.view,
                    split=unit.payload.split, n_frames=clip.n_frames, n_asked=n, n_kept=n,
                ).to_row()
            )  # fmt: skip
    run.tables["invert", "inverted"] = _sorted(rows, InvertedTake, "take_id")
    return fates


def _directions(seen: Foresight, certainty: Certainty) -> Fates:
    run = seen.run
    planned = _plan("directions", run)
    fates = fates_of(run, "directions", planned.units, planned.idle, certainty)
    store = run.items("directions")
    rows = [
        row
        for name, receipt in sorted(fates.receipts.items())
        for suffix in receipt.outputs
        for row in read_rows(store.path(name, suffix), Direction)
    ]
    for unit in fates.units:
        if unit.name in fates.redo:
            emotion, speaker = unit.payload.emotion, unit.payload.speaker
            named = {"direction_id": unit.name, "emotion": emotion, "speaker": speaker}
            rows.append(expected.blank(Direction, **named))
    run.tables["directions", "directions"] = rows
    return fates


def _synth(seen: Foresight, certainty: Certainty) -> Fates:
    run = seen.run
    planned = _plan("synth", run)
    fates = fates_of(run, "synth", planned.units, planned.idle, certainty)
    rows = _rows(fates, "families")
    for unit in fates.units:
        if unit.name in fates.redo:
            take = unit.payload.take
            named = {"take_id": take.take_id, "speaker": take.speaker, "split": take.split}
            rows += [
                expected.blank(
                    MadeFamily, family_id=f"{take.take_id}-{n}", n_kept=_KEPT_MADE, **named
                ).to_row()
                for n in range(int(unit.effort))
            ]
    run.tables["synth", "families"] = _sorted(rows, MadeFamily, "family_id")
    return fates


def _shards(seen: Foresight, certainty: Certainty) -> Fates:
    """Made pictures are as large there as synth says."""
    made = seen.fates["synth"].units
    n_pictures = len(EMOTIONS) * sum(unit.effort for unit in made)
    size = sum(unit.volume or 0.0 for unit in made) / n_pictures if n_pictures else 1.0
    units = [
        replace(unit, volume=(unit.volume or 0.0) * size)
        if unit.name.startswith("families/")
        else unit
        for unit in _plan("shards", seen.run).units
    ]
    return fates_of(seen.run, "shards", units, certainty=certainty)


def _report(seen: Foresight) -> Fates:
    """Exact where nothing before it gives anything new; else what is known of what it shows."""
    certainty = seen.certainty(*READS["report"])
    if certainty == "unknown":
        return Fates("report", certainty=certainty)
    if certainty == "exact":
        if not any(seen.fates[stage].removed for stage in READS["report"]):
            return fates_of(seen.run, "report", _plan("report", seen.run).units)
        certainty = "expected"
    units = expected_sheets(seen.run)
    return fates_of(seen.run, "report", units, certainty=certainty)


_OWN_CERTAINTY: Mapping[str, Callable[[Foresight], Fates]] = {
    "demo": _demo,
    "extract": _extract,
    "report": _report,
}
"""Stages that say by themselves how sure their units are."""
_STAGES: Mapping[str, Callable[[Foresight, Certainty], Fates]] = {
    "align": _align,
    "pose": _pose,
    "score": _score,
    "filter": _filter,
    "invert": _invert,
    "directions": _directions,
    "synth": _synth,
    "shards": _shards,
}
"""Stages that are as sure as those that they read."""


def _rows(fates: Fates, name: str) -> list[dict[str, Any]]:
    """The rows of that name that the reused units gave."""
    return [row for receipt in fates.receipts.values() for row in receipt.rows.get(name, ())]


def _sorted(rows: Sequence[dict[str, Any]], kind: type[AnyRow], by: str) -> list[Row]:
    return sorted(expected.told(rows, kind), key=lambda row: str(getattr(row, by)))
