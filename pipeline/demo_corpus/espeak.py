"""Speech with exact phoneme times: espeak-ng through ctypes.

This is the only module that imports espeakng_loader (GPL-3, the extra `demo`). The library keeps
state between calls (noise and flutter), so that the same text gives different samples the second
time. It is therefore reloaded for each sentence, which takes 2 ms.
"""

from __future__ import annotations

import _ctypes
import ctypes
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MissingExtraError, PipelineError

F32 = NDArray[np.float32]

PAUSE = "_"
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_UTF8, _SSML = 1, 0x10
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_SILENT = 0.02  # relative to the loudest sample; below it, a stop's closure


@dataclass(frozen=True)
class Delivery:
    """The delivery of one sentence.

    Attributes
    ----------
    voice
        espeak-ng voice name.
    words_per_minute, pitch, pitch_range
        espeak-ng's own scales (80..450, 0..99, 0..99).
    tempo
        One factor per word on the rate; > 1 is faster.
    """

    voice: str
    words_per_minute: int
    pitch: int
    pitch_range: int
    tempo: tuple[float, ...]


@dataclass(frozen=True)
class Speech:
    """A spoken sentence and its phonemes.

    Attributes
    ----------
    samples
        Mono, about -1..1, at `rate_hz`.
    phonemes
        espeak-ng mnemonics without stress marks. `_` before each word and at the end covers
        the silence there (including a stop's closure) and may last 0 s, so that all deliveries of a
        sentence have the same sequence.
    onsets
        (n + 1) sample where each phoneme begins and the last one ends. A stop begins with its
        burst.
    closures
        Sample where the silence before each phoneme begins; its onset if there is none.
    word_starts
        Index of the `_` before each word.
    """

    samples: F32
    rate_hz: int
    phonemes: tuple[str, ...]
    onsets: NDArray[np.int64]
    closures: NDArray[np.int64]
    word_starts: tuple[int, ...]


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingExtraError("espeakng-loader", "demo") from error
    return espeakng_loader


def _unload(library: ctypes.CDLL) -> None:
    library.espeak_Terminate()
    close = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary")  # noqa: B009
    close(library._handle)


def _collect(
    chunks: list[F32], events: list[tuple[int, int, str]], wav: Any, count: int, event: Any
) -> int:
    """Collect the samples of espeak-ng, and (type, sample, mnemonic) of each event."""
    if count > 0 and wav:
        chunks.append(np.ctypeslib.as_array(wav, shape=(count,)).astype(np.float32) / 32768)
    k = 0
    while event[k].type != _EVENT_END:
        name = bytes(event[k].id.string).decode("utf-8", "replace")
        events.append((event[k].type, event[k].sample, name))
        k += 1
    return 0


def _run(markup: str, delivery: Delivery) -> tuple[F32, int, list[tuple[int, int, str]]]:
    """Synthesise SSML with a newly loaded library; returns samples, rate and events."""
    loader = _loader()
    chunks: list[F32] = []
    events: list[tuple[int, int, str]] = []
    library = ctypes.CDLL(loader.get_library_path())
    try:
        data = loader.get_data_path().encode()
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | 0x8000)
        callback = _CALLBACK(partial(_collect, chunks, events))
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(delivery.voice.encode()) != 0:
            raise PipelineError(f"espeak-ng does not know the voice {delivery.voice!r}")
        settings = {
            _RATE: delivery.words_per_minute,
            _VOLUME: 100,
            _PITCH: delivery.pitch,
            _RANGE: delivery.pitch_range,
        }
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, value, 0)
        text = markup.encode()
        flags = _UTF8 | _SSML
        if library.espeak_Synth(text, len(text) + 1, 0, 1, 0, flags, None, None) != 0:
            raise PipelineError(f"espeak-ng could not speak {markup!r}")
        library.espeak_Synchronize()
    finally:
        _unload(library)
    return np.concatenate(chunks), int(rate_hz), events


def _markup(text: str, tempo: tuple[float, ...]) -> str:
    words = text.split()
    if len(words) != len(tempo):
        raise ValueError(f"{len(tempo)} tempo factors for {len(words)} words: {text!r}")
    spoken = (
        f'<prosody rate="{round(100 * factor)}%">{escape(word)}</prosody>'
        for word, factor in zip(words, tempo, strict=True)
    )
    return f"<speak>{' '.join(spoken)}</speak>"


def plain_phoneme(mnemonic: str) -> str:
    """Strip espeak-ng's stress and pause marks; `_` for a silence."""
    name = mnemonic.strip("',_|%=;-")
    return name if name.strip(":") else PAUSE


def _closure_start(samples: F32, onset: int) -> int:
    """First sample of the silence that ends at `onset`."""
    loud = np.nonzero(np.abs(samples[:onset]) > _SILENT * np.abs(samples).max())[0]
    return int(loud[-1]) + 1 if len(loud) else 0


def say(text: str, delivery: Delivery) -> Speech:
    """Synthesise a sentence.

    Raises
    ------
    MissingExtraError
        When espeakng_loader is not installed.
    PipelineError
        When espeak-ng rejects the voice or the text.
    """
    samples, rate_hz, events = _run(_markup(text, delivery.tempo), delivery)
    phonemes: list[str] = []
    onsets: list[int] = []
    words: list[int] = []
    word_start: int | None = 0
    for kind, sample, mnemonic in events:
        name = plain_phoneme(mnemonic)
        if kind == _EVENT_WORD:
            word_start = sample
        elif kind == _EVENT_PHONEME and name != PAUSE:
            if word_start is not None:
                words.append(len(phonemes))
                phonemes.append(PAUSE)
                onsets.append(word_start)
                word_start = None
            phonemes.append(name)
            onsets.append(sample)
    ends = (s for kind, s, _ in events if kind == _EVENT_PHONEME and s > onsets[-1])
    end = next(ends, len(samples))
    closures = [_closure_start(samples, onset) for onset in onsets]
    return Speech(
        samples=samples,
        rate_hz=rate_hz,
        phonemes=(*phonemes, PAUSE),
        onsets=np.array([*onsets, end, len(samples)], np.int64),
        closures=np.array([*closures, end], np.int64),
        word_starts=tuple(words),
    )
