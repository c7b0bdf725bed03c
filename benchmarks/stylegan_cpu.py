"""StyleGAN2 and its encoders at real size on a CPU: files, memory, time a image.

Makes checkpoints of the published sizes with random weights, in the layouts that people have;
converts and loads each in a process of its own; then times our networks against the published
arithmetic written out plainly, in turns within one run, in CPU seconds of one thread.

    python benchmarks/stylegan_cpu.py [--folder DIR] [--rounds 3]

Needs 4 GB of disk below DIR (removed at the end unless given) and 3 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.stylegan.arcface import ArcFaceConfig, arcface
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.layers import ModulatedConv
from pipeline.stylegan.ops import GAIN, SLOPE, TAPS, upfirdn2d

CHILD = """
import json, resource, sys, time
from pathlib import Path
from pipeline.models.registry import Weights
from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.networks import load_network
def memory():
    lines = dict(l.split(":") for l in open("/proc/self/status") if l.startswith(("Vm", "Rss")))
    return {k: int(lines[k].split()[0]) / 1024 for k in ("VmHWM", "RssAnon", "RssFile")}
before, began = memory(), time.process_time()
if sys.argv[1] == "convert":
    convert(examine(Path(sys.argv[2])), Path(sys.argv[3]), part=sys.argv[4])
else:
    network = load_network(Weights("it", Path(sys.argv[3]), ""))
after = memory()
print(json.dumps({"seconds": time.process_time() - began, "before": before, "after": after}))
"""
FACTS = {
    "generator 256, m1": "0.84 (separable -)", "generator 256": "1.8 (separable 1.21)",
    "generator 1024": "6.9-7.7 (separable 4.38)", "e4e 256": "1.85", "e4e 256, 8 at once": "-",
    "psp 256": "2.0",
    "arcface irse": "-", "arcface iresnet50": "0.14",
}  # fmt: skip
"""CPU seconds a image of the published code, measured elsewhere (an EPYC, busy)."""


def published_config(size: int, multiplier: int = 2) -> GeneratorConfig:
    """The published channel table: 512 up to 32 px, then `multiplier` * 16384 / px."""
    sides = [4 << i for i in range(size.bit_length() - 2)]
    return GeneratorConfig(size, tuple(min(512, multiplier * 16384 // s) for s in sides))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["files", "speed"])
    told = parser.parse_args()
    torch.set_num_threads(1)
    if told.only != "speed":
        with tempfile.TemporaryDirectory(dir=told.folder) as folder:
            files(Path(folder))
    if told.only != "files":
        speed(told.rounds)


def files(folder: Path) -> None:
    """Make, convert and load a checkpoint of each layout."""
    print(f"{'file':28} {'MB':>6}  {'convert s':>9} {'memory MB':>9}  {'load s':>6} {'own MB':>6} "
          f"{'mapped MB':>9}")  # fmt: skip
    for name, make in LAYOUTS.items():
        source = folder / name
        torch.manual_seed(0)
        make(source)
        for part in ("encoder", "generator") if name.startswith("e4e") else ("",):
            out = folder / "converted.safetensors"
            did = _child("convert", source, out, part)
            read = _child("load", source, out, part)
            grown = did["after"]["VmHWM"] - did["before"]["VmHWM"]
            own = read["after"]["RssAnon"] - read["before"]["RssAnon"]
            mapped = read["after"]["RssFile"] - read["before"]["RssFile"]
            print(
                f"{name + (' ' + part if part else ''):28} {source.stat().st_size / 1e6:6.0f}  "
                f"{did['seconds']:9.1f} {grown:9.0f}  {read['seconds']:6.1f} {own:6.0f} "
                f"{mapped:9.0f}"
            )
        source.unlink()


def _child(what: str, *arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, what, *map(str, arguments)],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _rosinality(config: GeneratorConfig) -> dict[str, Tensor]:
    state = Generator(config).state_dict()
    state.pop("latent_avg")
    kernel = torch.outer(torch.tensor(TAPS), torch.tensor(TAPS)) / 16
    for j in range(config.n_blocks):
        state[f"convs.{2 * j}.conv.blur.kernel"] = kernel
        state[f"to_rgbs.{j}.upsample.kernel"] = kernel
    return state


def _generator(path: Path, **how: Any) -> None:
    mean = torch.randn(512) * 0.1
    torch.save({"g_ema": _rosinality(published_config(1024)), "latent_avg": mean}, path, **how)


def _trained(path: Path) -> None:
    """With the second generator and options that a training run saves beside."""
    state = _rosinality(published_config(1024))
    torch.save({"g": state, "g_ema": state, "args": argparse.Namespace(size=1024)}, path)


def _encoder(path: Path) -> None:
    encoder = WPlusEncoder(EncoderConfig("e4e", 18)).state_dict()
    mean = torch.randn(512).expand(18, 512).contiguous()
    encoder.pop("latent_avg")
    state = {f"encoder.{n}": t for n, t in encoder.items()}
    state |= {f"decoder.{n}": t for n, t in _rosinality(published_config(1024)).items()}
    opts = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True}
    torch.save({"state_dict": state, "opts": opts, "latent_avg": mean}, path)


def _arcface(body: str) -> Callable[[Path], None]:
    return lambda path: torch.save(arcface(ArcFaceConfig(body)).state_dict(), path)


def _nvidia(path: Path) -> None:
    """A pickle of the shape that NVIDIA's training writes."""
    module = ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    sys.modules |= {"torch_utils": ModuleType("torch_utils"), "torch_utils.persistence": module}
    sides = [4 << i for i in range(9)]
    chans = published_config(1024).channels
    blocks = {}
    for px, before, now in zip(sides, (chans[0], *chans), chans, strict=False):
        convs = {"conv1": _conv(now, now, px)}
        if px > 4:
            convs["conv0"] = _conv(before, now, px)
        rgb = _module(weight=torch.randn(3, now, 1, 1), bias=torch.zeros(3), affine=_affine(now))
        own = {"const": torch.randn(now, 4, 4)} if px == 4 else {}
        blocks[f"b{px}"] = _module(**own, **convs, torgb=rgb)
    layers = {f"fc{i}": _linear(512, 512, 100.0) for i in range(8)}
    mapping = _module(w_avg=torch.randn(512), **layers)
    network = _module(synthesis=_module(**blocks), mapping=mapping)
    path.write_bytes(pickle.dumps({"G": None, "D": None, "G_ema": network}, protocol=4))


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise RuntimeError("not to be run")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


