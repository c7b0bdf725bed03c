"""What all tests share: no test may log an error, and where the outer sample data lies."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

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
