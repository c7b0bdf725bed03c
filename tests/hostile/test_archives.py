"""Archives that mean harm, a few of each kind; `python -m tests.hostile.archives` has thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import PipelineError, Reject
from tests.builders import isolated_cases
from tests.hostile.archives import SMALL, Bench, Case, cases, make_bench, try_archive

ENDS = {
    "good.tar": "members read",
    "pax.tar": "members read",
    "good.zip": "members read",
    "stored.zip": "members read",
    "names.tar": "members read, some unsafe_member",
    "names.zip": "members read, some unsafe_member",
    "links.tar": "members read, some unsafe_member",
    "links.zip": "none read, some unsafe_member",
    "devices.zip": "none read, some unsafe_member",
    "twice.tar": "members read",
    "case.tar": "members read",
    "case.zip": "members read",
    "overlapping.zip": "members read",
    "encrypted.zip": "none read, some encrypted",
    "bzip2.zip": "none read, some unreadable",
    "lzma.zip": "none read, some unreadable",
    "chains.tar": "members read",
    "claims.tar": "none read, some truncated",
    "cut.tar": "members read",
    "cut.zip": "unreadable",
    "inside.tar": "members read",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The state of one worker."""
    return make_bench(tmp_path_factory.mktemp("archives"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", SMALL)
def test_made_by_hand(name: str, bench: Bench) -> None:
    assert try_archive(bench, Case(name)) == ENDS[name]


def test_a_write_elsewhere_would_be_seen(bench: Bench, tmp_path: Path) -> None:
    with bench.deeds.seen() as done:
        (bench.folder / "own").write_bytes(b"x")
        (tmp_path / "elsewhere").write_bytes(b"x")
        (bench.folder / "own").unlink()
        (tmp_path / "elsewhere").unlink()
    assert [what.partition(":")[0] for what in done] == ["ESCAPED", "ESCAPED"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_mutants_end_in_members_or_reasons(bench: Bench) -> None:
    found = 0
    for _, case in cases(120, seed=5, made=[]):
        try:
            end = try_archive(bench, case)
        except (Reject, PipelineError) as error:
            end = str(error)
            assert "\n" not in end
        assert end not in isolated_cases.BAD, case
        found += 1
    assert found == 120
