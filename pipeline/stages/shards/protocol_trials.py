"""Lists of evaluation trials, drawn from the takes of one split; independent of the machine.

For the six emotions, sources are neutral; for neutral, sources are of every emotion. The papers
specify emotions, settings and measures, but neither sources nor references. A reference has a
different sentence from its source, so that a mouth copied from it is detected: always for the same
speaker, where it would be the target itself, and where possible for another speaker.
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
    """The trials of each list, and a message for each list without trials of some emotion."""

    trials: Mapping[str, tuple[Trial, ...]]
    lacks: Mapping[str, str]


def draw(
    takes: Iterable[SpokenTake], kept: Iterable[KeptPair], split: str, per_emotion: int
) -> Drawn:
    """Draw both lists, each with the same number of trials per emotion, at most `per_emotion`.

    Emotions without any trial are left out and named in `lacks`. Takes are drawn by a hash of their
    names, independent of order, seeds and machines.
    """
    chosen = [take for take in takes if take.split == split and take.clip.has_video]
    targets = _targets(kept)
    trials, lacks = {}, {}
    for name in PROTOCOLS:
        by_emotion = {
            emotion: _trials(name, emotion, chosen, targets, per_emotion) for emotion in EMOTIONS
        }
        possible = {emotion: some for emotion, some in by_emotion.items() if some}
        count = min(map(len, possible.values()), default=0)
        trials[name] = tuple(trial for some in possible.values() for trial in some[:count])
        lost = [emotion for emotion in EMOTIONS if emotion not in possible]
        if lost:
            speakers = len({take.clip.speaker for take in chosen})
            lacks[name] = f"{split} has {speakers} speakers and no trial of {', '.join(lost)}"
    return Drawn(trials, lacks)


def _targets(kept: Iterable[KeptPair]) -> Targets:
    """For each take and emotion, the first paired take of that emotion."""
    targets: dict[tuple[str, str], str] = {}
    for one in sorted(kept, key=lambda k: k.pair.pair_id):
        pair = one.pair
        targets.setdefault((pair.take_a, pair.emotion_b), pair.take_b)
        targets.setdefault((pair.take_b, pair.emotion_a), pair.take_a)
    return targets


def _trials(
    protocol: str, emotion: str, takes: Sequence[SpokenTake], targets: Targets, most: int
) -> list[Trial]:
    """The trials of one emotion; speakers alternate as sources."""
    references = [take for take in takes if take.clip.emotion == emotion]
    sources = [
        take
        for take in takes
        if take.clip.emotion != emotion
        and (emotion == _NEUTRAL or take.clip.emotion == _NEUTRAL)
        and take.clip.emotion in EMOTIONS
    ]
    place = _placer(f"{protocol}:{emotion}")
    trials: list[Trial] = []
    for source in _in_turns(sources, place):
        reference = _reference(protocol, source, references, place)
        if reference is not None:
            trials.append(_trial(protocol, emotion, source, reference, targets))
        if len(trials) == most:
            break
    return trials


def _placer(salt: str) -> Callable[[str], str]:
    return lambda name: hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def _in_turns(sources: Sequence[SpokenTake], place: Callable[[str], str]) -> list[SpokenTake]:
    """One take of each speaker, then a second of each; speakers and takes in hash order."""
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
    """The reference of a source, of the same view; see the module for its sentence."""
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
    sentence = source.sentence.sentence
    return sentence is not None and sentence == reference.sentence.sentence


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
