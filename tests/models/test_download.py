"""Fetching: resumed, verified, whole or absent. Everything is served from this machine."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.models.download import Source, fetch
from tests.builders.web_server import Served, serving

CONTENT = bytes(range(256)) * 20_000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.models.download.PAUSE_S", 0.0)


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(".part-*"))


def test_a_transfer_that_breaks_off_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "models" / "net.pt"
    seen: list[tuple[int, int | None]] = []
    with serving(Served(CONTENT, breaks=[1_000_000, 700_000])) as served:
        assert fetch(Source(served.url, SHA), target, lambda done, all_: seen.append((done, all_)))
    assert target.read_bytes() == CONTENT
    assert served.asked == ["bytes=0-", "bytes=1000000-", "bytes=1700000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert parts(target.parent) == []


def test_a_run_that_gave_up_goes_on_in_the_next(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    with serving(Served(CONTENT, breaks=[100_000] * 5)) as served:
        with pytest.raises(PipelineError, match="the transfer broke off after 500000 bytes"):
            fetch(Source(served.url, SHA), target)
        assert not target.exists()
        assert [p.stat().st_size for p in parts(tmp_path)] == [500_000]
        fetch(Source(served.url, SHA), target)
    assert served.asked[-1] == "bytes=500000-"
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    with serving(Served(CONTENT, breaks=[1_000_000], ranges=False)) as served:
        fetch(Source(served.url, SHA), target)
    assert target.read_bytes() == CONTENT
    assert len(served.asked) == 2


def test_killed_between_the_last_byte_and_the_check(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    with serving(Served(CONTENT)) as served:
        source = Source(served.url, SHA)
        (tmp_path / f".part-{SHA[:12]}-net.pt").write_bytes(CONTENT)
        assert fetch(source, target)
    assert served.asked == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_another_file_is_not_kept(tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><title>Quota exceeded</title>"
    with serving(Served(page)) as served, pytest.raises(PipelineError, match="a web page, not"):
        fetch(Source(served.url, SHA), tmp_path / "net.pt")
    with serving(Served(CONTENT[:-1])) as served, pytest.raises(PipelineError, match=SHA):
        fetch(Source(served.url, SHA), tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_fetched(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    target.write_bytes(CONTENT)
    source = Source("http://127.0.0.1:9/net.pt", SHA.upper())
    assert fetch(source, target) is False
    target.write_bytes(b"other")
    with pytest.raises(PipelineError, match="exists, but its sha256 differs: delete it"):
        fetch(source, target)
    assert target.read_bytes() == b"other"


def test_a_local_file(tmp_path: Path) -> None:
    origin = tmp_path / "with a space.pt"
    origin.write_bytes(CONTENT)
    source = Source(origin.as_uri(), SHA)
    (tmp_path / f".part-{SHA[:12]}-net.pt").write_bytes(CONTENT[:1000])
    assert fetch(source, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == CONTENT
    gone = Source((tmp_path / "gone.pt").as_uri(), SHA)
    with pytest.raises(PipelineError, match=r"gone\.pt: .*No such file"):
        fetch(gone, tmp_path / "b.pt")


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (503, 5)])
def test_errors_of_the_server_are_one_line(status: int, tries: int, tmp_path: Path) -> None:
    with (
        serving(Served(CONTENT, status=status)) as served,
        pytest.raises(PipelineError, match=f": {status} ") as found,
    ):
        fetch(Source(served.url, SHA), tmp_path / "net.pt")
    assert "\n" not in str(found.value)
    assert len(served.asked) == tries


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    with serving(Served(CONTENT)) as served:
        pass
    with pytest.raises(PipelineError, match="refused after 0 bytes"):
        fetch(Source(served.url, SHA), tmp_path / "net.pt")


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    part = tmp_path / f".part-{SHA[:12]}-net.pt"
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PipelineError, match="another process is fetching"):
            fetch(Source("http://127.0.0.1:9/net.pt", SHA), tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("url", "sha256", "said"),
    [
        ("ftp://somewhere/net.pt", SHA, "expected a URL with scheme https, http, file"),
        ("net.pt", SHA, "expected a URL with scheme"),
        ("https://somewhere/net.pt", "abc", "expected 64 hexadecimal digits"),
        ("https://somewhere/net.pt", "g" * 64, "expected 64 hexadecimal digits"),
    ],
)
def test_sources_check_themselves(url: str, sha256: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        Source(url, sha256)
