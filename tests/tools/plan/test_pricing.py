"""Prices: bytes by what units write, and what lies beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import params
from pipeline.latents.loading import Chosen, shape_of
from pipeline.models.registry import Weights, write_weights
from pipeline.runtime.run import Options, Run, Unit
from pipeline.runtime.store import write_bytes
from pipeline.tools.plan.default_rates import COMPILE_S
from pipeline.tools.plan.pricing import Price, price_of
from pipeline.tools.plan.rating import Rate, slowness
from pipeline.tools.plan.unit_status import Certainty, Fates, fates_of

RATE = Rate(1.0, 0.0, 0.0, 0.0, 0.0, 5.0, 3.0, 50.0, "made")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("pipeline.tools.plan.pricing.rate_of", lambda *_: RATE)
    return Run("made", params.load(None), tmp_path, Options("serial"))


def _unit(name: str, volume: float) -> Unit:
    return Unit(name, f"key of {name}", None, effort=2.0, volume=volume)


def _lay(run: Run, stage: str, unit: Unit, n_bytes: int) -> None:
    """A unit that was done, with one file of so many bytes."""
    store = run.items(stage)
    write_bytes(store.path(unit.name, ".bin"), b"x" * n_bytes)
    store.commit(unit.name, unit.key, [".bin"], {})


def _beside(run: Run, stage: str, unit: str) -> int:
    return run.items(stage).path(unit, ".receipt.json").stat().st_size


def _price(run: Run, stage: str, units: list[Unit]) -> Price:
    found = price_of(run, fates_of(run, stage, units), {})
    assert found is not None
    return found


def test_units_are_as_dense_as_reused_ones_of_their_kind(run: Run) -> None:
    done = [_unit("pairs/a", 10.0), _unit("takes/a", 10.0)]
    for unit, n_bytes in zip(done, (1000, 20), strict=True):
        _lay(run, "shards", unit, n_bytes)
    more = [_unit("pairs/b", 3.0), _unit("takes/b", 50.0)]
    assert _price(run, "shards", [*done, *more]).written_bytes == 3 * 100 + 50 * 2
    other = [_unit("frames/a", 10.0)]  # a kind that was never done is as dense as all
    assert _price(run, "shards", [*done, *other]).written_bytes == 10 * 1020 / 20


def test_units_to_be_redone_are_as_dense_as_those_of_their_kind_were(run: Run) -> None:
    for name, n_bytes in (("pairs/a", 1000), ("takes/a", 20)):
        _lay(run, "shards", _unit(name, 10.0), n_bytes)
    changed = replace(_unit("pairs/a", 10.0), key="another")
    more = [changed, _unit("pairs/b", 5.0), _unit("takes/a", 10.0), _unit("takes/b", 10.0)]
    assert _price(run, "shards", more).written_bytes == 1000 + 500 + 20


def test_without_any_reused_unit_the_rate_tells(run: Run) -> None:
    price = _price(run, "invert", [_unit("A/1", 10.0), _unit("A/2", 30.0)])
    assert price.written_bytes == 40 * RATE.unit_bytes
    assert price.disk_bytes == price.written_bytes + 2 * RATE.beside_bytes  # a receipt a take
    price = _price(run, "align", [_unit("A", 10.0), _unit("B", 30.0)])
    assert price.disk_bytes == price.written_bytes + 40 * RATE.beside_bytes  # rows of frames


def test_what_lies_beside_grows_as_it_lies_there(run: Run) -> None:
    one = _unit("A/1", 10.0)
    for stage in ("invert", "align"):
        _lay(run, stage, one, 70)
    more = _unit("A/2", 30.0)
    price = _price(run, "invert", [one, more])
    assert price.disk_bytes == 4 * 70 + 2 * _beside(run, "invert", "A/1")
    price = _price(run, "align", [one, more])
    assert price.disk_bytes == 4 * 70 + 4 * _beside(run, "align", "A/1")


def test_what_cannot_be_told_has_no_price_and_the_page_one_by_its_sheets(run: Run) -> None:
    assert price_of(run, Fates("report", certainty="unknown"), {}) is None
    price = _price(run, "report", [_unit("cards/a", 1.0), _unit("faces/b", 0.05)])
    assert price.written_bytes == round(1.05 * RATE.unit_bytes)
    assert price.disk_bytes == pytest.approx(1.05 * RATE.unit_bytes * (1 + RATE.beside_bytes))


def test_of_what_is_told_as_at_most_nothing_may_be_redone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(RATE, rest_s=7.0)
    monkeypatch.setattr("pipeline.tools.plan.pricing.rate_of", lambda *_: slow)
    told: dict[Certainty, float] = {"exact": 9.0, "expected": 9.0, "at most": 7.0}
    for certainty, least_s in told.items():
        fates = fates_of(run, "pose", [_unit("A", 1.0)], certainty=certainty)
        price = price_of(run, fates, {})
        assert price is not None
        assert (price.seconds, price.least_seconds) == (9.0, least_s)


def test_a_generator_s_file_tells_how_large_codes_and_pictures_are(tmp_path: Path) -> None:
    config = {"size": 1024, "channels": [32] * 9, "style_dim": 512, "n_mlp": 8}
    path = tmp_path / "generator.safetensors"
    write_weights(path, {}, {"kind": "stylegan2-generator", "config": config})
    shape = shape_of(Chosen({"generator": Weights("generator", path, "0" * 64)}, None))
    assert (shape.n_latent, shape.dim, shape.size_px) == (18, 512, 1024)
    assert shape.code_bytes == 36_864
    assert shape.picture == pytest.approx(8**1.8)
    path.write_bytes(b"no weights")
    usual = shape_of(Chosen({"generator": Weights("generator", path, "0" * 64)}, None))
    assert usual == shape_of(Chosen({}, "there are none"))
    assert usual.picture == 1.0


def test_the_aligner_costs_its_compiling_until_it_is_compiled(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for compiled in (True, False):
        monkeypatch.setattr("pipeline.tools.plan.pricing.is_compiled", lambda told=compiled: told)
        found[compiled] = _price(run, "align", [_unit("S1", 10.0)]).seconds
    assert found[False] - found[True] == pytest.approx(COMPILE_S * slowness())
