"""Offsets of image against audio, of made takes whose mouth follows their audio."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.alignment.sync_model import SyncTrack, correlations, learn, sync_track
from pipeline.alignment.sync_offsets import LAGS_S, Offset, agree, commonest, pooled
from pipeline.alignment.types import FloatArray
from tests.alignment.moving_mouths import SECONDS, moving_mouth


def _track(seed: int, late_s: float = 0.0, noise: float = 0.0) -> SyncTrack:
    track = sync_track(*moving_mouth(seed, late_s, noise))
    assert track is not None
    return track


@pytest.fixture(scope="module")
def late_s() -> dict[str, float]:
    return {"a": 0.0, "b": 0.15, "c": 0.0, "d": 0.0, "e": -0.1, "f": 0.0}


@pytest.fixture(scope="module")
def measured(late_s: dict[str, float]) -> dict[str, list[FloatArray]]:
    """Correlations of three takes of each of six sessions, by the model of the others."""
    sessions = [name for name in late_s for _ in range(3)]
    tracks = [_track(k, late_s[name], 0.05) for k, name in enumerate(sessions)]
    model = learn(tracks, sessions, 3000.0)
    found: dict[str, list[FloatArray]] = {}
    for track, session in zip(tracks, sessions, strict=True):
        found.setdefault(session, []).append(correlations(track, model.weights(session)))
    return found


def _offsets(measured: dict[str, list[FloatArray]]) -> dict[str, Offset]:
    return {name: pooled(found, [SECONDS] * 3) for name, found in measured.items()}


def test_late_and_early_sessions_are_found(
    measured: dict[str, list[FloatArray]], late_s: dict[str, float]
) -> None:
    offsets = _offsets(measured)
    zero_s = commonest([o.offset_s for o in offsets.values()], [3] * 6)
    for name, offset in offsets.items():
        assert offset.offset_s - zero_s == pytest.approx(late_s[name], abs=0.015)
        assert 0.002 < offset.error_s < 0.02
        assert offset.strength > 0.6


def test_takes_of_a_session_agree_and_those_of_two_do_not(
    measured: dict[str, list[FloatArray]],
) -> None:
    assert all(agree(found, [SECONDS] * 3) for found in measured.values())
    assert agree(measured["b"][:1], [SECONDS])
    assert not agree([*measured["b"], *measured["e"]], [SECONDS] * 6)


def test_a_model_never_sees_the_session_that_it_judges() -> None:
    """A noisier mouth in one session changes the models of the others, and not its own."""
    sessions = list("abcdef")
    tracks = [_track(k) for k in range(6)]
    changed = [*tracks[:5], _track(5, noise=0.2)]
    one, other = (learn(found, sessions, 3000.0) for found in (tracks, changed))
    assert np.allclose(one.weights("f"), other.weights("f"), atol=1e-12)
    assert not np.allclose(one.weights("a"), other.weights("a"), atol=1e-5)
    assert np.array_equal(one.weights("elsewhere"), one.weights(""))


def test_a_mouth_that_follows_other_audio_is_weak() -> None:
    tracks = [_track(k) for k in range(8)]
    model = learn(tracks, [str(k) for k in range(8)], 3000.0)
    samples, instants_s, _ = moving_mouth(100)
    strange = sync_track(samples, instants_s, moving_mouth(200)[2])
    assert strange is not None
    own = sync_track(*moving_mouth(100))
    assert own is not None
    wrong, right = (pooled([correlations(t, model.weights(""))], [SECONDS]) for t in (strange, own))
    assert right.strength > 0.6 > 0.4 > wrong.strength
    assert wrong.error_s > 2 * right.error_s


def test_errors_fall_with_more_takes(measured: dict[str, list[FloatArray]]) -> None:
    one, three = pooled(measured["a"][:1], [SECONDS]), pooled(measured["a"], [SECONDS] * 3)
    assert three.error_s < 0.75 * one.error_s


def test_the_commonest_offset_is_no_mean() -> None:
    assert commonest([0.01, 0.012, 0.2, 0.2, -0.3], [1, 1, 1, 1, 1]) == pytest.approx(0.2)
    assert commonest([0.01, 0.012, 0.2], [2, 2, 3]) == pytest.approx(0.01)
    assert commonest([], []) == 0.0


def test_an_unseen_mouth_gives_no_track() -> None:
    samples, instants_s, mouth = moving_mouth(1)
    assert sync_track(samples, instants_s, np.full(len(mouth), np.nan)) is None
    assert sync_track(samples, instants_s, np.full(len(mouth), 0.2)) is None
    brief = np.where(instants_s < 0.4, mouth, np.nan)
    assert sync_track(samples, instants_s, brief) is None
    silent = sync_track(np.zeros(len(samples)), instants_s, mouth)
    assert silent is not None
    assert np.isfinite(silent.mel).all()
    assert correlations(silent, np.ones(352)).max() == 0
    assert len(LAGS_S) == len(silent.openings) == 81
