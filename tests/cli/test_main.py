"""The command line: exit codes, one line when something is wrong, JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.stages import STAGES
from tests.builders.media_files import tone, write_media
from tests.builders.speech import RATE_HZ, speak
from tests.builders.takes import talking


def test_help_lists_every_stage(call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert all(stage in out for stage in STAGES)


def test_version(call) -> None:
    assert call("--version")[1].startswith("spfem-data 0.")


@pytest.mark.parametrize(
    ("stage", "first"),
    [("align", "extract"), ("pose", "align"), ("shards", "align"), ("report", "extract")],
)
@pytest.mark.usefixtures("params_here")
def test_out_of_order_is_one_line_that_names_the_command(call, stage: str, first: str) -> None:
    code, out, err = call(stage, "--dataset", "demo")
    assert code == 1
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "run first: spfem-data" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extract", "--dataset", "maed"], "params.yaml lists no dataset 'maed'; it lists: demo"),
        (["extract", "--shard", "3/2"], "--shard 3/2: expected I/N with 1 <= I <= N"),
        (["extract", "--engine", "magic"], "--engine magic: expected one of serial, processes"),
        (["align-pair", "absent.wav", "absent.wav"], "absent.wav"),
    ],
)
@pytest.mark.usefixtures("params_here")
def test_what_is_wrong_is_one_line(call, arguments: list[str], said: str) -> None:
    code, _, err = call(*arguments)
    assert code == 1
    assert said in err
    assert "Traceback" not in err


def test_status_of_nothing(call) -> None:
    code, out, _ = call("status")
    assert code == 0
    assert out.count("not run") == len(STAGES)


def test_status_lists_the_weights_that_idle_stages_lack(call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "demo"
    for stage, planned in (("score", 0), ("invert", 4)):
        (folder / stage / "tables").mkdir(parents=True)
        summary = {"stage": stage, "grain": "take", "planned": planned, "kept": planned}
        text = json.dumps(
            {**summary, "reasons": {}, "look": [""], "notes": ["score.weights is empty"]}
        )
        (folder / stage / "tables" / "summary.json").write_text(text)
    code, out, _ = call("status")
    assert code == 0
    assert "docs/howto/real-weights.md has the steps" in out
    assert "CLIP (score.weights): probabilities of seven emotions" in " ".join(out.split())
    assert "https://github.com/openai/CLIP" in out
    assert "      network: ViT-B-32::openai\n      weights: vit-b-32\n" in out
    assert "invert.generator" not in out


def test_status_of_a_stage_that_was_stopped_shows_no_stale_counts(call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "demo"
    for stage in ("extract", "align"):
        (folder / stage / "tables").mkdir(parents=True)
        summary = {"stage": stage, "grain": "take", "planned": 7, "kept": 6, "notes": []}
        text = json.dumps({**summary, "reasons": {"silent": 1}, "look": []})
        (folder / stage / "tables" / "summary.json").write_text(text)
    (folder / ".local").mkdir()
    (folder / ".local" / "unfinished-align").touch()
    code, out, _ = call("status")
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[0] == " "}
    assert rows["extract"] == ["7", "6", "1", "takes", "silent", "1"]
    assert " ".join(rows["align"]) == "stopped before its end; run it again to resume"
    value = json.loads(call("status", "--json")[1])["stages"]
    assert (value["extract"]["unfinished"], value["align"]["unfinished"]) == (False, True)


@pytest.mark.usefixtures("params_here")
def test_inventory_refuses_an_unknown_split(call, params_here: Path) -> None:
    text = params_here.read_text(encoding="utf-8").replace("split: by_speaker ", "split: by_mood ")
    params_here.write_text(text, encoding="utf-8")
    code, _, err = call("inventory")
    assert code == 1
    assert "dataset 'demo' names split 'by_mood'" in err


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, Path]:
    """Files of made speech: a sentence, the same slower, another of like length."""
    made = {
        "a": speak(1, 1.0, 120.0), "slow": speak(1, 0.8, 140.0),
        "other": speak(50, 0.9, 120.0),
    }  # fmt: skip
    for name, audio in made.items():
        soundfile.write(tmp_path / f"{name}.wav", audio, RATE_HZ)
    return {name: tmp_path / f"{name}.wav" for name in made}


def test_align_pair_gives_warp_frames_and_verdict(call, recordings: dict[str, Path]) -> None:
    code, out, _ = call("align-pair", recordings["a"], recordings["slow"], "--fps", "25", "--json")
    value = json.loads(out)
    assert code == 0
    assert set(value) == {"warp", "frames", "sentence", "same_recording"}
    assert value["sentence"]["same"] is True
    warp = np.array(value["warp"])
    times = np.linspace(0.4, warp[-1, 0] - 0.4, 20)
    truth = 0.2 + (times - 0.2) / 0.8
    assert np.abs(np.interp(times, warp[:, 0], warp[:, 1]) - truth).max() < 0.03
    frames = np.array([f[:2] for f in value["frames"]])
    assert (np.diff(frames, axis=0) > 0).all()
    at_a, at_b = (frames + 0.5).T / 25
    inside = (at_a > 0.3) & (at_a < warp[-1, 0] - 0.3)
    assert np.abs(at_b - (0.2 + (at_a - 0.2) / 0.8))[inside].max() < 0.04
    assert all(0 <= f[2] <= 1 for f in value["frames"])


def test_align_pair_tells_another_sentence(call, recordings: dict[str, Path]) -> None:
    value = json.loads(call("align-pair", recordings["a"], recordings["other"], "--json")[1])
    assert value["sentence"]["same"] is False
    assert value["frames"] == []


def test_another_sentence_prints_no_frames(call, recordings: dict[str, Path]) -> None:
    code, out, _ = call("align-pair", recordings["a"], recordings["other"])
    assert code == 0
    assert out.startswith("NOT the same sentence (score 1.")
    assert "no frames are paired" in out
    assert len(out.splitlines()) == 2


def test_a_silent_file_is_said_to_be_silent(
    call, recordings: dict[str, Path], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    code, _, err = call("align-pair", recordings["a"], tmp_path / "silent.wav")
    assert code == 1
    assert "silent.wav is silent (digital silence, extract.silence_db is -60)" in err
    soundfile.write(tmp_path / "faint.wav", 1e-4 * speak(1, 1.0, 120.0), RATE_HZ, subtype="FLOAT")
    _, _, err = call("align-pair", tmp_path / "faint.wav", recordings["a"])
    assert "faint.wav is silent (its peak is -" in err


def test_align_pair_recognises_one_recording(call, recordings: dict[str, Path]) -> None:
    value = json.loads(call("align-pair", recordings["a"], recordings["a"], "--json")[1])
    assert value["same_recording"] is True
    code, out, _ = call("align-pair", recordings["a"], recordings["a"])
    assert code == 0
    assert "the SAME RECORDING in both files: align rejects such pairs" in " ".join(out.split())
    other = json.loads(call("align-pair", recordings["a"], recordings["other"], "--json")[1])
    assert other["same_recording"] is False


def test_align_pair_refuses_clocks_that_never_meet(
    call, recordings: dict[str, Path], tmp_path: Path
) -> None:
    path = write_media(tmp_path / "a.mkv", talking(), audio=tone(0.5), audio_start_s=9.0)
    code, _, err = call("align-pair", path, recordings["a"])
    assert code == 1
    assert "never_together: video from 0.02 to 0.46 s, audio from 9.00 to 9." in err


def test_align_pair_prints_for_people(call, recordings: dict[str, Path]) -> None:
    code, out, _ = call("align-pair", recordings["a"], recordings["slow"])
    assert code == 0
    assert out.startswith("the SAME RECORDING in both files")  # at another speed throughout
    assert "(score 0." in out
    assert "time map, seconds" in out
