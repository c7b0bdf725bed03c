"""Media: presentation times, start of audio, rotated and tagged video, damaged files."""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.errors import Reject
from pipeline.media.container import open_container
from tests.builders.media_files import AUDIO_HZ, click, plain, tone, write_media

LIMITS = media.Limits(max_frame_px=1 << 22, max_duration_s=60.0)


def read(path: Path, limits: media.Limits = LIMITS) -> tuple[list[media.Frame], media.Video]:
    with media.open_video(path, limits) as video:
        assert video is not None
        return list(video.frames()), video


def images(path: Path, box: media.Box | None = None, px: int = 0) -> list[np.ndarray]:
    with media.open_video(path, LIMITS) as video:
        assert video is not None
        return [
            f.cut(
                box or media.Box(0, 0, f.width_px, f.height_px), px or f.width_px, px or f.height_px
            )
            for f in video.frames()
        ]


def test_times_are_those_of_presentation(tmp_path: Path) -> None:
    times_ms = [0, 40, 80, 200, 240, 300]
    frames, video = read(write_media(tmp_path / "a.mp4", plain(6), times_ms=times_ms))
    assert [f.time_s for f in frames] == pytest.approx([t / 1000 for t in times_ms], abs=1e-6)
    assert [f.duration_s for f in frames[:5]] == pytest.approx([0.04, 0.04, 0.12, 0.04, 0.06])
    assert 0.01 <= frames[5].duration_s <= 0.16
    assert [f.index for f in frames] == list(range(6))
    assert {"variable_rate", "pts_gap"} <= media.video_findings(video)


def test_a_cut_much_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", plain(1))
    with pytest.raises(Reject, match="a crop of 16384 x 16384 px") as refused:
        images(path, media.Box(0, 0, 16384, 16384), 64)
    assert refused.value.reason == "too_large"


def test_a_constant_rate_has_no_findings(tmp_path: Path) -> None:
    frames, video = read(write_media(tmp_path / "a.mp4", plain(25)))
    assert media.video_findings(video) == set()
    assert video.end_s == pytest.approx(1.0, abs=1e-3)
    assert len(frames) == 25


def test_frames_without_timestamps_follow_the_stream_s_rate(tmp_path: Path) -> None:
    write_media(tmp_path / "a.h264", plain(10), fps=25)
    frames, _ = read(tmp_path / "a.h264")
    steps_s = np.diff([f.time_s for f in frames])
    assert len(frames) == 10
    assert steps_s == pytest.approx(np.full(9, steps_s[0]))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_late_audio_keeps_its_start(tmp_path: Path, name: str) -> None:
    path = write_media(tmp_path / name, plain(50), audio=click(1.5, 0.25), audio_start_s=0.5)
    audio = media.decode_audio(path, 16000, 60.0)
    assert audio is not None
    loudest_s = audio.start_s + np.argmax(np.abs(audio.samples)) / 16000
    assert loudest_s == pytest.approx(0.75, abs=0.002)
    assert audio.end_s == pytest.approx(2.0, abs=0.05)
    findings = media.joint_findings((0.0, 2.0), (audio.start_s, audio.end_s))
    assert "audio_starts_late" in findings


def test_holes_in_the_audio_become_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=AUDIO_HZ, layout="mono")
        for start in (0, 24000, 72000):
            block = av.AudioFrame.from_ndarray(
                np.full((1, 24000), 8000, np.int16), format="s16", layout="mono"
            )
            block.sample_rate, block.time_base, block.pts = AUDIO_HZ, Fraction(1, AUDIO_HZ), start
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    audio = media.decode_audio(path, AUDIO_HZ, 60.0)
    assert audio is not None
    assert len(audio.samples) == 96000
    assert np.all(audio.samples[48100:71900] == 0)
    assert audio.samples[80000] == pytest.approx(8000 / 32768)
    assert media.audio_findings(audio) == {"audio_gap"}
    assert audio.gap_s == pytest.approx(0.5)
    joined = media.decode_audio(path, AUDIO_HZ, 60.0, fill_gaps=False)
    assert joined is not None
    assert len(joined.samples) == 72000
    assert (joined.gaps, joined.gap_s) == (1, pytest.approx(0.5))


def test_resampling_shifts_and_scales_nothing() -> None:
    got = media.resample(tone(1.0, hz=1000.0, level=0.5), AUDIO_HZ, 16000)
    want = 0.5 * np.sin(2 * np.pi * 1000.0 * np.arange(16000) / 16000)
    assert len(got) == 16000
    assert np.max(np.abs(got - want)[200:-200]) < 1e-3


