"""The terminal: exit codes, what is said and what not, examples, suggestions, narrow and wide."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from cli import console
from cli import verbosity as level
from cli.commands import EXAMPLES
from cli.main import UsageError, app
from cli.progress import ProgressItem, clock, how_far
from pipeline.stages import STAGES
from tests.builders.stage_summary import SUMMARY

Call = Callable[..., tuple[int, str, str]]


def _commands(group: object, before: str = "") -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        path = f"{before}{name}"
        yield path, command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} ")


ALL = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_and_the_levels(name: str) -> None:
    assert f"spfem-data {name}" in ALL[name].epilog
    options = {option for param in ALL[name].params for option in param.opts}
    if name != "models":
        assert {"-q", "--quiet", "-v", "--verbose"} <= options


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_understood(line: str) -> None:
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", line)]
    group = typer.main.get_command(app)
    while words and hasattr(group, "commands") and words[0] in group.commands:
        group = group.commands[words.pop(0)]
    group.make_context("spfem-data", words)  # raises where an option or an argument is none


def test_no_example_of_what_is_not_there() -> None:
    assert set(EXAMPLES) - {""} == set(ALL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algn"], "no such command 'algn'; did you mean 'align'? See: spfem-data --help"),
        (["models", "lst"], "'lst'; did you mean 'list'? See: spfem-data models --help"),
        (["align", "--dataste", "x"], "no such option: --dataste; did you mean '--dataset'?"),
        (["export", "--format", "eatt", "--out", "x"], "; did you mean 'eat'? See: spfem-data exp"),
        (["show"], "missing argument 'folder'; see: spfem-data show --help"),
        (["show", "x", "--n", "0"], "greater than or equal to 1; see: spfem-data show --help"),
    ],
)
def test_a_command_line_that_is_not_understood_exits_2(call: Call, arguments, said: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_group_alone_shows_its_help(call: Call) -> None:
    code, _, err = call("models")
    assert code == 2
    assert "convert" in err + call("models", "--help")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["align", "--dataset", "dmeo"], "it lists: demo; did you mean 'demo'?"),
        (["align", "--engine", "proceses"], "did you mean 'processes'?"),
        (["models", "fetch", "demo-clp"], "did you mean 'demo-clip'?"),
        (["show", "x", "--config", "pairz"], "did you mean 'pairs'?"),
        (["show", "x", "--where", "mouth_agrement > 1"], "did you mean 'mouth_agreement'?"),
    ],
)
@pytest.mark.usefixtures("params_here")
def test_names_that_were_mistyped(call: Call, arguments: list[str], said: str) -> None:
    code, _, err = call(*arguments)
    assert code == 1
    assert said in err.splitlines()[-1]


def test_a_key_that_was_mistyped(call: Call, repository: Path, tmp_path: Path) -> None:
    text = (repository / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("jpeg_quality:", "jpeg_qualty:", 1))
    code, _, err = call("inventory")
    assert code == 1
    assert "extract.jpeg_qualty: no such key; 'jpeg_quality' is missing there" in err


@pytest.mark.slow
def test_nothing_but_help_exits_0(call: Call) -> None:
    assert call()[0] == 0
    assert all(stage in call()[1] for stage in STAGES)


def _ends(
    arguments: str, raising: str, tmp_path: Path, repository: Path
) -> subprocess.CompletedProcess:
    """The command line in a process whose `status` raises."""
    code = (
        "import sys; from cli import main; from pipeline.runtime import summary_file\n"
        f"def bad(*_): raise {raising}\n"
        "summary_file.read_summary = bad\n"
        f"sys.argv = ['spfem-data', *{arguments.split()!r}]; main.main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env=environment, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raising", "code", "said"),
    [
        ("KeyboardInterrupt", 130, "stopped; finished work is kept"),
        ("ZeroDivisionError('x')", 3, "this is a bug in spfem-data; please report it"),
        ("OSError(28, 'full', '/data/x')", 1, "no space left on the device (/data/x); free some"),
        ("PermissionError(13, 'Permission denied', '/d')", 1, "Permission denied (/d); fix the"),
        ("FileNotFoundError(2, 'none', '/d')", 3, "this is a bug in spfem-data"),
    ],
)
def test_how_it_ends(raising: str, code: int, said: str, tmp_path: Path, repository: Path) -> None:
    ended = _ends("status", raising, tmp_path, repository)
    assert ended.returncode == code
    assert said in ended.stderr.splitlines()[-1]
    assert ("Traceback" in ended.stderr) == (code == 3)


def test_verbose_tells_where_an_error_arose(call: Call) -> None:
    assert "Traceback" not in call("status", "-d", "none")[2]
    for arguments in (["-v", "status", "-d", "none"], ["status", "-v", "-d", "none"]):
        code, _, err = call(*arguments)
        assert code == 1
        assert "Traceback" in err
        assert "pipeline/params.py" in err


def test_quiet_before_and_behind_the_command(call: Call) -> None:
    for arguments in (["-q", "status"], ["status", "-q"], ["status", "--quiet"]):
        assert call(*arguments) == (0, "", "")
    assert "error: " in call("-q", "align")[2]
    assert json.loads(call("-q", "status", "--json")[1])["dataset"] == "demo"


def test_status_for_machines(call: Call) -> None:
    code, out, _ = call("status", "--json")
    assert code == 0
    assert json.loads(out) == {"dataset": "demo", "stages": dict.fromkeys(STAGES)}


def test_a_summary_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    level.begin()
    console.show_summary(SUMMARY, 17.34)
    assert capsys.readouterr().out.splitlines()[:5] == [
        "align demo: 96 clip pairs planned, 17.3 s",
        "  kept          85",
        "  rejected      11",
        "    no_partner  11  no take of the other emotion says this sentence",
        "  units         90 redone, 6 reused, 2 removed",
    ]


def test_a_summary_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_summary(SUMMARY, 17.34, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["planned"] == told["kept"] + told["rejected"] == 96
    assert (told["done"], told["reused"], told["removed"]) == (90, 6, 2)
    assert told["reasons"] == {"no_partner": 11}
    assert told["seconds"] == 17.34


SHOWN = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.builders.stage_summary import SUMMARY
from cli import console
console.show_summary(SUMMARY, 1.0)
console.show_table("t", ["name", "n", "what"], [["a", "12", "words " * 9], ["bb", "3", ""]])
console.fail("wrong")
"""


