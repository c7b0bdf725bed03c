"""The commands over shards run where only the reader is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.finished_shards import said

ABSENT = (
    "av", "cv2", "dtw", "dvc", "librosa", "mediapipe", "numba", "open_clip", "PIL",
    "ruamel", "safetensors", "scipy", "sklearn", "soundfile", "torchvision",
)  # fmt: skip
"""What the extra `build` brings, as libraries are imported; typer brings pydantic to both."""
CALL = f"import sys; sys.modules.update(dict.fromkeys({ABSENT})); from cli.main import main; main()"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "{shards}"], "{said}"),
        (["show", "{shards}", "--n", "2", "--out", "{out}/sheet.png"], "pairs train: 2 of 18 rows"),
        (["diff", "{shards}", "{shards}"], "unchanged           4"),
        (["export", "--format=webdataset", "--from={shards}", "--out={out}"], "36 samples"),
    ],
)
def test_command(
    built: Path, tmp_path: Path, repository: Path, arguments: list[str], says: str
) -> None:
    given = [text.format(shards=built, out=tmp_path) for text in arguments]
    done = subprocess.run(
        [sys.executable, "-c", CALL, *given], capture_output=True, text=True, cwd=repository,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert says.format(said=said(built)) in done.stdout


@pytest.mark.slow
def test_recordings_are_not_decoded_without_their_library(built: Path, repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CALL, "verify", str(built)], capture_output=True, text=True,
        cwd=repository, check=True,
    )  # fmt: skip
    assert "only headers were read; install soundfile to decode it" in done.stdout