class _Persistent:
    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "class_name": "Module", "module_src": "raise", "state": self.state}
        return _reconstruct_persistent_obj, (meta,)


def _module(**parts: Any) -> _Persistent:
    tensors = {n: t for n, t in parts.items() if isinstance(t, Tensor)}
    modules = {n: m for n, m in parts.items() if isinstance(m, _Persistent)}
    return _Persistent({"_parameters": tensors, "_buffers": {}, "_modules": modules})


def _linear(n_in: int, n_out: int, size: float) -> _Persistent:
    return _module(weight=torch.randn(n_out, n_in) * size, bias=torch.zeros(n_out))


def _affine(n_out: int) -> _Persistent:
    return _module(weight=torch.randn(n_out, 512), bias=torch.ones(n_out))


def _conv(n_in: int, n_out: int, px: int) -> _Persistent:
    return _module(
        weight=torch.randn(n_out, n_in, 3, 3), bias=torch.zeros(n_out), affine=_affine(n_in),
        noise_strength=torch.zeros(()), noise_const=torch.randn(px, px),
    )  # fmt: skip


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "rosinality-1024.pt": _generator,
    "rosinality-1024-legacy.pt": lambda path: _generator(
        path, _use_new_zipfile_serialization=False
    ),
    "rosinality-1024-trained.pt": _trained,
    "nvidia-1024.pkl": _nvidia,
    "e4e-18.pt": _encoder,
    "arcface-irse50.pth": _arcface("irse"),
    "arcface-iresnet50.pth": _arcface("iresnet"),
}


