"""One pair as one image."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import OutOfOrderError, PipelineError
from pipeline.records import Pair
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows
from pipeline.stages.pose import stage as pose
from pipeline.tools.show_pair.one_pair import draw_pair, find_dataset
from tests.builders.dataset import make_inputs, make_run


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    make_inputs(run)
    return run


def ids(run: Run) -> list[str]:
    return sorted(pair.pair_id for pair in read_rows(run.table("align", "pairs"), Pair))


def drawn(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.slow
def test_a_pair_is_one_image_with_faces_and_curves(made: Run) -> None:
    pose.run(made)
    content = draw_pair(made, ids(made)[0])
    assert content == draw_pair(made, ids(made)[0])
    image = drawn(content)
    assert image.shape[1:] == (1280, 3)
    assert image.shape[0] > 700
    faces = image[150:400, 96:1260]
    assert faces.std() > 10
    path_colour = np.abs(image.astype(int) - (168, 70, 26)).sum(axis=-1) < 30
    assert path_colour[-140:, 96:1260].any(axis=0).mean() > 0.8  # the path, from end to end


@pytest.mark.slow
def test_before_pose_there_is_a_image_too(made: Run) -> None:
    assert drawn(draw_pair(made, ids(made)[0])).shape[1] == 1280


@pytest.mark.slow
def test_an_unknown_pair_names_the_nearest(made: Run) -> None:
    known = ids(made)[0]
    with pytest.raises(PipelineError, match=re.escape(f"did you mean {known}?")):
        draw_pair(made, known[:-1])
    with pytest.raises(PipelineError, match=r"has no pair \?; the 4 that it has are in"):
        draw_pair(made, "?")


def test_out_of_order_it_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(OutOfOrderError, match="run first: spfem-data align"):
        draw_pair(make_run(tmp_path), "p")


@pytest.mark.slow
def test_a_pair_finds_its_dataset(made: Run) -> None:
    known = ids(made)[0]
    assert find_dataset(made.data, ["absent", made.dataset], known) == made.dataset
    with pytest.raises(PipelineError, match=re.escape(f"no dataset has a pair {known[:-1]}; did")):
        find_dataset(made.data, [made.dataset], known[:-1])
    with pytest.raises(PipelineError, match=r"no dataset has a pair \? \(0 pairs in "):
        find_dataset(made.data, ["absent"], "?")
