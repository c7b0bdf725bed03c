"""What holds for any input: maps, affines, keys, counts, order."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment.frame_pairs import frame_pairs
from pipeline.alignment.warping_path import Warp, map_times
from pipeline.errors import PipelineError
from pipeline.faces.affine import apply, compose, invert
from pipeline.records import Clip, Pair, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.store import ItemStore, write_bytes
from pipeline.runtime.summaries import Summary
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.runtime.units import Unit, UnitResult, run_units
from pipeline.stages.align import stage as align
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.score import stage as score
from pipeline.stages.shards import stage as shards
from tests.builders.babble import make_params
from tests.builders.dataset import make_inputs, make_run
from tests.builders.digests import digests
from tests.builders.scores import write_scores

_HOP_S = 0.01
STEPS = st.lists(st.sampled_from([(1, 1), (1, 0), (0, 1)]), min_size=1, max_size=120)
FINITE = st.floats(-3.0, 3.0)


def _warp(steps: Sequence[tuple[int, int]]) -> Warp:
    cells = np.cumsum([(0, 0), *steps], axis=0).astype(np.int32)
    shape = (int(cells[-1, 0]) + 1, int(cells[-1, 1]) + 1)
    return Warp(cells[:, 0], cells[:, 1], np.full(len(cells), 0.1), shape, _HOP_S)


@pytest.mark.slow
@given(STEPS, st.integers(0, 2**32 - 1), st.floats(5, 120), st.floats(5, 120))
@settings(max_examples=150)
def test_any_path_gives_one_to_one_frames_inside_both_takes(
    steps: list[tuple[int, int]], seed: int, fps_a: float, fps_b: float
) -> None:
    path = _warp(steps)
    n, m = path.shape
    rng = np.random.default_rng(seed)
    seen = rng.random((n, m))
    instants_a = (np.arange(max(1, int(n * _HOP_S * fps_a) + 3)) + 0.5) / fps_a
    instants_b = (np.arange(max(1, int(m * _HOP_S * fps_b) + 3)) + 0.5) / fps_b
    params = make_params().frames.model_copy(
        update={"min_confidence": float(rng.choice([0.0, 0.3, 0.85]))}
    )
    found = frame_pairs(path, rng.random((n, m)), seen, instants_a, instants_b, params)
    assert (np.diff(found.frame_a) > 0).all()
    assert (np.diff(found.frame_b) > 0).all()
    for frames, instants in ((found.frame_a, instants_a), (found.frame_b, instants_b)):
        assert ((frames >= 0) & (frames < len(instants))).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


@pytest.mark.slow
@given(STEPS, st.lists(st.floats(0, 3), min_size=1, max_size=30))
@settings(max_examples=150)
def test_a_time_map_and_its_inverse_give_the_time_back(
    steps: list[tuple[int, int]], times: list[float]
) -> None:
    knots = _warp(steps).knots_s
    assert (np.diff(knots, axis=0) > 0).all()
    back = map_times(knots[:, ::-1], map_times(knots, times))
    np.testing.assert_allclose(back, times, atol=1e-9)


AFFINES = st.tuples(FINITE, FINITE, FINITE, FINITE, st.floats(-900, 900), st.floats(-900, 900)).map(
    lambda v: np.array([[v[0], v[1], v[4]], [v[2], v[3], v[5]]])
).filter(lambda m: abs(np.linalg.det(m[:, :2])) > 1e-3)  # fmt: skip


@pytest.mark.slow
@given(AFFINES, AFFINES, st.integers(0, 99))
@settings(max_examples=200)
def test_an_affine_and_its_inverse_compose_to_nothing(
    one: np.ndarray, other: np.ndarray, seed: int
) -> None:
    identity = np.eye(2, 3)
    large = 1 + np.abs(one).max() * np.abs(invert(one)).max()
    for both in (compose(one, invert(one)), compose(invert(one), one)):
        np.testing.assert_allclose(both, identity, atol=1e-11 * large)
    points = np.random.default_rng(seed).uniform(-500, 500, (7, 2))
    once = apply(compose(one, other), points)
    np.testing.assert_allclose(once, apply(one, apply(other, points)), rtol=1e-9, atol=1e-6)


@given(st.integers(0, 50), st.lists(st.integers(0, 9), max_size=5), st.integers(-3, 3))
def test_a_count_that_does_not_add_up_is_refused(kept: int, lost: list[int], wrong: int) -> None:
    reasons = {f"reason{k}": n for k, n in enumerate(lost)}
    planned = kept + sum(lost) + wrong

    def make() -> Summary:
        return Summary("pose", "made", "pair", planned, kept, reasons, 0, 0, 0)

    if wrong:
        with pytest.raises(AssertionError, match=f"pose: {wrong} of {planned} pair unaccounted"):
            make()
    else:
        assert make().planned == planned


class _Planned(BaseException):
    """The units that a stage planned: raised instead of doing them."""


def _keys(stage: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The key of every unit that a stage would do, without doing one."""

    def planned(run: Run, name: str, grain: str, units: Sequence[Unit], *_: Any, **__: Any) -> Any:
        raise _Planned({unit.name: unit.key for unit in units})

    with monkeypatch.context() as patch:
        patch.setattr(stage, "run_units", planned)
        try:
            stage.run(run)
        except _Planned as told:
            return dict(told.args[0])
    raise AssertionError(f"{stage.__name__} planned nothing")


