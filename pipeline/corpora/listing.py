"""The result of a corpus module: takes, rejects and findings, without duplicates, selected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pipeline.corpora.naming import canonical_emotion, near_emotions, safe_id
from pipeline.errors import PipelineError, printable
from pipeline.params import Select
from pipeline.records import Rejected, Source, Take, rejected

AUDIO_ONLY_VIEW = "none"
_SHOWN = 12


@dataclass(frozen=True)
class Place:
    """The place of an item in a corpus, as far as its name says."""

    speaker: str | None = None
    emotion: str | None = None
    level: int | None = None
    view: str | None = None
    take: str | None = None


NOWHERE = Place()


@dataclass(frozen=True)
class Utterance:
    """What a speaker said once: the takes of all views, and up to three files in RAVDESS."""

    speaker: str
    emotion: str
    level: int
    take: str

    @property
    def id(self) -> str:
        """For example M003_angry_3_016."""
        return f"{self.speaker}_{self.emotion}_{self.level}_{self.take}"

    def take_id(self, view: str) -> str:
        """For example M003_angry_3_front_016."""
        return f"{self.speaker}_{self.emotion}_{self.level}_{view}_{self.take}"

    def place(self, view: str | None = None) -> Place:
        """For the selection and the inventory."""
        return Place(self.speaker, self.emotion, self.level, view, self.take)

    def recorded(
        self,
        dataset: str,
        view: str,
        video: Source | None,
        audio: Source | None,
        sentence: str | None = None,
    ) -> Take:
        """The take of a view; `sentence` is one that the file's name gives."""
        return Take(
            take_id=self.take_id(view),
            utterance_id=self.id,
            dataset=dataset,
            speaker=self.speaker,
            emotion=self.emotion,
            level=self.level,
            view=view,
            take=self.take,
            sentence=sentence,
            sentence_source="name" if sentence else None,
            video_path=video.path if video else None,
            video_member=video.member if video else None,
            audio_path=audio.path if audio else None,
            audio_member=audio.member if audio else None,
        )


@dataclass(frozen=True)
class Finding:
    """Something that is not a take but that the inventory lists: kind, item and details."""

    kind: str
    item: str
    place: Place = NOWHERE
    detail: str = ""