def test_flac_keeps_sixteen_bits(tmp_path: Path) -> None:
    samples = tone(0.2)
    media.write_flac(tmp_path / "a.flac", samples, 16000)
    assert np.max(np.abs(media.read_flac(tmp_path / "a.flac") - samples)) < 2**-15


def test_clipped_audio_is_told(tmp_path: Path) -> None:
    loud = np.clip(tone(0.5, level=3.0), -1, 1)
    path = write_media(tmp_path / "a.wav", audio=loud, audio_codec="pcm_s16le")
    audio = media.decode_audio(path, 16000, 60.0)
    assert audio is not None
    assert media.audio_findings(audio) == {"clipped_audio"}
    assert audio.peak_db == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_turned_image_is_shown_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    coded = np.zeros((96, 128, 3), np.uint8)
    coded[:48, :64] = 255  # the coded top left corner
    path = write_media(tmp_path / "a.mp4", [coded] * 3, rotation_deg=degrees)
    shown = np.rot90(coded, turns)  # counter-clockwise, as the display matrix says
    got = images(path)[0]
    assert got.shape == shown.shape
    assert np.mean(np.abs(got.astype(int) - shown)) < 5
    frames, video = read(path)
    assert (frames[0].height_px, frames[0].width_px) == shown.shape[:2]
    assert "rotated" in media.video_findings(video)
    corner = media.Box(0, 0, 32, 32)
    assert np.array_equal(images(path, corner, 32)[0], got[:32, :32])


def test_a_cut_is_exact_in_pixel_edge_coordinates(tmp_path: Path) -> None:
    y, x = np.mgrid[:240, :320] + 0.5
    blob = 20 + 200 * np.exp(-((x - 150.3) ** 2 + (y - 121.7) ** 2) / (2 * 9.0**2))
    frame = np.repeat(blob[..., None], 3, axis=2).round().astype(np.uint8)
    path = write_media(tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt="bgr0")
    box = media.Box(60, 40, 200, 200)
    for px in (200, 128, 100, 72):
        got = images(path, box, px)[0][..., 0].astype(float) - 20
        v, u = np.mgrid[:px, :px] + 0.5
        middle = np.array([(u * got).sum(), (v * got).sum()]) / got.sum()
        assert middle * 200 / px + (60, 40) == pytest.approx([150.3, 121.7], abs=0.1)


