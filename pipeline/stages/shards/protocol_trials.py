"""Drawing the lists for evaluation from the takes of one split: the same lists wherever they lie.

Sources are neutral for the six emotions, and of every emotion for neutral; the papers name
emotions, settings and measures, and neither sources nor references. A reference says another
sentence than its source, so that a mouth that is copied from it is found out: of the same speaker
always (it would be the answer itself), of another speaker where there is one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pipeline.stages.shards.shard_plan import KeptPair, SpokenTake
from spfem_data.labels import EMOTIONS
from spfem_data.protocols import PROTOCOLS, Trial

_NEUTRAL = "neutral"
Targets = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Drawn:
    """The trials of each list, and for each list what it lacks, in words."""

    trials: Mapping[str, tuple[Trial, ...]]
    lacks: Mapping[str, str]


def draw(
    takes: Iterable[SpokenTake], kept: Iterable[KeptPair], split: str, per_emotion: int
) -> Drawn:
    """Both lists, as many trials an emotion as the scarcest of its emotions has, and at most
    `per_emotion`.

    An emotion without any trial is left out and named. Which take is drawn follows from a hash of
    its name: not from order, seeds or machines.
    """
    chosen = [take for take in takes if take.split == split and take.clip.has_picture]
    targets = _targets(kept)
    trials, lacks = {}, {}
    for name in PROTOCOLS:
        by_emotion = {
            emotion: _trials(name, emotion, chosen, targets, per_emotion) for emotion in EMOTIONS
        }
        found = {emotion: some for emotion, some in by_emotion.items() if some}
        count = min(map(len, found.values()), default=0)
        trials[name] = tuple(trial for some in found.values() for trial in some[:count])
        lost = [emotion for emotion in EMOTIONS if emotion not in found]
        if lost:
            speakers = len({take.clip.speaker for take in chosen})
            lacks[name] = f"{split} has {speakers} speakers and no trial of {', '.join(lost)}"
    return Drawn(trials, lacks)


def _targets(kept: Iterable[KeptPair]) -> Targets:
    """Of a take and an emotion, the first take that says the same in it."""
    found: dict[tuple[str, str], str] = {}
    for one in sorted(kept, key=lambda k: k.pair.pair_id):
        pair = one.pair
        found.setdefault((pair.take_a, pair.emotion_b), pair.take_b)
        found.setdefault((pair.take_b, pair.emotion_a), pair.take_a)
    return found


def _trials(
    protocol: str, emotion: str, takes: Sequence[SpokenTake], targets: Targets, most: int
) -> list[Trial]:
    """The trials of one emotion: speakers take turns as sources, each with its own references."""
    references = [take for take in takes if take.clip.emotion == emotion]
    sources = [
        take
        for take in takes
        if take.clip.emotion != emotion
        and (emotion == _NEUTRAL or take.clip.emotion == _NEUTRAL)
        and take.clip.emotion in EMOTIONS
    ]
    place = _placer(f"{protocol}:{emotion}")
    found: list[Trial] = []
    for source in _in_turns(sources, place):
        reference = _reference(protocol, source, references, place)
        if reference is not None:
            found.append(_trial(protocol, emotion, source, reference, targets))
        if len(found) == most:
            break
    return found


def _placer(salt: str) -> Callable[[str], str]:
    return lambda name: hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def _in_turns(sources: Sequence[SpokenTake], place: Callable[[str], str]) -> list[SpokenTake]:
    """One of each speaker, then a second of each: speakers and their takes in the hash's order."""
    by_speaker: dict[str, list[SpokenTake]] = defaultdict(list)
    for take in sorted(sources, key=lambda take: place(take.clip.take_id)):
        by_speaker[take.clip.speaker].append(take)
    queues = [by_speaker[speaker] for speaker in sorted(by_speaker, key=place)]
    return [take for turn in zip_longest(*queues) for take in turn if take is not None]


def _reference(
    protocol: str,
    source: SpokenTake,
    references: Sequence[SpokenTake],
    place: Callable[[str], str],
) -> SpokenTake | None:
    """The reference of a source, of its view: see the module for what it says."""
    same_speaker = protocol == "intra_id"
    fitting = [
        take
        for take in references
        if (take.clip.speaker == source.clip.speaker) == same_speaker
        and take.clip.view == source.clip.view
        and not (same_speaker and _same(source, take))
    ]
    return min(
        fitting,
        key=lambda t: (_same(source, t), place(f"{source.clip.take_id}:{t.clip.take_id}")),
        default=None,
    )


def _same(source: SpokenTake, reference: SpokenTake) -> bool:
    said = source.sentence.sentence
    return said is not None and said == reference.sentence.sentence


def _trial(
    protocol: str, emotion: str, source: SpokenTake, reference: SpokenTake, targets: Targets
) -> Trial:
    a, b = source.clip, reference.clip
    return Trial(
        trial_id=f"{protocol}/{a.take_id}+{b.take_id}",
        emotion=emotion,
        source_speaker=a.speaker,
        source_take=a.take_id,
        source_emotion=a.emotion,
        first_frame=0,
        last_frame=a.n_frames - 1,
        reference_speaker=b.speaker,
        reference_take=b.take_id,
        target_take=targets.get((a.take_id, emotion), ""),
        same_sentence=_same(source, reference),
    )
