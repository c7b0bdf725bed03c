"""What the trials do: `python -m pipeline.tools.doctor.probes NAME` prints a line, or fails.

A line may end in ` => ` and what would make it better. Each works on something tiny that it makes
itself, through the very functions that the stages use where there are some.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FRAMES, RATE_HZ = 5, 16000


def tables() -> str:
    """A table through a file and back."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.table({"x": np.arange(5)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        pq.write_table(numbers, path)
        _must(pq.read_table(path).equals(numbers), "a table came back changed")
    return f"a table written and read (pyarrow {pa.__version__}, numpy {np.__version__})"


def pictures() -> str:
    """A JPEG and a FLAC and back."""
    import numpy as np
    import simplejpeg
    import soundfile

    grey = np.full((32, 32, 3), 128, np.uint8)
    back = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(grey, 95))
    _must(abs(back.astype(int) - 128).max() <= 2, "a JPEG came back changed")
    tone = (np.sin(np.arange(RATE_HZ // 10) / 10) * 1000).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.flac"
        soundfile.write(path, tone, RATE_HZ)
        heard, rate = soundfile.read(path, dtype="int16")
    _must(rate == RATE_HZ and bool((heard == tone).all()), "a FLAC came back changed")
    return "a JPEG and a FLAC written and read"


def decoder() -> str:
    """A short film with sound, made with the ffmpeg binary, decoded as extract does it."""
    import av
    import ffmpeg
    import imageio_ffmpeg

    from pipeline.media import Limits, decode_sound, open_video

    picture = ffmpeg.input(f"testsrc=size=64x64:rate=25:duration={FRAMES / 25}", f="lavfi")
    tone = ffmpeg.input(f"sine=frequency=440:sample_rate={RATE_HZ}:duration=0.2", f="lavfi")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.mp4"
        made = ffmpeg.output(
            picture, tone, str(path), vcodec="libx264", acodec="aac", pix_fmt="yuv420p"
        )
        made.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
        with open_video(path, Limits(max_frame_px=1 << 20, max_duration_s=10.0)) as video:
            _must(video is not None, "no picture was found in a film")
            times = [frame.time_s for frame in video.frames()] if video else []
        sound = decode_sound(path, RATE_HZ, 10.0)
    _must(len(times) == FRAMES, f"{len(times)} of {FRAMES} frames were decoded")
    _must(abs(times[1] - 1 / 25) < 1e-6, f"the second frame is shown at {times[1]} s")
    _must(sound is not None and sound.peak > 0.05, "the sound was not decoded")
    return f"H.264 and AAC written and decoded (PyAV {av.__version__})"


def faces() -> str:
    """The face mesh loads and runs; a black picture has no face."""
    from importlib.metadata import version

    import numpy as np

    from pipeline.faces.mesh import FaceFinder, MeshTracker

    black = np.zeros((128, 128, 3), np.uint8)
    _must(MeshTracker().track(black) is None, "a face was found in a black picture")
    FaceFinder()
    return f"the face mesh loads and runs (mediapipe {version('mediapipe')})"


def alignment() -> str:
    """Mel spectra and a warping path."""
    from importlib.metadata import version

    import dtw
    import librosa
    import numpy as np

    sound = np.sin(np.arange(RATE_HZ // 2, dtype=np.float32) / 20)
    mel = librosa.feature.melspectrogram(y=sound, sr=RATE_HZ, n_mels=20)
    path = dtw.dtw(mel.T, mel.T, keep_internals=False)
    _must(bool((path.index1 == path.index2).all()), "a sound does not align with itself")
    return f"a sound aligned with itself (librosa {version('librosa')})"


def networks() -> str:
    """The networks' libraries load; on what they would run."""
    from importlib.metadata import version

    import torch
    from safetensors.torch import load, save
    from sklearn.svm import LinearSVC

    from pipeline.clip.library import open_clip

    ones = load(save({"ones": torch.ones(4)}))["ones"]
    _must(float((torch.eye(4) @ ones).sum()) == 4.0, "torch multiplies wrong")
    sides = LinearSVC().fit([[0.0], [1.0]], [0, 1]).predict([[0.0], [1.0]])
    _must(list(sides) == [0, 1], "scikit-learn does not part two points")
    loaded = f"torch {version('torch')}, {len(open_clip().list_models())} networks of open_clip"
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
    return ", though a GPU is there => rm .venv/.stamp && make setup TORCH=cuda"


TRIED: dict[str, Callable[[], str]] = {
    "tables": tables, "pictures": pictures, "decoder": decoder, "faces": faces,
    "alignment": alignment, "networks": networks,
}  # fmt: skip


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    print(TRIED[sys.argv[1]]())
