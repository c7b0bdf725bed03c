"""Takes in the layouts of others: the tree of frames and the clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from pipeline.errors import PipelineError
from pipeline.records import Clip
from pipeline.runtime.run import Run
from pipeline.tools.export.take_formats import (
    FramedTake,
    choose,
    frames_at_rate,
    names,
    write_clips,
    write_tree,
)
from tests.builders.dataset import make_inputs, make_run
from tests.builders.pair_lists import clip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("data"))
    make_inputs(run)
    return run


@pytest.fixture
def takes(made: Run) -> list[FramedTake]:
    clips = made.need("extract", "clips", Clip)
    return choose(clips, made.items("extract"), level=None, view=None)


@pytest.mark.slow
def test_tree_counts_frames_from_take_to_take(takes: list[FramedTake], tmp_path: Path) -> None:
    written = write_tree(tmp_path, takes)
    assert (written.takes, written.frames) == (6, 6 * 14)
    lines = (tmp_path / "S1" / "videos" / "_frame_info.txt").read_text().splitlines()
    assert lines == ["angry_gry_0 14", "happy_ppy_0 14", "neutral_ral_0 14"]
    images = sorted((tmp_path / "S1" / "images").rglob("*.png"))
    assert [p.relative_to(tmp_path / "S1" / "images").as_posix() for p in images] == [
        f"000000/{k:06d}.png" for k in range(42)
    ]
    assert cv2.imread(str(images[0])).shape == (256, 256, 3)


@pytest.mark.slow
def test_frame_of_the_tree_is_that_of_the_take(takes: list[FramedTake], tmp_path: Path) -> None:
    write_tree(tmp_path, takes)
    (wanted,) = takes[1].images([5])  # happy comes second: its frame 5 is number 14 + 5
    found = cv2.imread(str(tmp_path / "S1" / "images" / "000000" / "000019.png"))
    np.testing.assert_array_equal(found[:, :, ::-1], wanted)


@pytest.mark.slow
def test_fifty_frames_a_part(takes: list[FramedTake], tmp_path: Path) -> None:
    write_tree(tmp_path, [takes[0]] * 4)
    parts = sorted((tmp_path / "S1" / "images").iterdir())
    assert [(p.name, len(list(p.iterdir()))) for p in parts] == [("000000", 50), ("000001", 6)]


def test_takes_of_one_name_are_numbered() -> None:
    def footage(level: int) -> FramedTake:
        return FramedTake(clip("sad", "003", level), Path(), Path())

    assert names([footage(1), footage(2)]) == ["sad_003_0", "sad_003_1"]


@pytest.mark.slow
def test_clips_are_at_25_frames_a_second_with_their_audio(
    takes: list[FramedTake], tmp_path: Path
) -> None:
    written = write_clips(tmp_path, takes[:1])
    assert written.frames == 14
    with av.open(str(tmp_path / "vid" / "S1_ang_1_gry.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.width, stream.height) == (Fraction(25), 256, 256)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 14
    wanted = list(takes[0].images(range(14)))
    for k in (0, 13):
        assert np.abs(frames[k].astype(float) - wanted[k]).mean() < 12  # colour at half resolution
    samples, rate = soundfile.read(tmp_path / "wav" / "S1_ang_1_gry.wav", dtype="int16")
    own, _ = soundfile.read(takes[0].audio_file, dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(samples, own[: len(samples)])
    assert len(samples) == 14 * 16000 // 25


@pytest.mark.slow
def test_clips_are_the_same_bytes_each_time(takes: list[FramedTake], tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_clips(tmp_path / name, takes[:1])
    one, two = (sorted((tmp_path / name).rglob("*.*")) for name in ("one", "two"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert len(one) == 2


@pytest.mark.parametrize(
    ("fps", "n", "wanted"),
    [
        (25, 4, [0, 1, 2, 3]),
        (50, 8, [1, 3, 5, 7]),
        (30, 6, [0, 1, 3, 4, 5]),
        (12.5, 2, [0, 0, 1, 1]),
    ],
)
def test_other_rates_are_sampled_by_time(fps: float, n: int, wanted: list[int]) -> None:
    begins = 3.0 + np.arange(n) / fps
    assert frames_at_rate(begins, begins + 1 / fps) == wanted


def test_frame_that_stands_long_is_repeated() -> None:
    begins = np.array([0.0, 0.04, 0.16])
    assert frames_at_rate(begins, np.array([0.04, 0.16, 0.2])) == [0, 1, 1, 1, 2]


@pytest.mark.slow
def test_audio_that_begins_late_is_silence_before(takes: list[FramedTake], tmp_path: Path) -> None:
    from dataclasses import replace

    late = replace(takes[0], clip=replace(takes[0].clip, audio_start_s=0.1, audio_end_s=0.66))
    write_clips(tmp_path, [late])
    samples, _ = soundfile.read(tmp_path / "wav" / "S1_ang_1_gry.wav", dtype="int16")
    own, _ = soundfile.read(takes[0].audio_file, dtype="int16")
    assert not samples[:1600].any()
    np.testing.assert_array_equal(samples[1600:], own[: len(samples) - 1600])


def test_two_takes_of_one_name_are_refused(takes: list[FramedTake], tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match="two takes would be named S1_ang_1_gry; choose one --view"
    ):
        write_clips(tmp_path, [takes[0], takes[0]])


def test_nothing_to_export_is_told(made: Run) -> None:
    with pytest.raises(PipelineError, match="no take with video"):
        choose([clip("sad", "001")], made.items("extract"), level=None, view=None)
    clips = made.need("extract", "clips", Clip)
    with pytest.raises(PipelineError, match="--view top: the dataset has front"):
        choose(clips, made.items("extract"), level=None, view="top")
    some = choose(clips, made.items("extract"), level=3, view=None)
    assert {take.clip.emotion for take in some} == {"neutral"}
