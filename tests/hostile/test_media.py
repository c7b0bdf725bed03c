"""Damaged media, some of each kind; `python -m tests.hostile.media` has thousands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import Reject
from pipeline.runtime.executor import Limits
from pipeline.runtime.run import Options
from pipeline.stages.extract import stage as extract
from tests.builders import isolated_cases
from tests.builders.file_contents import contents
from tests.builders.media_files import write_media
from tests.builders.seed_takes import make_seeds, voice
from tests.builders.takes import make_run, manifest, run, talking
from tests.hostile import decoders, long, oddities
from tests.hostile.mutate import MUTATORS
from tests.hostile.takes import REAL, Bench, Given, Spoilt, make_bench, try_media

QUICK = ("h264.mp4", "mpeg4.avi", "h264.mkv", "audio.wav", "audio.m4a", "float.wav")
NEEDED = (*QUICK, "h264.ts", "mjpeg.avi", "soundless.mp4")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Valid takes."""
    return make_seeds(tmp_path_factory.mktemp("hostile") / "seeds", NEEDED)


@pytest.fixture(scope="module")
def bench(seeds: list[Path]) -> Bench:
    """What a worker keeps."""
    return make_bench(seeds[0].parent)


def end_of(bench: Bench, case: Spoilt | Given) -> str:
    """The word for what became of a case."""
    try:
        return try_media(bench, case)
    except Reject as reject:
        return reject.reason


@pytest.mark.slow
@pytest.mark.parametrize("mutator", MUTATORS)
def test_mutants_end_in_output_or_a_reason(mutator: str, seeds: list[Path], bench: Bench) -> None:
    before = isolated_cases.hashes(seeds[0].parent)
    for k, path in enumerate(p for p in seeds if p.name in QUICK):
        end = end_of(bench, Spoilt(str(path), mutator, REAL * k + 1, path.suffix))
        assert end not in isolated_cases.BAD
    assert isolated_cases.hashes(seeds[0].parent) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", oddities.ODD)
def test_made_by_hand(name: str, seeds: list[Path], bench: Bench, tmp_path: Path) -> None:
    ((path, allowed),) = oddities.make(
        tmp_path, seeds[0].parent, {name: oddities.ODD[name]}
    ).items()
    assert end_of(bench, Given(path)) in allowed


@pytest.mark.parametrize("name", [n for n in long.FILES if n.startswith(("claims", "far"))])
def test_a_claim_of_two_hours(name: str, seeds: list[Path], bench: Bench, tmp_path: Path) -> None:
    made = oddities.make(tmp_path, seeds[0].parent, {name: long.FILES[name]})
    ((path, allowed),) = made.items()
    assert end_of(bench, Given(path)).split(" (")[0] in allowed


@pytest.mark.slow
def test_a_decoder_that_crashes_hangs_or_swells_costs_its_take_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "crashes", "hangs", "swells", "z"]
    for name in names:
        write_media(tmp_path / f"{name}.wav", audio=voice(0.6), audio_codec="pcm_s16le")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    table = manifest(tmp_path, *(f"{name}.wav" for name in names))
    plain = make_run(table, tmp_path / "plain")
    run(plain)
    monkeypatch.setattr(extract, "extract_take", decoders.extract_take)
    limits = Limits(item_s=30, worker_gb=1.5)
    made = replace(make_run(table, tmp_path / "data"), options=Options(workers=2, limits=limits))
    summary, clips, rejects = run(made)
    assert [clip.take for clip in clips] == ["a", "z"]
    assert {row.item.rsplit("_", 1)[1]: row.reason for row in rejects} == {
        "crashes": "worker_died", "hangs": "timed_out", "swells": "too_much_memory",
    }  # fmt: skip
    assert summary.planned == 5
    monkeypatch.undo()
    made = replace(made, options=Options(workers=2, retry_failed=True))
    assert run(made)[0].kept == 5
    assert contents(made) == contents(plain)
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.wav")} == before


def test_a_run_over_mutants_counts_them_all(seeds: list[Path], tmp_path: Path) -> None:
    from tests.hostile.mutate import mutant

    raw = next(p for p in seeds if p.name == "audio.wav").read_bytes()
    names = []
    for mutator in MUTATORS:
        names.append(f"{mutator}.wav")
        (tmp_path / names[-1]).write_bytes(mutant(mutator, 3, raw))
    write_media(tmp_path / "good.mp4", talking(), audio=voice(0.5))
    made = make_run(manifest(tmp_path, "good.mp4", *names), tmp_path / "data")
    summary, clips, rejects = run(made)
    assert summary.planned == len(MUTATORS) + 1 == len(clips) + len(rejects)
    assert "good" in [clip.take for clip in clips]
