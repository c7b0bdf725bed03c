"""Library probes: `python -m pipeline.tools.doctor.probes NAME` prints one line or fails.

The line may end in ` => ` and a suggested improvement. Each probe works on tiny generated data and
calls the functions of the stages where possible.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FRAMES, RATE_HZ = 5, 16000


def tables() -> str:
    """Write and read a table."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.table({"x": np.arange(5)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        pq.write_table(numbers, path)
        _require(pq.read_table(path).equals(numbers), "the table changed on a round trip")
    return f"wrote and read a table (pyarrow {pa.__version__}, numpy {np.__version__})"


def images() -> str:
    """Write and read a JPEG and a FLAC."""
    import numpy as np
    import simplejpeg
    import soundfile

    grey = np.full((32, 32, 3), 128, np.uint8)
    back = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(grey, 95))
    _require(abs(back.astype(int) - 128).max() <= 2, "the JPEG changed on a round trip")
    tone = (np.sin(np.arange(RATE_HZ // 10) / 10) * 1000).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.flac"
        soundfile.write(path, tone, RATE_HZ)
        decoded, rate = soundfile.read(path, dtype="int16")
    _require(rate == RATE_HZ and bool((decoded == tone).all()), "the FLAC changed on a round trip")
    return "wrote and read a JPEG and a FLAC"


def decoder() -> str:
    """Encode a short video with audio using ffmpeg and decode it as extract does."""
    import av
    import ffmpeg
    import imageio_ffmpeg

    from pipeline.media import Limits, decode_audio, open_video

    video_input = ffmpeg.input(f"testsrc=size=64x64:rate=25:duration={FRAMES / 25}", f="lavfi")
    tone = ffmpeg.input(f"sine=frequency=440:sample_rate={RATE_HZ}:duration=0.2", f="lavfi")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.mp4"
        made = ffmpeg.output(
            video_input, tone, str(path), vcodec="libx264", acodec="aac", pix_fmt="yuv420p"
        )
        made.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
        with open_video(path, Limits(max_frame_px=1 << 20, max_duration_s=10.0)) as video:
            _require(video is not None, "no video track was found")
            times = [frame.time_s for frame in video.frames()] if video else []
        audio = decode_audio(path, RATE_HZ, 10.0)
    _require(len(times) == FRAMES, f"{len(times)} of {FRAMES} frames were decoded")
    _require(abs(times[1] - 1 / 25) < 1e-6, f"the second frame has timestamp {times[1]} s")
    _require(audio is not None and audio.peak > 0.05, "the audio was not decoded")
    return f"encoded and decoded H.264 and AAC (PyAV {av.__version__})"


def faces() -> str:
    """Load and run the face mesh on a black image, which has no face."""
    from importlib.metadata import version

    import numpy as np

    from pipeline.faces.mesh import FaceFinder, MeshTracker

    black = np.zeros((128, 128, 3), np.uint8)
    _require(MeshTracker().track(black) is None, "a face was found in a black image")
    FaceFinder()
    return f"the face mesh loads and runs (mediapipe {version('mediapipe')})"


def alignment() -> str:
    """Compute a mel spectrogram and a warping path."""
    from importlib.metadata import version

    import dtw
    import librosa
    import numpy as np

    tone = np.sin(np.arange(RATE_HZ // 2, dtype=np.float32) / 20)
    mel = librosa.feature.melspectrogram(y=tone, sr=RATE_HZ, n_mels=20)
    path = dtw.dtw(mel.T, mel.T, keep_internals=False)
    _require(bool((path.index1 == path.index2).all()), "audio does not align with itself")
    return f"aligned audio with itself (librosa {version('librosa')})"


def networks() -> str:
    """Load the network libraries and report the device."""
    from importlib.metadata import version

    import torch
    from safetensors.torch import load, save
    from sklearn.svm import LinearSVC

    from pipeline.clip.library import open_clip

    ones = load(save({"ones": torch.ones(4)}))["ones"]
    _require(float((torch.eye(4) @ ones).sum()) == 4.0, "torch multiplied incorrectly")
    sides = LinearSVC().fit([[0.0], [1.0]], [0, 1]).predict([[0.0], [1.0]])
    _require(list(sides) == [0, 1], "scikit-learn did not separate two points")
    loaded = f"torch {version('torch')}, {len(open_clip().list_models())} open_clip architectures"
    if torch.cuda.is_available():
        return f"{loaded}, GPU {torch.cuda.get_device_name(0)}"
    return f"{loaded}, on the CPU{_unused_gpu()}"


def _unused_gpu() -> str:
    import shutil
    import subprocess

    if not shutil.which("nvidia-smi"):
        return ""
    if subprocess.run(["nvidia-smi"], capture_output=True, check=False).returncode:
        return ""
    return ", although a GPU is present => rm .venv/.stamp && make setup TORCH=cuda"


PROBES: dict[str, Callable[[], str]] = {
    "tables": tables, "images": images, "decoder": decoder, "faces": faces,
    "alignment": alignment, "networks": networks,
}  # fmt: skip


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    print(PROBES[sys.argv[1]]())