def plain(network: Generator, rows: Tensor) -> Tensor:
    """The published arithmetic as the published code does it on a CPU."""
    maps = network.noises.maps()
    kernel = torch.outer(torch.tensor(TAPS), torch.tensor(TAPS)) / 16

    def modulated(conv: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
        n, _, h, width = x.shape
        style = conv.modulation(w).view(n, 1, -1, 1, 1)
        weight = conv.scale * conv.weight * style
        if conv.demodulate:
            weight = (
                weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8)[:, :, None, None, None]
            )
        _, n_out, n_in, k, _ = weight.shape
        x = x.reshape(1, n * n_in, h, width)
        if conv.up:
            weight = weight.transpose(1, 2).reshape(n * n_in, n_out, k, k)
            x = functional.conv_transpose2d(x, weight, stride=2, groups=n)
            return upfirdn2d(x.view(n, n_out, *x.shape[2:]), kernel, pad=(1, 1))
        y = functional.conv2d(x, weight.view(n * n_out, n_in, k, k), padding=k // 2, groups=n)
        return y.view(n, n_out, h, width)

    def styled(layer: Any, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = modulated(layer.conv, x, w) + layer.noise.weight * noise
        return functional.leaky_relu(x + layer.activate.bias.view(1, -1, 1, 1), SLOPE) * GAIN

    def colours(layer: Any, x: Tensor, w: Tensor) -> Tensor:
        return modulated(layer.conv, x, w) + layer.bias

    x = styled(network.conv1, network.input.input.repeat(len(rows), 1, 1, 1), rows[:, 0], maps[0])
    image = colours(network.to_rgb1, x, rows[:, 1])
    for j, to_rgb in enumerate(network.to_rgbs):
        x = styled(network.convs[2 * j], x, rows[:, 2 * j + 1], maps[2 * j + 1])
        x = styled(network.convs[2 * j + 1], x, rows[:, 2 * j + 2], maps[2 * j + 2])
        skip = upfirdn2d(image, kernel, up=2, pad=(2, 1))
        image = colours(to_rgb, x, rows[:, 2 * j + 3]) + skip
    return image


def speed(rounds: int) -> None:
    """CPU seconds a image: the published arithmetic and ours in turns, the least of each."""
    print(f"\n{'network':20} {'plain s':>8} {'ours s':>8} {'ratio':>6} {'apart (sd)':>10} "
          f"{'peak MB':>8}  published elsewhere")  # fmt: skip
    with torch.inference_mode():
        for name, make in NETWORKS.items():
            torch.manual_seed(0)
            theirs, ours, apart, peak = _raced(*make(), rounds)
            print(
                f"{name:20} {theirs:8.2f} {ours:8.2f} {theirs / ours:6.2f} {apart:10.1e} "
                f"{peak:8.0f}  {FACTS[name]}"
            )


Way = Callable[[], Tensor]


def _raced(plainly: Way | None, ours: Way, rounds: int) -> tuple[float, float, float, float]:
    """CPU seconds a image of each, how far apart they are, memory in MB while ours ran."""
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    expected, peak = torch.zeros(1), 0.0
    for _ in range(rounds):
        if plainly:
            expected, spent = _timed(plainly)
            times["plain"].append(spent)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        found, spent = _timed(ours)
        times["ours"].append(spent)
        peak = max(peak, _peak_mb())
    apart = float((found - expected).abs().max() / expected.std()) if plainly else math.nan
    return min(times["plain"], default=math.nan), min(times["ours"]), apart, peak


def _timed(way: Way) -> tuple[Tensor, float]:
    began = time.process_time()
    found = way()
    return found, (time.process_time() - began) / len(found)


def _peak_mb() -> float:
    with open("/proc/self/status") as lines:
        return next(int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM"))


def _generators(size: int, multiplier: int = 2) -> tuple[Way, Way]:
    network = Generator(published_config(size, multiplier))
    for name, parameter in network.named_parameters():
        if name.endswith("noise.weight"):
            parameter.fill_(0.1)
    rows = network.broadcast(network.mapping(torch.randn(1, 512)))
    return lambda: plain(network, rows), lambda: network(rows)


def _encoders(kind: Any, n: int = 1) -> tuple[None, Way]:
    network, x = WPlusEncoder(EncoderConfig(kind, 18)).eval(), torch.randn(n, 3, 256, 256)
    return None, lambda: network(x)


def _faces(body: Any) -> tuple[None, Way]:
    network, x = arcface(ArcFaceConfig(body)).eval(), torch.randn(1, 3, 112, 112)
    return None, lambda: network(x)


NETWORKS: dict[str, Callable[[], tuple[Way | None, Way]]] = {
    "generator 256, m1": lambda: _generators(256, 1),
    "generator 256": lambda: _generators(256),
    "generator 1024": lambda: _generators(1024),
    "e4e 256": lambda: _encoders("e4e"),
    "e4e 256, 8 at once": lambda: _encoders("e4e", 8),
    "psp 256": lambda: _encoders("psp"),
    "arcface irse": lambda: _faces("irse"),
    "arcface iresnet50": lambda: _faces("iresnet"),
}


if __name__ == "__main__":
    main()
