"""The card of one pair as JSON: strips of faces, curves, spectrograms and audio."""

from __future__ import annotations

from typing import Any

from pipeline.stages.report import images
from pipeline.stages.report.opus import opus_bytes
from pipeline.stages.report.pair_view import RATE_HZ, CardJob, PoseFiles, pair_view


def card(files: PoseFiles, job: CardJob) -> dict[str, Any]:
    """The card of one pair as JSON values; images and audio are data URIs."""
    drawn, size = pair_view(files, job), job.section.thumb_px
    strip, overlay = None, None
    if drawn.tops:
        faces = {"a": images.strip(drawn.tops), "b": images.strip(drawn.bottoms)}
        strip = {**faces, "size_px": size, "posed": drawn.posed, "columns": list(drawn.columns)}
    if drawn.overlay is not None:
        frames = {"frame_a": drawn.overlay.frame_a, "frame_b": drawn.overlay.frame_b}
        overlay = {"image": images.strip(drawn.overlay.faces), "size_px": size, **frames}
    mels, recordings = (
        dict(zip("ab", column, strict=True))
        for column in (
            [images.grey_uri(mel) for mel in drawn.mels],
            [images.data_uri("audio/ogg", opus_bytes(s, RATE_HZ)) for s in drawn.recordings],
        )
    )
    starts = {"a": job.a.audio_start_s, "b": job.b.audio_start_s}
    return {
        "figure": drawn.figure, "mels": mels, "recordings": recordings, "audio_starts_s": starts,
        "strip": strip, "overlay": overlay,
    }  # fmt: skip
