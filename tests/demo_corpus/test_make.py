"""Takes on disk: bytes, counts, times, defects and archives."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.demo_corpus import make
from pipeline.demo_corpus.make import DemoParams, DemoTake, finish, make_take, plan_takes
from pipeline.demo_corpus.takes import SPEAKERS
from pipeline.demo_corpus.truth import read_frames, read_takes

PARAMS = DemoParams(seed=7, frame_px=96, fps=25, crf=20, image_offset_ms=200, speakers=SPEAKERS)
WANTED = (
    "mead/M901/fear/level_3/front/004",
    "mead/M901/sad/level_3/front/002",
    "mead/M903/happy/level_3/front/001",
    "mead/M903/happy/level_3/front/002",
    "mead/M903/neutral/level_1/front/001",
    "mead/W902/happy/level_3/front/001",
    "mead/W902/happy/level_3/left_30/001",
    "mead/W902/surprised/level_3/front/004",
    "mead/W904/angry/level_3/front/002",
    "ravdess/Actor_26/01-01-03-02-01-01-26",
    "ravdess/Actor_26/01-01-07-02-02-01-26",
)


def _takes() -> list[DemoTake]:
    return [take for take in plan_takes(PARAMS) if take.id in WANTED]


def _tree(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus with every defect that shows in files."""
    root = tmp_path_factory.mktemp("demo")
    for take in _takes():
        make_take(take, root)
    finish(root, _takes())
    return root


def _open(root: Path, path: str, member: str) -> av.container.InputContainer:
    if path.endswith(".tar"):
        with tarfile.open(root / path) as tar:
            return av.open(io.BytesIO(tar.extractfile(member).read()))
    if path.endswith(".zip"):
        with zipfile.ZipFile(root / path) as archive:
            return av.open(io.BytesIO(archive.read(member)))
    return av.open(str(root / path))


def _rows(root: Path) -> dict[str, tuple[int, dict]]:
    return {row["take"]: (k, row) for k, row in enumerate(read_takes(root))}


def _audio(container: av.container.InputContainer) -> tuple[np.ndarray, float]:
    frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return samples, float(frames[0].time)


def test_a_late_image_shows_the_mouth_of_an_earlier_moment(tmp_path: Path) -> None:
    """The same take in sync and 200 ms early: five frames of 40 ms."""
    (early,) = (t for t in _takes() if t.id == "mead/M903/happy/level_3/front/001")
    curves = []
    for name, take in (("early", early), ("even", replace(early, image_late_s=0.0))):
        make_take(take, tmp_path / name)
        finish(tmp_path / name, [take])
        ((_, row),) = _rows(tmp_path / name).values()
        assert row["image_late_s"] == take.image_late_s
        curves.append(read_frames(tmp_path / name, 0).measures["mouth_open"])
    assert early.image_late_s == pytest.approx(-0.2)
    early_open, even_open = curves
    assert np.abs(early_open[:-5] - even_open[5:]).max() < 0.02
    assert np.corrcoef(early_open, even_open)[0, 1] < 0.5


@pytest.mark.slow
def test_every_take_is_in_the_truth(corpus: Path) -> None:
    assert [row["take"] for row in read_takes(corpus)] == sorted(WANTED)
    assert not (corpus / make.STAGING).exists()


def test_truth_counts_and_times_are_those_of_the_decoded_frames(corpus: Path) -> None:
    for k, row in _rows(corpus).values():
        truth = read_frames(corpus, k)
        assert len(truth.times_s) == row["n_frames"]
        if "damaged" in row["defects"]:
            continue
        with _open(corpus, row["path"], row["member"]) as container:
            frames = list(container.decode(video=0))
        assert len(frames) == row["n_frames"]
        half_s = row["fps_den"] / row["fps_num"] / 2
        middles = np.array([frame.time for frame in frames]) + half_s
        np.testing.assert_allclose(middles, truth.times_s, atol=1e-4)


