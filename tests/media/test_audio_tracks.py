"""The track and channel with speech are decoded."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from pipeline import media
from pipeline.media.audio_tracks import Decoder, Speech, decode_speech
from tests.builders.findings import Made, babble, hum, tracks, with_channels
from tests.builders.media_files import AUDIO_HZ, tone

RATE_HZ = 16000
S = 2.0


def speech_of(made: Made, keep: tuple[str, ...] = ()) -> Speech:
    decoder = Decoder(lambda: nullcontext(made.path), RATE_HZ, 60.0, -60.0, True)
    speech = decode_speech(decoder, keep)
    assert speech is not None
    return speech


def correlation(speech: Speech, want: np.ndarray) -> float:
    want = media.resample(want, AUDIO_HZ, RATE_HZ)
    n = min(len(want), len(speech.audio.samples))
    return float(np.corrcoef(speech.audio.samples[:n], want[:n])[0, 1])


def test_one_track_has_no_findings(tmp_path: Path) -> None:
    speech = speech_of(tracks(tmp_path / "a.mkv", babble(S)))
    assert speech.findings == set()
    assert correlation(speech, babble(S)) > 0.99


def test_a_silent_first_track_is_passed_over(tmp_path: Path) -> None:
    speech = speech_of(tracks(tmp_path / "a.mkv", 0 * tone(S), babble(S)))
    assert speech.findings == {"several_tracks"}
    assert correlation(speech, babble(S)) > 0.99


@pytest.mark.parametrize("flag", [Disposition.comment, Disposition.dub])
def test_a_commentary_is_passed_over(tmp_path: Path, flag: Disposition) -> None:
    flags = [flag | Disposition.default, 0]
    speech = speech_of(tracks(tmp_path / "a.mkv", babble(S, seed=1), babble(S), dispositions=flags))
    assert speech.findings == {"several_tracks"}
    assert correlation(speech, babble(S)) > 0.99


def test_two_unmarked_voices_are_a_finding(tmp_path: Path) -> None:
    speech = speech_of(tracks(tmp_path / "a.mkv", babble(S, seed=1), babble(S)))
    assert speech.findings == {"several_tracks", "two_voices"}


def test_two_tracks_of_one_recording_are_no_rivals(tmp_path: Path) -> None:
    speech = speech_of(tracks(tmp_path / "a.mkv", babble(S), 0.3 * babble(S)))
    assert speech.findings == {"several_tracks"}
    assert speech.audio.peak == pytest.approx(float(np.abs(babble(S)).max()), abs=0.01)


def test_speech_is_preferred_to_a_steady_track(tmp_path: Path) -> None:
    speech = speech_of(tracks(tmp_path / "a.mkv", hum(S), babble(S)))
    assert speech.findings == {"several_tracks"}
    assert correlation(speech, babble(S)) > 0.99


def test_channels_of_opposite_phase(tmp_path: Path) -> None:
    made = with_channels(tmp_path / "a.mkv", babble(S), -babble(S))
    speech = speech_of(made)
    assert speech.findings == {"channels_cancel"}
    assert abs(correlation(speech, babble(S))) > 0.99
    kept = speech_of(made, keep=("channels_cancel",))
    assert kept.findings == {"channels_cancel"}
    assert kept.audio.peak < 1e-3


def test_a_voice_next_to_noise(tmp_path: Path) -> None:
    made = with_channels(tmp_path / "a.mkv", hum(S), babble(S))
    speech = speech_of(made)
    assert speech.findings == {"channels_differ"}
    assert correlation(speech, babble(S)) > 0.99
    assert correlation(speech_of(made, keep=("channels_differ",)), babble(S)) < 0.97


def test_two_voices_on_two_channels(tmp_path: Path) -> None:
    speech = speech_of(with_channels(tmp_path / "a.mkv", babble(S, seed=1), babble(S)))
    assert speech.findings == {"channels_differ", "two_voices"}


@pytest.mark.parametrize("late", [0, 24])
def test_two_microphones_of_one_voice_are_averaged(tmp_path: Path, late: int) -> None:
    voice = babble(S)
    speech = speech_of(with_channels(tmp_path / "a.mkv", voice, np.roll(0.7 * voice, late)))
    assert speech.findings == set()


def test_a_silent_channel_is_no_rival(tmp_path: Path) -> None:
    speech = speech_of(with_channels(tmp_path / "a.mkv", babble(S), 0 * babble(S)))
    assert speech.findings == set()
    assert correlation(speech, babble(S)) > 0.99
