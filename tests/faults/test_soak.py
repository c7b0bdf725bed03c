"""What the soak measures: slopes of memory, copies of the corpus. The soak itself is a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.process_growth import MB, RUN, ProcessHistory, Sample, grew, lines
from tests.faults.soak import times_over


def _history(mb_per_min: float, handles: int) -> ProcessHistory:
    """Four minutes, two passes of two stages each minute."""
    history = ProcessHistory(RUN)
    for k in range(120):
        t = 2.0 * k
        rss = int((300 + 200 * (t < 30) + mb_per_min * t / 60) * MB)
        stage = "align" if t % 30 < 15 else "pose"
        history.samples.append(Sample(t, int(t // 30), stage, rss, 9 + handles * (t > 200)))
    return history


@pytest.mark.parametrize("grows", [0.0, 40.0])
def test_a_leak_is_seen_and_warming_up_is_none(grows: float) -> None:
    history = _history(grows, 0)
    assert history.slope_mb_per_min() == pytest.approx(grows, abs=0.01)
    assert len(grew([history])) == (2 if grows else 0)


def test_files_left_open_are_seen() -> None:
    assert grew([_history(0, 12)]) == [
        "GREW run align: +0 MB, +12 files", "GREW run pose: +0 MB, +12 files",
    ]  # fmt: skip


def test_a_line_a_stage_has_all_passes() -> None:
    said = lines([_history(0, 0)])
    assert said[0] == "run     align      peak MB 500 " + " ".join(["300"] * 7) + (
        "; files open " + " ".join(["9"] * 8)
    )
    assert said[-1] == "run: 1 ran for a minute, +0.0 MB/min at most"


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
