"""Images of the report as data URIs: faces from stored crops, and spectrograms."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import librosa
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment.warping_path import map_times
from pipeline.errors import TableError
from pipeline.faces.affine import F64, compose
from pipeline.faces.framing import crop_to_frame
from pipeline.faces.sampling import U8, sample
from pipeline.media.jpeg import decode_jpeg, encode_jpeg
from pipeline.records import Clip

_JPEG_QUALITY = 82
_N_FFT, _BANDS, _FLOOR_DB = 512, 56, 55.0
MEL_HOP_S = 0.01
_MAX_COLUMNS = 1100
_LUMA = np.array([0.299, 0.587, 0.114])


def decode(crop: bytes, what: str) -> U8:
    """The stored crop (h, w, 3) RGB.

    Raises
    ------
    TableError
        When the bytes are not a JPEG image.
    """
    try:
        return decode_jpeg(crop)
    except ValueError as error:
        raise TableError(f"{what}: the stored crop is not an image; rerun extract") from error


def face(crop: U8, clip: Clip, framing: F64, size_px: int, pose: F64 | None = None) -> U8:
    """A face (size_px, size_px, 3) from its stored crop, sampled once.

    Parameters
    ----------
    framing
        (2, 3) from the full frame of take a to the image.
    pose
        (2, 3) from the full frame of `clip` to that of take a; None for the identity.
    """
    to_frame = full_frame(clip)
    if pose is not None:
        to_frame = compose(pose, to_frame)
    return sample(crop, compose(framing, to_frame), size_px)


def full_frame(clip: Clip) -> F64:
    """The matrix (2, 3) from the stored crop's pixels to the full frame."""
    place = clip.crop_x_px, clip.crop_y_px, clip.crop_side_px, clip.crop_px
    x, y, side, size = (0.0 if value is None else float(value) for value in place)
    if not size:
        raise TableError(f"{clip.take_id} has frames but no crop; rerun extract")
    return crop_to_frame(x, y, side, int(size))


def row(images: Sequence[U8]) -> U8:
    """Images of equal height, side by side."""
    return np.asarray(np.concatenate(list(images), axis=1), np.uint8)


def strip(images: Sequence[U8]) -> str:
    """Images of equal size, side by side, as a JPEG data URI."""
    return jpeg_uri(row(images))


def fringes(a: U8, b: U8) -> U8:
    """Both faces overlaid, a in red and b in cyan, so that differences show in colour."""
    grey_a, grey_b = (np.asarray(p @ _LUMA).round().astype(np.uint8) for p in (a, b))
    return np.stack([grey_a, grey_b, grey_b], axis=-1)


def jpeg_uri(image: U8) -> str:
    """An image (h, w, 3) RGB as a JPEG data URI."""
    return data_uri("image/jpeg", encode_jpeg(image, _JPEG_QUALITY))


def spectrogram(samples: NDArray[np.float32], rate_hz: int) -> U8:
    """The mel spectrogram (bands, n) of audio: 0 loud to 255 silent, low frequencies at the bottom.

    Column k is at about second k * `MEL_HOP_S`.

    Parameters
    ----------
    samples
        (n,) mono, full scale 1.
    """
    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float32), sr=rate_hz, n_fft=_N_FFT,
        hop_length=round(MEL_HOP_S * rate_hz), n_mels=_BANDS, fmin=50, fmax=rate_hz / 2,
    )  # fmt: skip
    level_db = librosa.power_to_db(power, ref=np.max, top_db=_FLOOR_DB)
    ink = np.clip(-level_db / _FLOOR_DB, 0, 1)[::-1]
    return np.asarray((ink * 255).round(), np.uint8)


def warped(mel: U8, knots: F64, start_b_s: float) -> U8:
    """The spectrogram of take b, warped by the time map to the time of take a.

    It begins at the time of a that the map assigns to `start_b_s`, the start of b's audio.

    Parameters
    ----------
    knots
        (k, 2) knots of the time map: seconds of a and b.
    """
    ends_b_s = [start_b_s, start_b_s + mel.shape[1] * MEL_HOP_S]
    start_s, end_s = map_times(knots[:, ::-1], ends_b_s)
    n = max(1, round((end_s - start_s) / MEL_HOP_S))
    there = map_times(knots, start_s + (np.arange(n) + 0.5) * MEL_HOP_S)
    columns = np.rint((there - start_b_s) / MEL_HOP_S).astype(int)
    return np.asarray(mel[:, np.clip(columns, 0, mel.shape[1] - 1)])


def grey_uri(grey: U8) -> str:
    """A spectrogram (h, w) as a PNG data URI: sixteen grey levels, at most `_MAX_COLUMNS` wide."""
    if grey.shape[1] > _MAX_COLUMNS:
        size = (_MAX_COLUMNS, grey.shape[0])
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, coded = cv2.imencode(".png", _sixteen_greys(grey), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise ValueError(f"no PNG of a spectrogram of shape {grey.shape}")
    return data_uri("image/png", coded.tobytes())


def _sixteen_greys(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce to sixteen levels: no visible difference at this size, a third of the bytes."""
    return np.asarray((grey // 17) * 17, np.uint8)


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
