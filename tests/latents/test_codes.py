"""One pass over the codes of many takes: the rows asked for, and sums over all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import params
from pipeline.errors import TableError
from pipeline.latents.codes import CODES, Rows, gather, rows_of
from pipeline.records import InvertedTake
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.stages.directions.worker import _to_fit
from tests.builders.inverted_takes import write_take


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[InvertedTake]]:
    data = tmp_path_factory.mktemp("codes")
    takes = [
        write_take(data, speaker, emotion, k)[1]
        for speaker in "AB"
        for emotion in ("neutral", "happy")
        for k in range(2)
    ]
    return data / "invert" / "items", takes


def _all(inverted: Path, takes: list[InvertedTake]) -> np.ndarray:
    paths = [ItemStore(inverted).path(f"{t.speaker}/{t.take_id}", CODES) for t in takes]
    tables = [read_table(path, columns=["code", "verdict"]).to_pylist() for path in paths]
    return np.array([row["code"] for rows in tables for row in rows if row["verdict"] == "kept"])


@pytest.mark.slow
def test_rows_and_sums_are_those_of_all_codes(made: tuple[Path, list[InvertedTake]]) -> None:
    inverted, takes = made
    rows, codes = rows_of(takes), _all(inverted, takes)
    asked = {"few": np.array([0, 5, len(codes) - 1]), "none": np.empty(0, np.int64)}
    found = gather(takes, inverted, asked, [0])
    np.testing.assert_array_equal(found.some["few"].codes, codes[asked["few"]])
    assert found.some["few"].speakers.tolist() == ["A", "A", "B"]
    assert len(found.some["none"].codes) == 0
    middle = {
        speaker: np.mean(
            [
                codes[rows.takes == t].mean(axis=0)
                for t in np.unique(rows.takes[rows.speakers == speaker])
            ],
            axis=0,
        )
        for speaker in "AB"
    }
    for speaker in "AB":
        np.testing.assert_allclose(found.centres[speaker], middle[speaker], atol=1e-12)
    centred = codes - np.stack([middle[str(speaker)] for speaker in rows.speakers])
    assert found.scale == pytest.approx(np.sqrt(np.mean(np.sum(centred**2, axis=1))), rel=1e-9)


def test_codes_that_are_not_the_table_s_are_refused(
    made: tuple[Path, list[InvertedTake]],
) -> None:
    inverted, takes = made
    first = takes[0]
    wrong = [replace(first, n_kept=first.n_kept - 1, n_rejected=first.n_rejected + 1), *takes[1:]]
    with pytest.raises(TableError, match=r"kept codes, invert's table says .*; rerun invert"):
        gather(wrong, inverted, {}, [])


@pytest.mark.parametrize(("speakers", "n"), [(4, 2 * 4 * 200), (10, 2 * 2000), (100, 2 * 2000)])
def test_a_boundary_is_fitted_on_as_many_codes_however_many_takes_there_are(
    speakers: int, n: int
) -> None:
    """Each speaker shows 240 frames neutral and 240 happy, and 240 sad, which are not asked for."""
    names = np.array([f"s{k:03}" for k in range(speakers)])
    rows = Rows(
        np.repeat(names, 3 * 240),
        np.tile(np.repeat(["neutral", "happy", "sad"], 240), speakers),
        np.arange(speakers * 3 * 240) // 12,
    )
    job = SimpleNamespace(section=params.load(None).directions, emotion="happy")
    found = _to_fit(rows, job)
    assert len(found) == n
    assert set(rows.emotions[found]) == {"neutral", "happy"}
    assert (
        np.unique(rows.speakers[found], return_counts=True)[1].tolist()
        == [n // speakers] * speakers
    )
    assert (np.diff(found) > 0).all()