def _on_a_terminal(columns: int, repository: Path, **more: str) -> str:
    """What a terminal of so many columns is sent."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", **more}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWN, str(repository)], stdin=child, stdout=child, stderr=child,
        env=environment, cwd=repository,
    )  # fmt: skip
    os.close(child)
    said = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(parent)
    assert process.wait() == 0
    return said.decode().replace("\r\n", "\n")


def _plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 160])
def test_lines_fit_the_terminal(columns: int, repository: Path) -> None:
    said = _on_a_terminal(columns, repository)
    assert "\x1b[32m85" in said  # kept is green
    lines = _plain(said)
    assert max(map(len, lines)) <= columns
    assert ("      what: words words" in "\n".join(lines)) == (columns == 60)
    assert ("  a     12  words words" in "\n".join(lines)) == (columns == 160)


@pytest.mark.slow
def test_no_color(repository: Path) -> None:
    said = _on_a_terminal(100, repository, NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", said)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")]
)
def test_clocks(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@pytest.mark.parametrize(
    ("done", "total", "rate", "in_bytes", "said"),
    [
        (40, 120, 2.0, False, "40/120  2.0/s  0:40 left"),
        (3, 4, 1 / 30, False, "3/4  2.0/min  0:30 left"),
        (0, 4, 0.0, False, "0/4  1:15"),
        (4, 4, 2.0, False, "4/4  2.0/s"),
        (0, None, 0.0, False, "1:15"),
        (30e6, 90e6, 3e6, True, "30/90 MB  3.0 MB/s  0:20 left"),
        (30e6, None, 3e6, True, "30 MB  3.0 MB/s"),
    ],
)
def test_how_far(done: float, total: float | None, rate: float, in_bytes: bool, said) -> None:
    assert how_far(done, total, rate, 75.0, in_bytes=in_bytes) == said


def test_the_rate_does_not_count_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cli.progress.time.monotonic", lambda: now[0])
    shown = ProgressItem("x", 100)
    now[0] += 30  # workers start
    shown.advance(1)
    assert shown.text() == "1/100  0:30"
    now[0] += 5
    shown.advance(10)
    assert shown.text() == "11/100  2.0/s  0:44 left"
    shown.close()


def test_lines_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    level.begin()
    monkeypatch.setattr("cli.progress.LINE_EVERY_S", 0.05)
    with console.waiting("align demo"):
        with console.bar("pairs", 4) as step:
            step()
            _until(lambda: "pairs: 1/4" in capsys.readouterr().err)
        _until(lambda: "align demo: 0:0" in capsys.readouterr().err)


def _until(is_so: Callable[[], bool]) -> None:
    import time

    for _ in range(400):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it was never said")


def test_usage_errors_are_one_class() -> None:
    assert issubclass(typer.BadParameter, UsageError)
    assert not issubclass(KeyError, UsageError)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "words", "offered"),
    [
        ("spfem-data al", 1, ["align", "align-pair"]),
        ("spfem-data align --retry", 2, ["--retry-failed"]),
        ("spfem-data align -d de", 3, ["demo"]),
    ],
)
def test_completion(typed: str, words: int, offered: list[str], repository: Path) -> None:
    environment = {**os.environ, "_SPFEM_DATA_COMPLETE": "complete_bash"}
    environment |= {"COMP_WORDS": typed, "COMP_CWORD": str(words)}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main"], cwd=repository, capture_output=True, text=True,
        env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.split() == offered
