"""What the soak measures: slopes of memory, copies of the corpus. The soak itself is a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.soak import _MB, Life, lines, times_over


def _life(mb_per_min: float, handles: int) -> Life:
    seconds = [2.0 * k for k in range(120)]
    rss = [int((300 + 200 * (t < 30) + mb_per_min * t / 60) * _MB) for t in seconds]
    return Life("0 extract", seconds, rss, [handles] * 120)


@pytest.mark.parametrize("grows", [0.0, 4.0])
def test_a_leak_is_seen_and_warming_up_is_none(grows: float) -> None:
    assert _life(grows, 9).slope_mb_per_min() == pytest.approx(grows, abs=0.01)


def test_the_line_names_the_worst_of_a_stage() -> None:
    (line,) = lines({1: _life(0, 9), 2: _life(3, 12)})
    assert "2 processes" in line
    assert "+3.0 MB/min at most, files open 12 at most, +0 from" in line


def test_the_corpus_times_over_has_other_speakers(tmp_path: Path) -> None:
    for name in ("M901", "W902"):
        path = tmp_path / "demo" / "mead" / name / "video" / "1.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    assert times_over(tmp_path / "demo", tmp_path / "much", 3) == 6
    found = sorted(
        p.relative_to(tmp_path / "much").as_posix() for p in (tmp_path / "much").rglob("*.mp4")
    )
    assert found[0] == "mead/M100/video/1.mp4"
    assert len(found) == 6
    assert {p.split("/")[1] for p in found} == {"M100", "W101", "M102", "W103", "M104", "W105"}
