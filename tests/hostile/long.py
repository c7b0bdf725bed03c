"""Takes of two hours, and such as claim it: `python -m tests.hostile.long` (some minutes).

Each goes through extract's own function (a real face mesh looks at every image) and through
`align-pair` beside a short take; some, as two takes of one sentence, through the stages `extract`
and `align`. Printed are the end, the seconds and the memory above the process's own of each.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from pipeline import params
from pipeline.records import Pair, Rejected
from pipeline.runtime.tables import read_rows
from pipeline.stages.align import stage as align
from pipeline.stages.extract import stage as extract
from pipeline.tools.align_pair import align_files
from tests.builders import isolated_cases
from tests.builders.media_files import write_media
from tests.builders.seed_takes import ffmpeg, make_seeds, voice
from tests.builders.takes import make_run, talking
from tests.hostile import oddities
from tests.hostile.oddities import Maker
from tests.hostile.takes import Bench, Given, make_bench, try_media

LIMIT_S = 1800.0
LIMIT_MB = 2048.0
HOURS_2_S = 7190


class Long(NamedTuple):
    """A case: a file, and what it goes through: extract, align-pair or align."""

    path: str
    way: str


def _claiming(suffix: str, marks: tuple[bytes, ...], field: str) -> Maker:
    """Half a second that says of itself, at every mark, that it lasts 2 h."""

    def make(path: Path, seeds: Path) -> None:
        raw = bytearray((seeds / f"h264{suffix}").read_bytes())
        for mark in marks:
            at = raw.find(mark)
            while at >= 0:
                _claim(raw, at, field)
                at = raw.find(mark, at + 1)
        path.write_bytes(raw)

    return make


def _claim(raw: bytearray, at: int, field: str) -> None:
    """Write 2 h where a mark's head keeps the duration."""
    if field == "mp4":  # mvhd, mdhd: version, flags, two dates, time scale, duration
        (scale,) = struct.unpack_from(">I", raw, at + 16)
        struct.pack_into(">I", raw, at + 20, min(HOURS_2_S * scale, 0xFFFFFFFF))
    else:  # Matroska: the size of a float, then the float, in milliseconds
        kind = ">d" if raw[at + 2] == 0x88 else ">f"
        struct.pack_into(kind, raw, at + 3, HOURS_2_S * 1000.0)


def _claiming_wav(path: Path, seeds: Path) -> None:
    raw = bytearray((seeds / "audio.wav").read_bytes())
    (rate,) = struct.unpack_from("<I", raw, 28)
    struct.pack_into("<I", raw, 4, HOURS_2_S * rate + 36)
    struct.pack_into("<I", raw, raw.index(b"data") + 4, HOURS_2_S * rate)
    path.write_bytes(raw)


def _far(path: Path, seeds: Path) -> None:
    """Frames of which the last is shown 2 h after the others."""
    times = [*range(0, 400, 40), HOURS_2_S * 1000]
    write_media(path, talking(11), times_ms=times, audio=voice(0.5))


