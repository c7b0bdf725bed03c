import io

import av
import numpy as np
import pytest

from pipeline.stages.report.opus import opus_bytes


def decoded(content: bytes) -> np.ndarray:
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


@pytest.mark.parametrize("n", [1, 1600, 24_001])
def test_it_is_as_long_as_the_audio(n: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, n).astype(np.float32)
    assert len(decoded(opus_bytes(noise, 16000))) == pytest.approx(3 * n, abs=1)


def test_a_click_stays_where_it_is() -> None:
    audio = np.zeros(16000, np.float32)
    audio[8000:8080] = 0.9
    assert np.argmax(np.abs(decoded(opus_bytes(audio, 16000)))) / 48000 == pytest.approx(
        0.5025, abs=0.006
    )


def test_the_same_bytes_and_small() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert opus_bytes(noise, 16000) == opus_bytes(noise, 16000)
    assert len(opus_bytes(noise, 16000)) < 10_000
