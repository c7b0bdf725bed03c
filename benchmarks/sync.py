"""Sync, speech and mouths: offsets against what is known, and frame pairs before and after.

    python benchmarks/sync.py data/demo [data/film ...]

Each FOLDER is a dataset's outputs after extract. Offsets of the demo are compared with its truth,
as made and with every offset turned to one side; those of filmed MEAD takes with an earlier
measurement, where the takes are among `EARLIER_MS`. Stages run in a copy of the folder's tables
and change nothing in it.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter

from pipeline import media, params
from pipeline.alignment.align import align, pair_frames
from pipeline.params import Params
from pipeline.records import Clip, Pair, Rejected, Sentence, SyncSession, SyncTake
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages.align import stage as align_stage
from pipeline.stages.align.mouth_agreement import mouth_agreement
from pipeline.stages.align.mouth_check import mouth_gap
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings
from pipeline.stages.align.worker import synced_track
from pipeline.stages.report.accuracy import pair_error
from pipeline.stages.report.truth import Truth, read_truth
from pipeline.stages.sync import stage as sync_stage

EARLIER_MS = {
    "W015_neutral_1": {"035": 0, "037": 40, "038": 40, "039": 20, "040": 60},
    "W015_sad_3": {"028": -120, "030": -100},
    "M012_neutral_1": {"035": -180, "037": -140, "040": -60},
    "M012_angry_3": {"029": 60},
    "M012_disgusted_3": {"028": -80},
}
"""Offsets of filmed takes, measured before this stage existed, in steps of 20 ms; relative."""
SHIFTS_MS = (0, 40, 80, 120, 200)
CLASSES = {"both speak": 2, "one silent": 1, "both silent": 0}


class Data:
    """A dataset whose tables may change; its extracted files stay where they are."""

    def __init__(self, folder: Path, data: Path, given: Params) -> None:
        self.folder = folder
        self.run = Run(folder.name, given, data, Options("processes", 2))
        self.recordings = Recordings(self._read, given.align.features)

    @cached_property
    def clips(self) -> list[Clip]:
        """All clips as extract left them."""
        return read_rows(self.folder / "extract" / "tables" / "clips.parquet", Clip)

    def _read(self, clip: Clip) -> np.ndarray:
        path = f"{clip.speaker}/{clip.take_id}"
        return media.read_flac(self.run.items("extract").path(path, ".audio.flac"))

    def measured(self, clips: list[Clip], **section: object) -> list[str]:
        """Run sync over some clips; returns its notes."""
        write_rows(self.run.table("extract", "clips"), clips, Clip)
        changed = self.run.params.sync.model_copy(update=section)
        run = replace(self.run, params=self.run.params.model_copy(update={"sync": changed}))
        return list(sync_stage.run(run).notes)

    def paired(self, **mouths: object) -> tuple[list[Pair], list[Rejected]]:
        """Run align after `measured`."""
        section = self.run.params.align
        section = section.model_copy(update={"mouths": section.mouths.model_copy(update=mouths)})
        run = replace(self.run, params=self.run.params.model_copy(update={"align": section}))
        align_stage.run(run)
        return (
            read_rows(run.table("align", "pairs"), Pair),
            read_rows(run.table("align", "rejected"), Rejected),
        )

    @property
    def takes(self) -> dict[str, SyncTake]:
        """The offsets by take id."""
        rows = read_rows(self.run.table("sync", "sync_takes"), SyncTake)
        return {row.take_id: row for row in rows}

    @property
    def sessions(self) -> list[SyncSession]:
        """The sessions' offsets."""
        return read_rows(self.run.table("sync", "sync_sessions"), SyncSession)

    def track(self, clip: Clip) -> Track:
        """The frames of a clip at the moments that they show."""
        extracted = ItemStore(self.run.items("extract").folder)
        return synced_track(extracted, 25.0, self.takes, clip)


@contextmanager
def _data(folder: Path) -> Iterator[Data]:
    given = params.load(Path("params.yaml"))
    name = folder.name
    if name not in given.datasets:
        given = given.model_copy(
            update={"datasets": {**given.datasets, name: given.datasets["demo"]}}
        )
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        (data / name / "extract" / "tables").mkdir(parents=True)
        shutil.copytree(folder / "extract" / "tables", data / name / "extract" / "tables",
                        dirs_exist_ok=True)  # fmt: skip
        (data / name / "extract" / "items").symlink_to((folder / "extract" / "items").resolve())
        yield Data(folder, data, given)


