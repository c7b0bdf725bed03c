"""How many pairs names alone allow, and what prevents more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import params
from pipeline.corpora import custom
from pipeline.corpora.possible_pairs import possible_pairs
from pipeline.records import Take

ALIGN = params.load(None).align
RULE = params.load(None).splits["by_speaker"]


def _takes(folder: Path, *rows: str) -> tuple[Take, ...]:
    """Takes of a manifest with rows `speaker,emotion,sentence`."""
    lines = ["path,speaker,emotion,sentence"]
    for k, row in enumerate(rows):
        (folder / f"{k}.mp4").touch()
        lines.append(f"{k}.mp4,{row}")
    (folder / "takes.csv").write_text("\n".join(lines) + "\n")
    return tuple(custom.draft("mine", folder / "takes.csv").takes)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["M003,happy,a", "M003,sad,b"], "0, because M003 has no neutral take"),
        (["M003,neutral,a"], "0, because M003 has only neutral takes"),
        (["A,neutral,a", "A,happy,a", "A,sad,a"], "at most 2"),
        (
            ["A,neutral,a", "A,happy,a", "A,sad,b", "B,sad,a"],
            "at most 1; 1 of 2 takes of A lack a neutral take of view and sentence; "
            "B has no neutral take",
        ),
        (
            ["A,sad,a", "B,sad,a", "C,sad,a", "D,sad,a"],
            "0, because A has no neutral take; B has no neutral take; C has no neutral take; "
            "and 1 more",
        ),
    ],
)
def test_the_verdict(rows: list[str], line: str, tmp_path: Path) -> None:
    assert str(possible_pairs(_takes(tmp_path, *rows), RULE, ALIGN)) == f"pairs possible: {line}"


def test_without_takes() -> None:
    assert str(possible_pairs((), RULE, ALIGN)) == "pairs possible: 0, because there are no takes"


def test_every_two_emotions(tmp_path: Path) -> None:
    takes = _takes(tmp_path, "A,happy,a", "A,sad,a", "A,angry,a", "A,fear,b")
    every = ALIGN.model_copy(update={"pairs": "all"})
    assert possible_pairs(takes, RULE, every).count == 3


def test_speakers_outside_the_split(tmp_path: Path) -> None:
    takes = _takes(tmp_path, "A,neutral,a", "A,happy,a", "B,neutral,a", "B,happy,a")
    rule = RULE.model_copy(update={"only": ["B"]})
    assert str(possible_pairs(takes, rule, ALIGN)) == (
        "pairs possible: at most 1; the split does not include A"
    )
