"""Probes: what a container declares, and which takes stand for the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import Reject
from pipeline.media.probe import probe
from pipeline.stages.extract import stage as extract
from pipeline.tools.plan import probing
from pipeline.tools.plan.probing import probe_units
from tests.media_files import plain, tone, write_media
from tests.takes import make_run, manifest


def test_a_container_declares_length_frames_and_size(tmp_path: Path) -> None:
    found = probe(write_media(tmp_path / "a.mp4", plain(30), sound=tone(1.2)))
    assert (found.n_frames, found.width_px, found.height_px) == (30, 128, 96)
    assert found.duration_s == pytest.approx(1.2, abs=0.05)


def test_sound_alone_has_no_frames(tmp_path: Path) -> None:
    found = probe(write_media(tmp_path / "a.mp4", sound=tone(2.0)))
    assert (found.n_frames, found.width_px) == (0, 0)
    assert found.duration_s == pytest.approx(2.0, abs=0.05)


def test_what_is_no_container_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind" * 50)
    with pytest.raises(Reject, match="the container cannot be opened"):
        probe(tmp_path / "a.mp4")


def test_a_sample_stands_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{k}.mp4" for k in range(6)]
    for k, name in enumerate(names):
        write_media(tmp_path / name, plain(20 + k), sound=tone(0.8))
    (tmp_path / "bad.mp4").write_bytes(b"x" * 100)
    made = make_run(manifest(tmp_path, *names, "bad.mp4"), tmp_path / "data")
    units = extract.plan(made).units
    found = probe_units(made, units)
    assert (found.n_probed, found.n_unreadable, len(found.clips)) == (7, 1, 6)
    assert sum(clip.n_frames for clip in found.clips.values()) == sum(range(20, 26))
    total = sum((tmp_path / name).stat().st_size for name in [*names, "bad.mp4"])
    assert found.source_bytes == total
    monkeypatch.setattr(probing, "MOST", 3)
    sampled = probe_units(made, units)
    assert sampled.n_probed == 3
    assert len(sampled.clips) + sampled.n_unreadable == 7
    assert all(20 <= clip.n_frames <= 25 for clip in sampled.clips.values())