def _errors(data: Data, late_ms: Mapping[str, float]) -> np.ndarray:
    """What is left of every session's offset (n,), in ms."""
    left: dict[str, list[float]] = {}
    for take, row in data.takes.items():
        if take in late_ms:
            left.setdefault(row.session, []).append(row.applied_ms - late_ms[take])
    return np.array([np.mean(values) for _, values in sorted(left.items())])


def offsets_of_demo(data: Data, truth: Truth) -> None:
    """Errors of sessions and takes, as made and with all offsets on one side."""
    made = {take: t.image_late_s * 1000 for take, t in truth.takes.items()}
    for side, sign in (("as made", 0), ("all late", 1), ("all early", -1)):
        late = {take: sign * abs(ms) if sign else ms for take, ms in made.items()}
        clips = [_moved(clip, late[clip.take_id] - made[clip.take_id]) if clip.take_id in late
                 else clip for clip in data.clips]  # fmt: skip
        data.measured(clips)
        errors = np.abs(_errors(data, late))
        rows = data.takes
        still = [abs(rows[take].applied_ms) for take, ms in late.items() if ms == 0]
        own = [
            abs(rows[t].offset_ms - ms) for t, ms in late.items() if rows[t].offset_ms is not None
        ]
        n_off = len({rows[take].session for take, ms in late.items() if ms})
        print(
            f"  {side:10} sessions {len(errors)}, off {n_off}: "
            f"error median {np.median(errors):.0f} ms, p95 {np.percentile(errors, 95):.0f}, "
            f"largest {errors.max():.0f}; in sync moved at most {max(still):.0f} ms; "
            f"single takes median {np.median(own):.0f}, p95 {np.percentile(own, 95):.0f} ms"
        )


def _moved(clip: Clip, later_ms: float) -> Clip:
    """The clip with its image later against its audio."""
    by = later_ms / 1000
    return replace(clip, audio_start_s=clip.audio_start_s - by, audio_end_s=clip.audio_end_s - by)


def offsets_of_film(data: Data) -> None:
    """Sessions and takes next to the earlier measurement; both about a common mean."""
    by_session: dict[str, dict[str, float]] = {}
    for row in data.takes.values():
        if row.offset_ms is not None:
            take = row.take_id.rsplit("_", 1)[1]
            by_session.setdefault(row.session, {})[take] = row.offset_ms
    pairs = [
        (by_session[s][t], ms)
        for s, takes in EARLIER_MS.items() for t, ms in takes.items()
        if t in by_session.get(s, {})
    ]  # fmt: skip
    if not pairs:
        return
    base = float(np.median([ours - earlier for ours, earlier in pairs]))
    print(
        f"  {'session':18} {'offset':>7} {'error':>6} {'strength':>8} {'earlier':>8} {'apart':>6}"
        "  takes: ours minus earlier"
    )
    for row in data.sessions:
        earlier = EARLIER_MS.get(row.session, {})
        known = float(np.mean(list(earlier.values()))) if earlier else np.nan
        own = by_session.get(row.session, {})
        apart = [f"{own[t] - base - ms:+.0f}" for t, ms in earlier.items() if t in own]
        print(
            f"  {row.session:18} {row.offset_ms:+7.0f} {row.error_ms:6.0f} {row.strength:8.2f} "
            f"{known:+8.0f} {row.offset_ms - base - known:+6.0f}  {' '.join(apart)}   {row.status}"
        )
    takes = np.abs([ours - base - earlier for ours, earlier in pairs])
    print(
        f"  single takes: {(takes <= 40).sum()} of {len(takes)} within 40 ms, "
        f"largest {takes.max():.0f}"
    )


