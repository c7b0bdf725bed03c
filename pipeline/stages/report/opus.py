"""The audio of a take for the page: Opus in Ogg, about 3 kB per second.

Every current browser plays Opus, and its container specifies the encoder delay to skip, so that
playback stays in sync.
"""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

BITS_PER_S = 24_000


def opus_bytes(samples: NDArray[np.float32], rate_hz: int) -> bytes:
    """Encode audio as Opus in Ogg. The same samples give the same bytes.

    Parameters
    ----------
    samples
        (n,) mono, full scale 1, n >= 1.
    rate_hz
        A rate that Opus supports: 8, 12, 16, 24 or 48 kHz.
    """
    target = io.BytesIO()
    # bitexact: no random serial number and no version in the file
    with av.open(target, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libopus", rate=rate_hz, options={"application": "voip", "flags": "+bitexact"}
        )
        stream.layout, stream.format, stream.bit_rate = "mono", "flt", BITS_PER_S
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32)[None], format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts = rate_hz, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return target.getvalue()