def test_what_lies_beyond_the_border_is_black(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", [np.full((96, 128, 3), 200, np.uint8)])
    got = images(path, media.Box(-32, 48, 128, 128), 64)[0]
    assert got.shape == (64, 64, 3)
    assert got[:, :15].max() <= 1
    assert got[26:].max() <= 1
    assert np.abs(got[2:22, 18:].astype(int) - 200).max() <= 3


def test_a_cut_is_the_mean_of_what_its_pixels_cover(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:240, :320]
    ramp = (20 + rows / 2 + columns / 4).astype(np.uint8)
    stripes = np.where(columns % 4 < 2, 0, 100).astype(np.uint8)
    frame = np.stack([ramp, ramp, ramp], axis=2) // 2 + stripes[..., None] // 2 + 16
    path = write_media(tmp_path / "a.mkv", [frame], codec="ffv1", pix_fmt="yuv420p")
    got = images(path, media.Box(40, 20, 200, 200), 50)[0].astype(float)
    want = frame[20:220, 40:240].astype(float).reshape(50, 4, 50, 4, 3).mean(axis=(1, 3))
    assert np.abs(got - want).max() <= 2.5
    assert abs((got - want).mean()) < 0.5


@pytest.mark.parametrize("size", [50, 51, 130])
def test_sides_of_any_number_of_pixels_show_the_same(tmp_path: Path, size: int) -> None:
    path = write_media(
        tmp_path / "a.mkv", [np.full((160, 200, 3), (180, 90, 40), np.uint8)] * 2, codec="ffv1"
    )
    got = images(path, media.Box(8, 8, 144, 144), size)[0]
    assert got.shape == (size, size, 3)
    assert np.abs(got.astype(int) - (180, 90, 40)).max() <= 4


def test_audio_opened_without_its_images_is_the_same(tmp_path: Path) -> None:
    frames = [np.full((96, 128, 3), 10 * k, np.uint8) for k in range(12)]
    path = write_media(tmp_path / "a.mp4", frames, audio=tone(0.5))
    audio = media.decode_audio(path, 16000, 60.0)
    with open_container(path) as container:
        plain = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert audio is not None
    assert audio.peak == pytest.approx(float(np.abs(plain).max()), abs=1e-3)
    assert audio.start_s == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p10le", "gray"])
def test_every_pixel_format_gives_the_same_colours(tmp_path: Path, pix_fmt: str) -> None:
    colour = (120, 120, 120) if pix_fmt == "gray" else (200, 60, 30)
    frame = np.full((64, 64, 3), colour, np.uint8)
    codec = "mjpeg" if pix_fmt == "yuvj420p" else "ffv1"
    path = write_media(tmp_path / "a.mkv", [frame] * 2, codec=codec, pix_fmt=pix_fmt)
    assert images(path)[0][32, 32] == pytest.approx(colour, abs=4)


def test_damage_becomes_a_reject_that_names_no_path(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    for name in ("text.mp4",):
        with pytest.raises(Reject, match="unreadable: the container cannot be opened") as caught:
            read(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)
        with pytest.raises(Reject, match="unreadable"):
            media.decode_audio(tmp_path / name, 16000, 60.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_file_cut_short_is_truncated(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    whole = write_media(
        tmp_path / f"whole_{name}", noise, audio=tone(1.6), options={"movflags": "faststart"}
    )
    content = whole.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    assert len(read(whole)[0]) == 40
    with pytest.raises(Reject, match=r"truncated: \d+ frames up to"):
        read(tmp_path / name)


def test_beyond_the_limits_is_too_large(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", plain(30), audio=tone(1.2))
    with pytest.raises(Reject, match="too_large: a frame of 128 x 96"):
        read(path, media.Limits(1000, 60.0))
    with pytest.raises(Reject, match=r"too_large: .* at most 1 s"):
        read(path, media.Limits(1 << 22, 1.0))
    with pytest.raises(Reject, match="too_large: audio longer than 1 s"):
        media.decode_audio(path, 16000, 1.0)


def test_streams_that_are_not_there(tmp_path: Path) -> None:
    silent = write_media(tmp_path / "a.mp4", plain(10))
    assert media.decode_audio(silent, 16000, 60.0) is None
    audio = write_media(tmp_path / "a.m4a", audio=tone(0.5))
    with media.open_video(audio, LIMITS) as video:
        assert video is None
    with pytest.raises(Reject, match="no_audio"):
        media.read_timeline(silent)


def test_the_timeline_of_a_file_has_the_middles_of_its_frames(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", plain(5), audio=tone(0.5))
    audio, frames_s = media.read_timeline(path)
    assert frames_s == pytest.approx([0.02, 0.06, 0.1, 0.14, 0.18], abs=1e-6)
    assert audio.end_s == pytest.approx(0.5, abs=0.03)


def opener(path: Path) -> media.OpenSource:
    return lambda: nullcontext(path)


def test_the_other_audio_serves_where_the_first_is_silent(tmp_path: Path) -> None:
    silent = opener(write_media(tmp_path / "a.mp4", plain(10), audio=0 * tone(0.5)))
    loud = opener(write_media(tmp_path / "a.m4a", audio=tone(0.5)))
    none = opener(write_media(tmp_path / "b.mp4", plain(10)))
    both = [("container", silent), ("file", loud)]
    chosen = media.choose_audio(both, 16000, 60.0, -60.0)
    assert (chosen.used.name, chosen.is_first, chosen.other) == ("file", False, None)
    chosen = media.choose_audio(both[::-1], 16000, 60.0, -60.0)
    assert (chosen.used.name, chosen.is_first) == ("file", True)
    assert chosen.other_fault is not None
    assert chosen.other_fault.reason == "silent"
    with pytest.raises(Reject, match="silent: the audio of the container peaks at -inf dB"):
        media.choose_audio([("container", silent)], 16000, 60.0, -60.0)
    with pytest.raises(Reject, match="no_audio"):
        media.choose_audio([("container", none)], 16000, 60.0, -60.0)


def test_a_stream_of_bytes_reads_as_its_file(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", plain(10), audio=tone(0.4))
    with path.open("rb") as stream:
        one = media.decode_audio(stream, 16000, 60.0)
        frames, _ = read(stream)  # type: ignore[arg-type]
    other = media.decode_audio(path, 16000, 60.0)
    assert one is not None
    assert other is not None
    assert np.array_equal(one.samples, other.samples)
    assert len(frames) == 10


def test_jpeg_keeps_the_image() -> None:
    y, x = np.mgrid[:64, :64]
    rgb = np.stack([2 * x, 2 * y, x + y], axis=2).astype(np.uint8)
    back = media.decode_jpeg(media.encode_jpeg(rgb, 95))
    assert np.mean(np.abs(back.astype(int) - rgb)) < 2
    with pytest.raises(ValueError, match="not a JPEG"):
        media.decode_jpeg(b"nothing")