@pytest.mark.slow
def test_decoded_audio_lies_on_the_timeline_of_the_truth(corpus: Path) -> None:
    for take in _takes():
        _, row = _rows(corpus)[take.id]
        if "damaged" in row["defects"]:
            continue
        places = [(row["path"], row["member"])]
        places += [(row["audio_path"], row["audio_member"])] if row["audio_path"] else []
        for path, member in places:
            with _open(corpus, path, member) as container:
                heard, start_s = _audio(container)
            assert start_s == pytest.approx(row["audio_start_s"], abs=1e-3)
            said = make._read(take).samples
            first = round(start_s * 48_000)
            late = np.concatenate([np.zeros(first), heard])[: len(said)]
            n = min(len(late), len(said))
            spectrum = np.fft.rfft(late[:n], 2 * n) * np.conj(np.fft.rfft(said[:n], 2 * n))
            likeness = np.fft.irfft(spectrum)
            lag = int(likeness.argmax())
            lag = lag - 2 * n if lag > n else lag
            assert abs(lag) / 48_000 < 0.001


def test_audio_and_images_differ_in_length(corpus: Path) -> None:
    differences = [
        row["n_frames"] * row["fps_den"] / row["fps_num"] - row["audio_end_s"]
        for _, row in _rows(corpus).values()
    ]
    assert 0 < np.abs(differences).max() < 0.15


def test_defects_are_in_the_files(corpus: Path) -> None:
    rows = {slug: row for _, row in _rows(corpus).values() for slug in row["defects"]}
    with pytest.raises(av.error.InvalidDataError), av.open(str(corpus / rows["damaged"]["path"])):
        pass
    assert rows["no_audio_file"]["audio_path"] == ""
    assert not (corpus / "mead/M901/audio/sad/level_3/002.m4a").exists()
    assert rows["late_audio"]["audio_start_s"] == pytest.approx(0.2787, abs=1e-3)
    assert rows["mislabelled"]["emotion"] == "disgusted"
    assert rows["mislabelled"]["shown_emotion"] == "angry"
    place, row = _rows(corpus)["mead/W902/surprised/level_3/front/004"]
    assert "no_face" in row["defects"]
    empty = read_frames(corpus, place)
    assert not empty.face.any()
    assert np.isnan(empty.measures["yaw_deg"]).all()


def test_tar_and_zip_hold_their_members(corpus: Path) -> None:
    with tarfile.open(corpus / "mead/M903/video.tar") as tar:
        names = tar.getnames()
        assert {info.mtime for info in tar.getmembers()} == {0}
    assert sorted(names) == [
        "video/front/happy/level_3/001.mp4",
        "video/front/happy/level_3/002.mp4",
        "video/front/neutral/level_1/001.mp4",
    ]
    with zipfile.ZipFile(corpus / "ravdess/Video_Speech_Actor_26.zip") as archive:
        assert archive.namelist() == [
            "Actor_26/01-01-03-02-01-01-26.mp4",
            "Actor_26/01-01-07-02-02-01-26.mp4",
        ]


def test_views_share_one_audio_file(corpus: Path) -> None:
    rows = _rows(corpus)
    front = rows["mead/W902/happy/level_3/front/001"][1]
    side_place, side = rows["mead/W902/happy/level_3/left_30/001"]
    assert front["audio_path"] == side["audio_path"]
    assert front["onsets_s"] == side["onsets_s"]
    yaw = read_frames(corpus, side_place).measures["yaw_deg"]
    front_yaw = read_frames(corpus, rows[front["take"]][0]).measures["yaw_deg"]
    np.testing.assert_allclose(yaw, front_yaw - 30, atol=1e-3)


def test_emotion_is_felt_and_neutral_is_not(corpus: Path) -> None:
    for k, row in _rows(corpus).values():
        level = read_frames(corpus, k).measures["intensity"]
        if row["shown_emotion"] == "neutral":
            assert level.max() == 0
        elif "no_face" not in row["defects"]:
            assert level[0] < 0.15
            assert level.max() > 0.8


@pytest.mark.slow
def test_the_same_bytes_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # glibc then fills fresh memory: what ffmpeg writes must not hang on it.
    monkeypatch.setenv("MALLOC_PERTURB_", "99")
    some = [take for take in _takes() if take.speaker in ("M903", "W902", "W904")]
    for take in reversed(some):
        make_take(take, tmp_path)
    finish(tmp_path, some)
    again = {k: v for k, v in _tree(tmp_path).items() if not k.startswith("truth")}
    first = _tree(corpus)
    assert len(again) == 9
    assert again == {name: first[name] for name in again}


def test_finish_needs_every_take(tmp_path: Path) -> None:
    (tmp_path / make.STAGING / "truth").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"take\.parquet"):
        finish(tmp_path, _takes()[:1])
