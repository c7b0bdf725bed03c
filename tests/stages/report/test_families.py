"""The report's part on families: figures, grids, the section."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.records import Clip
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows
from pipeline.stages.report.families import (
    families_page,
    family_figures,
    gather_made,
    grid_jobs,
    inversion_jobs,
    inversion_takes,
)
from pipeline.stages.report.grids import COLUMNS, grid, inversions
from pipeline.stages.report.page import _environment
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.dataset import make_inputs, make_run
from tests.builders.families import write_families


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    make_inputs(run)
    write_families(run)
    return run


def _clips(run: Run) -> dict:
    return {clip.take_id: clip for clip in read_rows(run.table("extract", "clips"), Clip)}


@pytest.mark.slow
def test_figures_are_of_the_kept_images(made: Run) -> None:
    figures = family_figures(gather_made(made))
    assert (figures["families_planned"], figures["families_kept"]) == (4, 4)
    happy, fear = figures["per_emotion"]["happy"], figures["per_emotion"]["fear"]
    assert (happy["made"], happy["kept"]) == (4, 4)
    assert happy["open_moved_median"] == pytest.approx(0.01)
    assert happy["clarity_rise_median"] == pytest.approx(0.6)
    assert (fear["made"], fear["kept"], fear["open_moved_median"]) == (4, 0, None)
    assert figures["reconstruction"]["open_moved_median"] == pytest.approx(0.005)
    assert figures["directions"]["happy"]["shift_before"] == [0.06]


@pytest.mark.slow
def test_grids_show_a_row_a_family_and_mark_rejects(made: Run) -> None:
    section = made.params.report.model_copy(update={"families": 1, "sheet_px": 32})
    jobs = list(grid_jobs(gather_made(made), _clips(made), made, section))
    assert [name for name, _, _ in jobs] == ["families/S1_neutral", "families/S2_neutral"]
    content = grid(jobs[0][2])
    coded = base64.b64decode(content["image"].split(",", 1)[1])
    image = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == (32, 32 * len(COLUMNS), 3)
    for k, emotion in enumerate(SEVEN_EMOTIONS):
        cell = image[:, 32 * (k + 1) : 32 * (k + 2)].astype(int)
        assert np.abs(cell[10:22, 10:22] - (20 + 30 * k + 2)).max() < 12, emotion
        red = cell[0, 16] - cell[16, 16]
        assert (red[0] > 30 and red[1] < -60) == (emotion == "fear")
    assert image[:, :32].std() > 5  # the source frame, textured
    assert [label["verdict"] for label in content["rows"][0]][COLUMNS.index("fear")] == (
        "mouth_moved"
    )


@pytest.mark.slow
def test_more_speakers_than_grids(made: Run) -> None:
    everything = gather_made(made)
    section = made.params.report.model_copy(update={"grids": 1})
    jobs = list(grid_jobs(everything, _clips(made), made, section))
    assert [name for name, _, _ in jobs] == ["families/S1_neutral"]
    page = families_page(everything, {"S1_neutral": grid(jobs[0][2])})
    assert page is not None
    assert (len(page.grids), page.n_speakers) == (1, 2)
    template = _environment().from_string(
        '{% from "families.html.j2" import families_section %}{{ families_section(made, "made") }}'
    )
    assert "One take per speaker, 1 of 2 speakers." in template.render(made=page)


@pytest.mark.slow
def test_section_tells_figures_and_directions(made: Run) -> None:
    everything = gather_made(made)
    jobs = grid_jobs(everything, _clips(made), made, made.params.report)
    page = families_page(everything, {name.split("/")[1]: grid(job) for name, _, job in jobs})
    assert page is not None
    template = _environment().from_string(
        '{% from "families.html.j2" import families_section %}{{ families_section(made, "made") }}'
    )
    text = template.render(made=page)
    assert "4 of 4 families were kept" in text
    assert text.count("data:image/jpeg") == 2
    assert "mouth moved" in text


def test_without_codes_there_is_no_section(tmp_path: Path) -> None:
    assert families_page(gather_made(make_run(tmp_path)), {}) is None


@pytest.mark.slow
def test_inversion_pairs_stand_by_their_error(made: Run) -> None:
    everything = gather_made(made)
    errors = dict(zip(["S1_neutral", "S2_neutral"], [0.1, 0.3], strict=True))
    inverted = tuple(replace(t, pixel_error=errors[t.take_id]) for t in everything.inverted)
    everything = replace(everything, inverted=inverted)
    both = inversion_takes(everything, 5)
    assert {k: [t.take_id for t in v] for k, v in both.items()} == {
        "worst": ["S2_neutral", "S1_neutral"]
    }
    assert set(inversion_takes(everything, 2)) == {"worst"}
    third = replace(everything.inverted[0], take_id="S2_neutral_2", pixel_error=0.2)
    families = (*everything.families, replace(everything.families[0], take_id="S2_neutral_2"))
    three = replace(everything, inverted=(*everything.inverted, third), families=families)
    assert {k: [t.take_id for t in v] for k, v in inversion_takes(three, 2).items()} == {
        "worst": ["S2_neutral", "S2_neutral_2"], "best": ["S1_neutral"],
    }  # fmt: skip
    one = inversion_takes(everything, 1)
    assert [one[kind][0].take_id for kind in ("worst", "best")] == ["S2_neutral", "S1_neutral"]
    section = made.params.report.model_copy(update={"sheet": 2, "sheet_px": 32})
    [(name, _, job)] = inversion_jobs(everything, _clips(made), made, section)
    drawn = inversions(job)
    page = families_page(everything, {}, {"worst": drawn}, 2)
    assert name == "inversions/worst"
    assert page is not None
    assert [take.take_id for take in page.inversions[0].takes] == ["S2_neutral", "S1_neutral"]
    coded = base64.b64decode(drawn["image"].split(",", 1)[1])
    image = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (64, 64, 3)
    assert image[:32].std() > 5  # source frames, textured
    assert abs(int(image[48, 16].mean()) - 22) < 12  # and what the made images hold: grey 22