def pairs_against_truth(data: Data, truth: Truth) -> None:
    """Errors of frame pairs in the time that the images show, with sync and without."""
    by_id = {clip.take_id: clip for clip in data.clips}
    for mode in ("off", "report", "apply"):
        data.measured(data.clips, mode=mode)
        pairs, _ = data.paired()
        errors, claimed = [], []
        for pair in pairs:
            a, b = truth.takes[pair.take_a], truth.takes[pair.take_b]
            if a.phonemes != b.phonemes:
                continue
            instants = []
            for take, known in ((pair.take_a, a), (pair.take_b, b)):
                clip = by_id[take]
                track = data.track(clip)
                shown = track.instants_s + track.late_s + clip.audio_start_s
                instants.append(shown - known.image_late_s)
            found = pair_error(
                (a.onsets_s, b.onsets_s), np.column_stack([pair.knots_a_s, pair.knots_b_s]),
                (instants[0], instants[1]), (pair.frame_a, pair.frame_b),
            )  # fmt: skip
            inside = np.isfinite(found.error_ms)
            errors.append(np.abs(found.error_ms[inside]))
            claimed.append(np.array(pair.error_ms)[inside])
        error, claim = np.concatenate(errors), np.concatenate(claimed)
        print(
            f"  sync.mode {mode:6} image-time error median {np.median(error):5.1f} ms, p95 "
            f"{np.percentile(error, 95):5.1f}; within 40 ms {np.mean(error <= 40):6.1%}; within "
            f"the claim {np.mean(error <= claim):6.1%} (claimed median {np.median(claim):.0f} ms); "
            f"mouth agreement median {_agreements(pairs):.2f}"
        )


def _agreements(pairs: list[Pair]) -> float:
    return float(np.median([p.mouth_agreement for p in pairs if p.mouth_agreement is not None]))


@dataclass(frozen=True)
class Mouths:
    """Frame pairs of all clip pairs: speakers who speak, openings without their slow part, raw
    difference, gap."""

    speaks: np.ndarray
    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    gap: np.ndarray


