"""No stage's code changes unnoticed: reuse by content trusts its VERSION."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.stages import STAGES
from tests import stage_code


@pytest.fixture(scope="module")
def current() -> dict[str, dict[str, object]]:
    """The digests of all stages, which share most of their modules."""
    return stage_code.current()


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_code_is_that_of_the_recorded_version(
    stage: str, current: dict[str, dict[str, object]]
) -> None:
    recorded = json.loads(stage_code.RECORDED.read_text(encoding="utf-8"))[stage]
    assert current[stage] == recorded, (
        f"the code of {stage} changed: if its outputs change, bump VERSION in "
        f"pipeline/stages/{stage}.py; then run python -m tests.stage_code"
    )


def test_comments_docstrings_and_layout_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_code, "REPOSITORY", tmp_path)
    path = tmp_path / "module.py"

    def digest(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        return stage_code.code_digest([path])

    plain = digest("def f(x):\n    return x + 1\n")
    assert (
        digest('"""Why."""\n\ndef f(x):\n    """What."""\n    return (x\n  + 1)  # why\n') == plain
    )
    assert digest("def f(x):\n    return x + 2\n") != plain