@dataclass(frozen=True)
class Promise:
    """One cell of a corpus: the takes that a speaker should have of an emotion at a level."""

    speaker: str
    emotion: str
    level: int
    takes: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The takes of a dataset, sorted by id, the rejects, and the input of the inventory.

    Every file that names a take is either a take or a row of `rejected`.
    """

    takes: tuple[Take, ...]
    rejected: tuple[Rejected, ...]
    findings: tuple[Finding, ...] = ()
    promises: tuple[Promise, ...] = ()


class Draft:
    """A listing under construction; it detects duplicates for all corpora."""

    def __init__(self) -> None:
        self._takes: dict[str, Take] = {}
        self._spelt: dict[str, str] = {}
        self._refused: dict[str, tuple[Place, Rejected]] = {}
        self.findings: list[Finding] = []
        self.promises: list[Promise] = []

    @property
    def takes(self) -> list[Take]:
        """The takes so far."""
        return list(self._takes.values())

    def add(self, take: Take, item: str) -> bool:
        """Add a take unless its name exists; `item` is its file, for the message.

        Ids that differ only in case are the same, as are their files on case-insensitive systems.
        """
        for name in (take.speaker, take.utterance_id):
            spelt = self._spelt.setdefault(name.casefold(), name)
            if spelt != name:
                detail = f"{name} and {spelt} differ in case only"
                self.refuse(item, "duplicate_take", detail, _place(take))
                return False
        first = self._takes.get(take.take_id.casefold())
        if first is not None:
            kept = first.video or first.audio
            self.refuse(item, "duplicate_take", f"{take.take_id} is {kept} already", _place(take))
            return False
        self._takes[take.take_id.casefold()] = take
        return True

    def join(self, other: Draft) -> None:
        """Merge another draft, of a corpus with other names."""
        self._takes |= other._takes
        self._spelt |= other._spelt
        self._refused |= other._refused
        self.findings += other.findings
        self.promises += other.promises

    def lose(self, take_id: str, item: str, reason: str, detail: str, place: Place) -> None:
        """Reject a take whose file is unusable; under its id, unless another file provides it."""
        if take_id.casefold() in self._takes or take_id in self._refused:
            self.refuse(item, reason, detail, place)
        else:
            self.refuse(take_id, reason, f"{item}: {detail}", place)
            self.findings.append(Finding("lost", take_id, place, reason))

    def refuse(self, item: str, reason: str, detail: str, place: Place = NOWHERE) -> None:
        """Reject an item; a second one of the same name gets a number."""
        name, count = item, 1
        while name in self._refused:
            count += 1
            name = f"{item}#{count}"
        self._refused[name] = (place, rejected("extract", "take", name, reason, detail))

    def note(self, kind: str, item: str, place: Place = NOWHERE, detail: str = "") -> None:
        """Record something that is not a take but is worth reporting."""
        self.findings.append(Finding(kind, printable(item), place, printable(detail)))

    def forget(self, speakers: Collection[str]) -> None:
        """Remove all entries of some speakers, including those that only a path names."""
        if not speakers:
            return
        gone = {speaker.casefold() for speaker in speakers}
        # in a path or an id, a speaker's name is a whole word
        words = re.compile(rf"(?<![a-z0-9])({'|'.join(map(re.escape, sorted(gone)))})(?![a-z0-9])")

        def stays(place: Place, item: str) -> bool:
            if place.speaker is not None:
                return place.speaker.casefold() not in gone
            return words.search(item.casefold()) is None

        self._takes = {k: t for k, t in self._takes.items() if stays(_place(t), k)}
        self._refused = {k: r for k, r in self._refused.items() if stays(r[0], k)}
        self.findings = [f for f in self.findings if stays(f.place, f.item)]
        self.promises = [p for p in self.promises if p.speaker.casefold() not in gone]

    def listing(self, select: Select) -> Listing:
        """The selected entries, sorted.

        Raises
        ------
        PipelineError
            If a selected name does not exist, or no take meets all conditions.
        """
        wanted = _Wanted(select, self.takes)
        takes = [take for take in self.takes if wanted.admits(_place(take))]
        if self._takes and not takes:
            raise PipelineError("select leaves no take: each name exists, but never together")
        refused = [row for place, row in self._refused.values() if wanted.admits(place)]
        promises = [p for p in self.promises if wanted.admits(Place(p.speaker, p.emotion, p.level))]
        return Listing(
            tuple(sorted(takes, key=lambda take: take.take_id)),
            tuple(sorted(refused, key=lambda row: row.item)),
            tuple(
                sorted(
                    (f for f in self.findings if wanted.admits(f.place)),
                    key=lambda f: (f.kind, f.place.speaker or "", f.item),
                )
            ),
            tuple(sorted(promises, key=lambda p: (p.speaker, p.emotion, p.level))),
        )


class _Wanted:
    """A selection in canonical names."""

    def __init__(self, select: Select, takes: Sequence[Take]) -> None:
        self.speakers = {safe_id(name) for name in select.speakers}
        self.emotions = {_emotion(name) for name in select.emotions}
        self.levels = set(select.levels)
        self.views = {safe_id(name) for name in select.views}
        for field in ("speaker", "emotion", "level", "view") if takes else ():
            present = {getattr(take, field) for take in takes}
            _check(f"{field}s", getattr(self, f"{field}s"), present)

    def admits(self, place: Place) -> bool:
        """Whether a place belongs to the selection; unknown parts are ignored."""
        known: list[tuple[Iterable[object], object]] = [
            (self.speakers, place.speaker),
            (self.emotions, place.emotion),
            (self.levels, place.level),
            (self.views, place.view),
        ]
        return all(not names or value is None or value in names for names, value in known)


def _emotion(name: str) -> str:
    emotion = canonical_emotion(name)
    if emotion is None:
        raise PipelineError(f"select.emotions: {name!r} is not an emotion; {near_emotions(name)}")
    return emotion


def _check(field: str, wanted: set[str] | set[int], present: set[str] | set[int]) -> None:
    missing = sorted(repr(name) for name in set(wanted) - set(present))
    if missing:
        there = [repr(name) for name in sorted(present)]
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        raise PipelineError(
            f"select.{field}: the corpus has no {', '.join(missing[:_SHOWN])}; "
            f"it has: {', '.join(there[:_SHOWN])}{more}"
        )


def _place(take: Take) -> Place:
    return Place(take.speaker, take.emotion, take.level, take.view, take.take)
