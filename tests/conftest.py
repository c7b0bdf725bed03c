"""What all tests share: no test may log an error, and where the outer sample data lies."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from cli import main as cli
from pipeline.runtime import numerics

numerics.assign("portable")  # before any library is imported: this process computes as workers do

settings.register_profile("untimed", deadline=None)  # machines are busy and differ
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    yield
    errors = [r for when in ("setup", "call") for r in caplog.get_records(when)]
    said = [record.getMessage() for record in errors if record.levelno >= logging.ERROR]
    assert not said, f"errors were logged: {said}"


@pytest.fixture
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def shared() -> Path:
    """Sample data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no sample data beside this checkout")
    return SHARED


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> object:
    """Run the command line in an empty folder: (arguments) -> exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spfem-data", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