COVERED = {
    align: ("align.", "splits.by_speaker."),
    pose: ("pose.",),
    score: ("score.",),
    shards: ("shards.",),
}
"""Of which parameters each stage's keys may tell; `params` under each stage in dvc.yaml."""
NOT_IN_KEYS = {
    # say what is planned, not what comes of a unit; or choose among equals
    "shards.min_confidence", "shards.n_shards", "shards.protocols", "shards.windows.min_confidence",
    "shards.frames", "score.weights", "score.network", "score.device", "score.batch",
    # of two files alone
    "align.max_score_files",
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The made takes with their poses, so that any later stage can plan."""
    run = make_run(tmp_path_factory.mktemp("keys"))
    entry = run.params.datasets["made"].model_copy(update={"split": "by_speaker"})
    rule = run.params.splits["by_speaker"].model_copy(update={"assign": {"S2": "test"}})
    changes = {"datasets": {"made": entry}, "splits": {"by_speaker": rule}}
    run = replace(run, params=run.params.model_copy(update=changes))
    make_inputs(run)
    write_scores(run)
    pose.run(run)
    filter_stage.run(run)
    return run


def _leaves(value: Any, head: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in _leaves(part, f"{head}{key}.")]
    return [(head.rstrip("."), value)]


def _other(value: Any) -> Any:
    """Another value, of the same kind where that says something."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return [*value, "more"] if isinstance(value, list) else f"{value}x"


def _with(section: Any, names: list[str], value: Any) -> Any:
    if not names:
        return value
    if isinstance(section, dict):
        return {**section, names[0]: _with(section[names[0]], names[1:], value)}
    part = _with(getattr(section, names[0]), names[1:], value)
    return section.model_copy(update={names[0]: part})


@pytest.mark.slow
@pytest.mark.parametrize("stage", [pose, shards, align], ids=lambda stage: stage.__name__[16:])
def test_keys_change_with_what_they_cover_and_with_nothing_else(
    stage: Any, inputs: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _keys(stage, inputs, monkeypatch)
    assert len(before) >= 2
    changed, same = set(), set()
    for name, value in _leaves(inputs.params.model_dump(mode="json")):
        if name.startswith(("datasets.", "models.")) or value is None:
            continue
        other = replace(inputs, params=_with(inputs.params, name.split("."), _other(value)))
        try:
            now = _keys(stage, other, monkeypatch)
        except (TypeError, ValueError, KeyError, PipelineError):
            continue  # a value that no valid file can hold
        (changed if now != before else same).add(name)
    own = COVERED[stage]
    assert {name for name in changed if not name.startswith(own)} == set()
    missed = {name for name in same if name.startswith(own[0])}
    assert {name for name in missed if not name.startswith(tuple(NOT_IN_KEYS))} == set()
    assert len(changed) > 5 or stage is pose


@pytest.mark.parametrize("stage", [align, pose, shards], ids=lambda stage: stage.__name__[16:])
def test_keys_change_with_version_and_input(
    stage: Any, inputs: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _keys(stage, inputs, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "VERSION", stage.VERSION + 1)
        assert not set(_keys(stage, inputs, patch).items()) & set(before.items())
    path = inputs.table("extract", "clips")
    whole = path.read_bytes()
    clips = read_rows(path, Clip)
    one = next(k for k, clip in enumerate(clips) if clip.speaker == "S2")
    clips[one] = replace(clips[one], frames_sha256="0" * 64, audio_sha256="0" * 64)
    write_rows(path, clips, Clip)
    try:
        now = _keys(stage, inputs, monkeypatch)
    finally:
        path.write_bytes(whole)
    differ = {name for name in now if now[name] != before.get(name)}
    assert differ
    if stage is not shards:
        assert differ == {"S2"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_changes_no_byte(inputs: Run, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    run = make_run(tmp_path)
    make_inputs(run)
    write_scores(run)
    for name, kind in (("clips", Clip), ("pairs", Pair), ("sentences", Sentence)):
        path = run.table("extract" if name == "clips" else "align", name)
        rows: list[Any] = read_rows(path, kind)
        draw.shuffle(rows)
        write_rows(path, rows, kind)
    pose.run(run)
    filter_stage.run(run)
    for name in ("pose", "filter"):
        assert digests(run.folder(name)) == digests(inputs.folder(name))


def _echo(state: None, store: ItemStore, unit: str, payload: int) -> UnitResult:
    write_bytes(store.path(unit, ".txt"), b"%d" % payload)
    return UnitResult([".txt"], {"rows": [{"n": payload}]})


@pytest.mark.slow
@given(st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True), st.randoms())
@settings(max_examples=20)
def test_units_in_any_order_give_the_same_files_and_rows(
    numbers: list[int], draw: random.Random
) -> None:
    def done(order: list[int]) -> tuple[dict[str, str], list[Any]]:
        with tempfile.TemporaryDirectory() as folder:
            run = make_run(Path(folder))
            units = [Unit(f"u{n:02d}", f"key{n}", n) for n in order]
            batch = run_units(run, "pose", "take", units, _echo)
            return digests(Path(folder)), batch.rows("rows")

    shuffled = draw.sample(numbers, len(numbers))
    assert done(shuffled) == done(sorted(numbers))