def _dense(path: Path, seeds: Path) -> None:
    """2 h of 655,350 samples a second that say next to nothing: 19 GB of them in a few MB."""
    block = np.full(1 << 20, 0.25, np.float32)
    with soundfile.SoundFile(path, "w", 655_350, 1, "PCM_16", format="FLAC") as stream:
        for _ in range(HOURS_2_S * 655_350 // len(block)):
            stream.write(block)


def _stereo(path: Path, seeds: Path) -> None:
    """2 h of two channels at 48 kHz, not packed: 1.4 GB."""
    ffmpeg("-f", "lavfi", "-t", str(HOURS_2_S), "-i", "sine=frequency=300:sample_rate=48000",
           "-ac", "2", "-c:a", "pcm_s16le", path)  # fmt: skip


FILES: dict[str, tuple[Maker, set[str]]] = {
    **{name: oddities.LONG[name] for name in oddities.LONG if name.startswith("hours_")},
    "hours_2_stereo.wav": (_stereo, {"output"}),
    "hours_2_dense.flac": (_dense, {"output", "unreadable"}),
    "claims_2h.mp4": (
        _claiming(".mp4", (b"mvhd", b"mdhd"), "mp4"), {"truncated", "rejected_finding", "output"},
    ),
    "claims_2h.mkv": (_claiming(".mkv", (b"\x44\x89",), "mkv"), {"truncated", "output"}),
    "claims_2h.wav": (_claiming_wav, {"truncated", "output"}),
    "far_2h.mkv": (_far, {"output", "truncated", "rejected_finding", "few_frames", "no_face"}),
}  # fmt: skip
"""Name, how it is made, and which ends are right."""
ALIGNED = ("hours_2.mp3", "hours_2.mp4", "claims_2h.wav")
"""Those that also go through the stage align, two of each."""


def try_long(bench: Bench, case: Long) -> str:
    """What became of one."""
    path = Path(case.path)
    if case.way == "extract":
        return try_media(bench, Given(case.path))
    if case.way == "align-pair":
        beside = path.parent.parent / "beside.wav"
        found = align_files(path, beside, None, params.load(None))
        return "the same" if found.same else "not the same"
    return _aligned(path)


def _aligned(path: Path) -> str:
    """Two takes of that file, and a short one, through the stages; how many pairs, why not more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(path.parent.parent / "beside.wav", folder / "short.wav")
        rows = [["path", "speaker", "emotion", "sentence"], ["short.wav", "s", "sad", "x"]]
        for emotion in ("neutral", "happy"):
            shutil.copy(path, folder / f"{emotion}{path.suffix}")
            rows.append([f"{emotion}{path.suffix}", "s", emotion, "x"])
        with (folder / "takes.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
        run = make_run(folder / "takes.csv", folder / "data")
        kept = extract.run(run).kept
        align.run(run)
        pairs = read_rows(run.table("align", "pairs"), Pair)
        rejects = read_rows(run.table("align", "rejected"), Rejected)
    reasons = ", ".join(sorted({row.reason for row in rejects})) or "none set aside"
    return f"{kept} takes, {len(pairs)} pairs, {reasons}"


def make_files(folder: Path, only: list[str]) -> dict[str, set[str]]:
    """Write them, or some by name: path -> allowed ends."""
    seeds = folder / "seeds"
    make_seeds(seeds, ("h264.mp4", "h264.mkv", "audio.wav"))
    write_media(folder / "beside.wav", audio=voice(1.5), audio_codec="pcm_s16le")
    return oddities.make(folder, seeds, {n: f for n, f in FILES.items() if not only or n in only})


def judge(result: isolated_cases.Result, allowed: set[str]) -> bool:
    """Whether an end is one of those that are right."""
    if result.end in isolated_cases.BAD:
        return False
    end = result.end.split(" (")[0]
    return result.kind != "extract" or end in allowed


def main() -> int:
    """Try them all, print a line each; 1 where anything ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "spfem-long")
    parser.add_argument("--only", nargs="*", default=[], help="files by name; else all")
    told = parser.parse_args()
    allowed = make_files(told.folder, told.only)
    before = isolated_cases.hashes(told.folder)
    cases = [(way, Long(path, way)) for path in allowed for way in ("extract", "align-pair")]
    cases += [("align", Long(p, "align")) for p in allowed if Path(p).name in ALIGNED]
    setup: Callable[[], Bench] = _Setup(told.folder / "seeds")
    bad = 0
    results = isolated_cases.try_all(cases, try_long, setup, limit_s=LIMIT_S, limit_mb=LIMIT_MB)
    for result in results:
        is_right = judge(result, allowed[result.case.path])
        bad += not is_right
        print(
            f"{'' if is_right else 'BAD '}{Path(result.case.path).name:20s} {result.kind:10s} "
            f"{result.seconds:7.1f} s {result.megabytes:6.0f} MB  {result.end}"
            + (f": {result.detail[:150]}" if result.detail else ""), flush=True,
        )  # fmt: skip
    untouched = isolated_cases.hashes(told.folder) == before
    print(f"{len(cases)} tried, {bad} ended as they must not; sources untouched: {untouched}")
    return int(bad > 0 or not untouched)


class _Setup(NamedTuple):
    """The setup of a worker."""

    seeds: Path

    def __call__(self) -> Bench:
        return make_bench(self.seeds)


if __name__ == "__main__":
    sys.exit(main())