def _mouths(data: Data, pairs: list[Pair]) -> Mouths:
    by_id = {clip.take_id: clip for clip in data.clips}
    parts = []
    for pair in pairs:
        a, b = (data.track(by_id[take]) for take in (pair.take_a, pair.take_b))
        i, j = np.array(pair.frame_a), np.array(pair.frame_b)
        parts.append((
            np.array(pair.speech_a).astype(int) + np.array(pair.speech_b),
            _fast(a)[i], _fast(b)[j], b.mouth_open[j] - a.mouth_open[i],
            np.array([np.nan if g is None else g for g in pair.mouth_gap]),
        ))  # fmt: skip
    return Mouths(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _fast(track: Track) -> np.ndarray:
    size = max(round(0.6 / float(np.median(np.diff(track.instants_s)))) // 2 * 2 + 1, 3)
    return track.mouth_open - median_filter(track.mouth_open, size, mode="nearest")


def classes(data: Data) -> None:
    """Frame pairs by who speaks, before the policies and after them."""
    data.measured(data.clips)
    counts = []
    for name, policy in (
        ("all kept", {"one_silent": "keep", "both_silent": "keep", "max_gap": 0.0}),
        ("default", {}),
    ):
        found = _mouths(data, data.paired(**policy)[0])
        counts.append(len(found.speaks))
        for label, n in {**CLASSES, "all": -1}.items():
            at = (found.speaks == n) | (n < 0)
            at &= np.isfinite(found.a) & np.isfinite(found.b)
            if at.sum() < 3:
                print(f"  {name:9} {label:12} {at.sum()} frame pairs")
                continue
            r = np.corrcoef(found.a[at], found.b[at])[0, 1]
            print(
                f"  {name:9} {label:12} {at.mean():6.1%} of {len(at)}; correlation {r:.2f}; "
                f"difference above 0.1: {np.mean(np.abs(found.difference[at]) > 0.1):5.1%}, "
                f"without the slow part {np.mean(np.abs(found.a - found.b)[at] > 0.1):5.1%}"
            )
    print(f"  kept by the default policy: {counts[1] / counts[0]:.1%}")


def checks(data: Data) -> None:
    """Mouth agreement and local check of right pairs, shifted audio, silence, other sentences."""
    limits = data.run.params.align.mouths
    pairs, rejects = data.paired(one_silent="keep", both_silent="keep", max_gap=0.0)
    by_id = {clip.take_id: clip for clip in data.clips}
    said = {row.utterance_id: row.sentence
            for row in read_rows(data.run.table("align", "sentences"), Sentence)}  # fmt: skip
    print(f"  {len(pairs)} pairs, rejected: {', '.join(sorted({r.reason for r in rejects}))}")
    for pair in pairs if len(pairs) < 5 else ():
        print(f"    {pair.pair_id}: mouth agreement {pair.mouth_agreement:.2f}")
    right = [(by_id[p.take_a], by_id[p.take_b]) for p in pairs]
    for shift in SHIFTS_MS:
        _print(
            f"audio of b shifted by {shift} ms",
            [_judged(data, *two, shift) for two in right],
            limits,
        )
    silent = _mouths(data, pairs)
    quiet = silent.gap[silent.speaks == 0]
    if len(quiet):
        flagged = np.mean(quiet > limits.gap_limit)
        print(f"  {'both silent':28} gap above {limits.gap_limit}: {flagged:6.1%}, dropped "
              f"{np.mean(quiet > limits.max_gap):6.1%}")  # fmt: skip
    wrong = [
        (a, b) for a in by_id.values() for b in by_id.values()
        if a.speaker == b.speaker and a.emotion == "neutral" != b.emotion and a.view == b.view
        and said.get(a.utterance_id) != said.get(b.utterance_id)
        and 0.4 < (b.audio_end_s - b.audio_start_s) / (a.audio_end_s - a.audio_start_s) < 2.5
    ]  # fmt: skip
    _print(
        "other sentences",
        [_judged(data, a, b, 0) for a, b in wrong[:: max(len(wrong) // 150, 1)]],
        limits,
    )


def _judged(data: Data, a: Clip, b: Clip, shift_ms: float) -> tuple[float, np.ndarray]:
    """Mouth agreement and the gaps of two clips, b's image later by so much."""
    of_a, of_b = data.track(a), data.track(b)
    of_b = replace(of_b, instants_s=of_b.instants_s + shift_ms / 1000)
    found = align(data.recordings.features(a), data.recordings.features(b), data.run.params.align)
    frames = pair_frames(found, of_a.instants_s, of_b.instants_s, data.run.params.align)
    agreement = mouth_agreement(
        of_a.instants_s, of_a.mouth_open, of_b.instants_s, of_b.mouth_open, found.warp.knots_s
    )
    gap = mouth_gap(of_a, of_b, frames.frame_a, frames.frame_b)
    return np.nan if agreement is None else agreement, gap


def _print(name: str, judged: list[tuple[float, np.ndarray]], limits: params.AlignMouths) -> None:
    agreement = np.array([r for r, _ in judged])
    gap = np.concatenate([g for _, g in judged])
    gap = gap[np.isfinite(gap)]
    print(
        f"  {name:28} mouth agreement median {np.nanmedian(agreement):5.2f}, p5 "
        f"{np.nanpercentile(agreement, 5):5.2f}, p95 {np.nanpercentile(agreement, 95):5.2f}, below "
        f".35 {np.nanmean(agreement < 0.35):4.0%} of {len(agreement)}; gap above "
        f"{limits.gap_limit}: {np.mean(gap > limits.gap_limit):6.1%}, dropped "
        f"{np.mean(gap > limits.max_gap):6.1%}"
    )


def nothing(data: Data) -> None:
    """What the summary says of datasets that cannot be measured."""
    deaf = [
        replace(c, n_frames=0, n_found=0, frames_sha256=None, fps=None, crop_px=None)
        for c in data.clips
    ]
    first = {clip.speaker: clip for clip in reversed(data.clips)}
    for name, clips, section in (
        ("audio only", deaf, {}),
        ("one take per speaker", list(first.values()), {}),
        ("the same, limits lowered", list(first.values()), {"min_takes": 2, "min_audio_s": 1.0}),
        ("five takes", data.clips[:5], {}),
        ("too little audio", data.clips[:9], {"min_audio_s": 60.0}),
    ):
        said = data.measured(clips, **section)
        applied = {row.applied_ms for row in data.takes.values()}
        print(f"  {name}: applied {applied}; {'; '.join(said)}")


def main() -> None:
    """Print the figures of every folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args().folders:
        print(folder)
        with _data(folder) as data:
            corpus = folder / "corpus"
            if (corpus / "truth").is_dir():
                truth = read_truth(corpus, data.clips)
                print(" offsets of sessions")
                offsets_of_demo(data, truth)
                print(" frame pairs against the truth")
                pairs_against_truth(data, truth)
            print(" summary:", "; ".join(data.measured(data.clips)))
            offsets_of_film(data)
            print(" frame pairs by class")
            classes(data)
            print(" checks")
            checks(data)
            print(" nothing to measure")
            nothing(data)


if __name__ == "__main__":
    main()
