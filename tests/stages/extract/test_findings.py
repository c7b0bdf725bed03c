"""Every finding: a made take that has it, the row that says so, what each policy does with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline import media, params
from pipeline.errors import ParameterError, Reject
from pipeline.records import Clip
from pipeline.stages.extract.worker import AUDIO
from tests.builders.drawn_faces import SIZE_PX
from tests.builders.findings import (
    DRIFT,
    DRIFT_LENGTH_S,
    MAKERS,
    OFFSET_S,
    Made,
    babble,
    heads,
    plain,
    steady,
    turned,
    upside_down,
    with_file,
)
from tests.builders.media_files import AUDIO_HZ, tone, write_media
from tests.builders.takes import make_run, manifest, policies, run

DEFAULTS = params.load(None).extract.policies.model_dump()
KEPT = {name: "keep" if policy == "reject" else policy for name, policy in DEFAULTS.items()}


@dataclass(frozen=True)
class Corpus:
    """The made takes and what extract says of them with every take kept."""

    folder: Path
    table: Path
    clips: dict[str, Clip]


def table_of(folder: Path, made: dict[str, Made]) -> Path:
    audio = {take.path.name: take.audio.name for take in made.values() if take.audio is not None}
    return manifest(folder, *(take.path.name for take in made.values()), audio=audio)


def clips_of(folder: Path, made: dict[str, Made], **section: object) -> dict[str, Clip]:
    """The clips by the name of their file."""
    _, clips, rejects = run(make_run(table_of(folder, made), folder / "data", **section))
    assert rejects == []
    assert len(clips) == len(made)
    return {str(clip.sentence): clip for clip in clips}


def one_clip(folder: Path, made: Made, **section: object) -> Clip:
    (clip,) = clips_of(folder, {"one": made}, **section).values()
    return clip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("findings")
    made = {name: make(folder / f"{name}.mp4") for name, make in MAKERS.items()}
    clips = clips_of(folder, made, policies=policies(**KEPT))
    return Corpus(folder, folder / "takes.csv", clips)


@pytest.mark.slow
@pytest.mark.parametrize("finding", media.FINDINGS)
def test_a_made_take_has_it_and_its_row_says_so(corpus: Corpus, finding: str) -> None:
    assert finding in corpus.clips[finding].findings


def test_an_ordinary_take_has_none(tmp_path: Path) -> None:
    clip = one_clip(tmp_path, with_file(tmp_path / "a.mp4", tone(0.48), track=tone(0.48)))
    assert (clip.findings, clip.repaired) == ((), ())
    assert (clip.declared_frames, clip.longest_frame_s) == (12, pytest.approx(0.04))
    assert clip.file_offset_ms == pytest.approx(0, abs=1)
    assert clip.file_match == pytest.approx(1, abs=0.02)


def test_the_numbers_that_findings_rest_on(corpus: Corpus) -> None:
    clips = corpus.clips
    assert clips["frames_missing"].declared_frames == 14
    assert clips["frames_extra"].declared_frames == 10
    assert clips["pts_gap"].longest_frame_s == pytest.approx(0.24)
    assert clips["audio_gap"].audio_gap_s == pytest.approx(0.1, abs=0.002)
    assert clips["mouth_covered"].n_mouth_covered == 6
    assert clips["audio_starts_late"].audio_start_s == pytest.approx(0.2, abs=0.03)
    assert clips["audio_starts_early"].video_start_s == pytest.approx(0.2, abs=0.03)
    assert clips["file_offset"].file_offset_ms == pytest.approx(1000 * OFFSET_S, abs=2)
    assert clips["file_drifts"].file_drift_ms == pytest.approx(1000 * DRIFT * DRIFT_LENGTH_S, abs=1)
    differing = clips["file_differs"]
    assert differing.file_offset_ms is None
    assert differing.file_match is not None
    assert differing.file_match < 0.3


@pytest.mark.slow
def test_every_rejected_finding_ends_in_its_reject(corpus: Corpus, tmp_path: Path) -> None:
    strict = policies(**dict.fromkeys(DEFAULTS, "reject"))
    summary, clips, rejects = run(make_run(corpus.table, tmp_path, policies=strict))
    assert clips == []
    assert {row.reason for row in rejects} == {"rejected_finding", "several_faces"}
    assert {row.kind for row in rejects} == {"filtered"}
    assert summary.planned == len(rejects) == len(media.FINDINGS)


@pytest.mark.parametrize("finding", media.FINDINGS)
def test_a_reject_names_the_finding(finding: str) -> None:
    with pytest.raises(Reject, match=f"{finding}: {re.escape(media.FINDINGS[finding])}"):
        media.reject_findings({finding}, {finding: "reject"})
    media.reject_findings({finding}, {finding: "keep"})
    media.reject_findings({finding}, {finding: "repair"})


@pytest.mark.slow
def test_a_rotated_video_is_turned_or_left(corpus: Corpus, tmp_path: Path) -> None:
    assert corpus.clips["rotated"].repaired == ("rotated",)
    wrong_flag = plain(tmp_path / "a.mp4", [f[:240] for f in heads()], rotation_deg=90)
    clip = one_clip(tmp_path, wrong_flag, policies=policies(rotated="keep"))
    assert (clip.findings, clip.repaired) == (("rotated",), ())
    assert (clip.width_px, clip.height_px, clip.n_found) == (320, 240, 12)
    right = tmp_path / "right"
    right.mkdir()
    assert one_clip(right, turned(right / "a.mp4")).n_found == 12


@pytest.mark.slow
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_the_wrong_way_up_is_turned(corpus: Corpus, tmp_path: Path, quarters: int) -> None:
    upright = one_clip(tmp_path, plain(tmp_path / "up.mp4"))
    folder = tmp_path / "turned"
    folder.mkdir()
    clip = one_clip(folder, upside_down(folder / "a.mp4", quarters))
    assert (clip.findings, clip.repaired) == (("wrong_way_up",), ("wrong_way_up",))
    assert (clip.n_found, clip.width_px) == (12, upright.width_px)
    assert clip.interocular_px == pytest.approx(upright.interocular_px, rel=0.01)
    assert clip.crop_x_px == pytest.approx(upright.crop_x_px, abs=8)
    assert clip.crop_y_px == pytest.approx(upright.crop_y_px, abs=8)


def test_frames_with_a_face_partly_outside_have_no_landmarks(
    corpus: Corpus, tmp_path: Path
) -> None:
    assert corpus.clips["face_outside"].n_found == 12
    path = tmp_path / "a.mp4"
    plain(path, [np.roll(frame, 9 * SIZE_PX // 20, axis=0) for frame in heads()])
    _, clips, (row,) = run(make_run(manifest(tmp_path, "a.mp4"), tmp_path / "data"))
    assert clips == []
    assert row.reason == "no_face"
    assert row.detail == "a face in 0 of 12 frames; in 12 it is partly outside the image"


@pytest.mark.slow
def test_a_cut_is_rejected_by_default(tmp_path: Path) -> None:
    shots = {"person": [*heads(), *heads(1)], "jump": [*steady(10), *steady(10, first=25)]}
    for name, frames in shots.items():
        plain(tmp_path / f"{name}.mp4", frames)
    plain(tmp_path / "whole.mp4", steady(20))
    table = manifest(tmp_path, *(f"{name}.mp4" for name in (*shots, "whole")))
    _, (clip,), rejects = run(make_run(table, tmp_path / "data"))
    assert clip.sentence == "whole"
    assert {row.item.rsplit("_", 1)[1]: row.reason for row in rejects} == dict.fromkeys(
        shots, "rejected_finding"
    )
    assert all(row.detail.startswith("cut: ") for row in rejects)


@pytest.mark.slow
def test_the_audio_that_a_manifest_names_is_used(tmp_path: Path) -> None:
    voice = babble(3.0)
    track = voice + babble(3.0, seed=5) * 0.3
    made = with_file(tmp_path / "a.mp4", voice, track=track)
    clip = one_clip(tmp_path, made)
    assert clip.audio_from == "file"


@pytest.mark.slow
def test_a_gap_in_the_audio_is_filled_or_closed(corpus: Corpus, tmp_path: Path) -> None:
    filled = corpus.clips["audio_gap"]
    assert filled.repaired == ("audio_gap",)
    assert filled.audio_end_s - filled.audio_start_s == pytest.approx(0.58, abs=0.002)
    closed = one_clip(
        tmp_path, MAKERS["audio_gap"](tmp_path / "a.mp4"), policies=policies(audio_gap="keep")
    )
    assert (closed.findings, closed.repaired) == (("audio_gap",), ())
    assert closed.audio_end_s - closed.audio_start_s == pytest.approx(0.48, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "start_s"), [("repair", OFFSET_S), ("keep", 0.0)])
def test_a_shifted_file_is_put_in_place_or_left(
    tmp_path: Path, policy: str, start_s: float
) -> None:
    made = MAKERS["file_offset"](tmp_path / "a.mp4")
    kept = policies(file_offset=policy)
    clip = one_clip(tmp_path, made, audio_from="file", policies=kept)
    assert (clip.audio_from, "file_offset" in clip.findings) == ("file", True)
    assert clip.repaired == (("file_offset",) if policy == "repair" else ())
    assert clip.audio_start_s == pytest.approx(start_s, abs=0.002)


@pytest.mark.slow
def test_an_offset_counts_from_the_image_s_start(tmp_path: Path) -> None:
    audio = babble(3.0)
    track = {"times_ms": [200 + 40 * i for i in range(12)], "audio": audio}
    video = plain(tmp_path / "a.mkv", audio_codec="pcm_s16le", **track).path
    file = write_media(
        tmp_path / "a.wav", audio=audio[round(0.25 * AUDIO_HZ) :], audio_codec="pcm_s16le"
    )
    clip = one_clip(tmp_path, Made(video, file), audio_from="file")
    assert clip.video_start_s == pytest.approx(0.2, abs=0.002)
    assert clip.file_offset_ms == pytest.approx(50, abs=2)
    assert clip.audio_start_s == pytest.approx(0.25, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "used"), [("repair", "container"), ("keep", "file")])
def test_a_file_of_another_recording_gives_way_or_not(
    tmp_path: Path, policy: str, used: str
) -> None:
    made = MAKERS["file_differs"](tmp_path / "a.mp4")
    run_of = make_run(
        table_of(tmp_path, {"one": made}), tmp_path / "data", audio_from="file",
        policies=policies(file_differs=policy),
    )  # fmt: skip
    _, (clip,), _ = run(run_of)
    assert (clip.audio_from, "file_differs" in clip.findings) == (used, True)
    assert clip.repaired == (("file_differs",) if policy == "repair" else ())
    kept = media.read_flac(run_of.items("extract").path(f"s1/{clip.take_id}", AUDIO))
    want = media.resample(babble(3.0, seed=policy == "keep"), AUDIO_HZ, 16000)
    n = min(len(kept), len(want))
    assert np.corrcoef(kept[:n], want[:n])[0, 1] > 0.95


def test_policies_are_those_of_the_findings() -> None:
    assert list(params.ExtractPolicies.model_fields) == list(media.FINDINGS) == list(DEFAULTS)
    assert set(MAKERS) == set(media.FINDINGS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    hdr: keep ", "    # ", r"extract\.policies\.hdr: Field required"),
        ("    hdr: keep ", "    hrd: keep\n    hdr: keep ", r"extract\.policies\.hrd: no such key"),
        ("    hdr: keep ", "    hdr: repair ", r"extract\.policies\.hdr: .*'reject', got 'repair'"),
    ],
)
def test_a_wrong_policy_stops_the_run(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = params.default_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ParameterError, match=said) as caught:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_the_documents_list_every_finding(repository: Path) -> None:
    text = (repository / "docs" / "extract.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \| .+ \|$", text, re.MULTILINE)
    assert rows == [(name, said, DEFAULTS[name]) for name, said in media.FINDINGS.items()]
