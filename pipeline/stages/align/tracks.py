"""The frames of a take as align needs them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.alignment.types import FloatArray


@dataclass(frozen=True)
class Track:
    """The frames of a take, and its mouth (NaN: no face).

    `instants_s` are on the clock of its audio, after the `late_s` by which the image was late was
    subtracted; `error_s` is the standard error of that, None if unknown.
    """

    instants_s: FloatArray
    mouth_open: FloatArray
    mouth_width: FloatArray
    late_s: float = 0.0
    error_s: float | None = None
