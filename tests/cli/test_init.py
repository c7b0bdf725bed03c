"""`spfem-data init`: writes params.yaml, asks before it changes one, refuses in one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pipeline import params


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A RAVDESS of one take."""
    root = tmp_path / "ravdess" / "Actor_01"
    root.mkdir(parents=True)
    (root / "01-01-03-01-01-01-01.mp4").touch()
    return root.parent


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):
    """Somebody at a terminal who types these lines."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def give(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))

    return give


@pytest.mark.slow
def test_writes_the_default_and_the_entry(call, takes: Path, tmp_path: Path) -> None:
    code, out, err = call("init", takes, "--yes")
    assert (code, err) == (0, "")
    assert f"{takes}: ravdess, 1 takes of 1 speakers" in out
    assert "params.yaml: written, with ravdess" in out
    assert "next: spfem-data inventory --dataset ravdess" in out
    assert "need networks for recorded faces" in out
    assert "docs/howto/real-weights.md" in out
    loaded = params.load(tmp_path / "params.yaml")
    assert set(loaded.datasets) == {"demo", "ravdess"}
    assert loaded.datasets["ravdess"].root == str(takes)
    code, out, _ = call("inventory", "--dataset", "ravdess", "--json")
    assert code == 0
    assert '"takes": 1' in out


@pytest.mark.slow
def test_a_second_time_changes_nothing(call, takes: Path, tmp_path: Path) -> None:
    call("init", takes, "--yes")
    before = (tmp_path / "params.yaml").read_bytes()
    code, _, err = call("init", takes, "--yes")
    assert code == 0
    assert "is already listed" in err
    assert "params.yaml is unchanged" in err
    assert (tmp_path / "params.yaml").read_bytes() == before


@pytest.mark.slow
def test_an_entry_is_not_replaced_unasked(call, takes: Path, tmp_path: Path, typed) -> None:
    call("init", takes, "--yes", "--name", "mine")
    other = tmp_path / "other" / "Actor_02"
    other.mkdir(parents=True)
    (other / "01-01-03-01-01-01-02.mp4").touch()
    before = (tmp_path / "params.yaml").read_bytes()
    code, _, err = call("init", other.parent, "--yes", "--name", "mine")
    assert code == 1
    assert f"params.yaml already has mine ({takes}): give another --name, or --replace" in err
    assert (tmp_path / "params.yaml").read_bytes() == before
    typed("y", "n")
    assert call("init", other.parent, "--name", "mine")[0] == 1
    assert (tmp_path / "params.yaml").read_bytes() == before
    assert call("init", other.parent, "--yes", "--name", "mine", "--replace")[0] == 0
    assert params.load(tmp_path / "params.yaml").datasets["mine"].root == str(other.parent)


@pytest.mark.slow
def test_asks_for_folders(call, takes: Path, tmp_path: Path, typed) -> None:
    typed(str(tmp_path / "absent"), str(takes), "", "y")
    code, out, err = call("init")
    assert code == 0
    assert "Where are your corpora?" in out
    assert "error: " in err
    assert "does not exist; name the folder of a corpus" in err
    assert set(params.load(tmp_path / "params.yaml").datasets) == {"demo", "ravdess"}


def test_a_no_writes_nothing(call, takes: Path, tmp_path: Path, typed) -> None:
    params_file = tmp_path / "params.yaml"
    params_file.write_text(params.default_text(), encoding="utf-8")
    typed("n")
    code, _, err = call("init", takes)
    assert code == 0
    assert "params.yaml is unchanged" in err
    assert params_file.read_text(encoding="utf-8") == params.default_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no terminal to prompt on; run: spfem-data init FOLDER ... --yes"),
        (["absent", "--yes"], "absent does not exist"),
        (["--name", "x", "--yes"], "--name names one dataset"),
    ],
)
def test_refuses_in_one_line(call, arguments: list[str], said: str, tmp_path: Path) -> None:
    code, _, err = call("init", *arguments)
    assert code == 1
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.slow
def test_a_split_that_is_none_is_told(call, takes: Path, tmp_path: Path) -> None:
    code, _, err = call("init", takes, "--yes", "--split", "by_speeker")
    assert code == 1
    assert "names split 'by_speeker'" in err
    assert "did you mean 'by_speaker'?" in err
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.slow
def test_writes_the_file_that_params_names(
    call, takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPFEM_PARAMS", "mine.yaml")
    code, out, err = call("init", takes, "--yes")
    assert (code, err) == (0, "")
    assert "mine.yaml: written, with ravdess" in out
    assert set(params.load(tmp_path / "mine.yaml").datasets) == {"demo", "ravdess"}
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.slow
def test_in_a_subfolder_the_projects_file_changes(
    call, takes: Path, params_here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "notes"
    inner.mkdir()
    monkeypatch.chdir(inner)
    code, out, _ = call("init", Path("..") / takes.name, "--yes")
    assert code == 0
    assert f"{params_here}: changed, with ravdess" in out
    assert "ravdess" in params.load(params_here).datasets
    assert list(inner.iterdir()) == []
