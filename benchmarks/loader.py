"""Samples per second of the reader, WebDataset, MDS and Hugging Face datasets, in one run.

Each format has the same 4,000 generated pairs of 256 px JPEG (about 18 kB each) with 21 columns.
Each round runs every case once, in a new process and a new order; figures are medians over the
rounds. The upper bound is the same decoder, only decoding and stacking, in two processes, measured
before and after each case. CPU time per sample, which depends less on other load, is compared with
the bound's. Libraries that are not installed are listed and skipped.

    pip install webdataset datasets mosaicml-streaming   # in an environment of its own
    python -m benchmarks.loader --rounds 5
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch

from pipeline.stages.shards.writer import write_shard
from spfem_data.schema import COLUMNS, file_name, schema

N, BATCH, SIZE, FILES, DISTINCT, WARM = 4000, 32, 256, 8, 400, 320
QUALITY = 90  # as large (18 kB) as a real face crop at quality 95
IMAGES = ("source", "target")
SCALARS = [c.name for c in COLUMNS["pairs"] if str(c.type) in ("string", "int8", "int32", "float")]
SCALARS = SCALARS[:21]
"""What every case returns in addition to images: numbers and strings, no lists."""


# ---------------------------------------------------------------- the data


def image(seed: int) -> bytes:
    """A JPEG with smooth areas, edges and grain in proportions like a face's."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 12, 12)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic")[0]
    y, x = np.mgrid[:SIZE, :SIZE]
    for _ in range(12):
        cx, cy, r = rng.uniform(20, 236), rng.uniform(20, 236), rng.uniform(6, 40)
        inside = torch.from_numpy((x - cx) ** 2 + (y - cy) ** 2 < r * r)
        smooth[:, inside] += float(rng.uniform(-60, 60))
    grain = torch.from_numpy(rng.normal(0, 4, (3, SIZE, SIZE)).astype(np.float32))
    pixels = (smooth + grain).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return bytes(simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", colorsubsampling="420"))


def rows() -> Iterator[dict[str, Any]]:
    """The same 4,000 rows for every format: images repeat, ids and numbers do not."""
    images = [image(k) for k in range(DISTINCT)]
    rng = np.random.default_rng(1)
    for k in range(N):
        row: dict[str, Any] = {}
        for column in COLUMNS["pairs"]:
            kind = str(column.type)
            if column.media:
                number = (2 * k + (column.name == "target")) % DISTINCT
                row[column.name] = {"bytes": images[number], "path": f"{k}.jpg"}
            elif kind == "string":
                row[column.name] = f"{column.name}{k % 7}"
            elif kind.startswith("fixed_size_list"):
                row[column.name] = rng.normal(0, 1, column.type.list_size).tolist()
            else:
                row[column.name] = k % 100 if kind.startswith("int") else float(rng.random())
        yield row | {"sample_id": f"pair{k // 50:04d}/{k:06d}"}


def write_all(folder: Path) -> None:
    """Our shards, and the same rows in the formats whose libraries are installed."""
    everything = list(rows())
    for number in range(FILES):
        path = folder / "shards" / file_name("pairs", "train", number, FILES)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = everything[number * N // FILES : (number + 1) * N // FILES]
        write_shard(path, schema("pairs"), "pairs", part, 100)
    if find_spec("webdataset"):
        write_tars(folder / "tars", everything)
    if find_spec("streaming"):
        write_mds(folder / "mds", everything)


def scalars(row: dict[str, Any]) -> dict[str, Any]:
    """The columns other than images."""
    return {name: row[name] for name in SCALARS}


def write_tars(folder: Path, everything: list[dict[str, Any]]) -> None:
    """WebDataset: a tar per shard, a member per image, and a JSON per sample."""
    folder.mkdir()
    for number in range(FILES):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
            for k in range(number * N // FILES, (number + 1) * N // FILES):
                members = {f"{name}.jpg": everything[k][name]["bytes"] for name in IMAGES}
                members["json"] = json.dumps(scalars(everything[k])).encode()
                for suffix, data in members.items():
                    info = tarfile.TarInfo(f"{k:06d}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def write_mds(folder: Path, everything: list[dict[str, Any]]) -> None:
    """MosaicML's format, with the scalars in one JSON column."""
    from streaming import MDSWriter

    columns = {"source": "bytes", "target": "bytes", "json": "json"}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for row in everything:
            images = {name: row[name]["bytes"] for name in IMAGES}
            writer.write({**images, "json": scalars(row)})


# ---------------------------------------------------------------- the cases


def decode(data: bytes) -> torch.Tensor:
    """The same decoder for all."""
    return torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB")).permute(2, 0, 1)


def ours(folder: Path, workers: int, **options: Any) -> Iterator[Any]:
    """Whole batches, with threads or processes."""
    from spfem_data.datasets import Pairs
    from spfem_data.loader import Loader

    pairs = Pairs(folder / "shards", "train", columns=[*SCALARS, *IMAGES])
    loader = Loader(pairs, BATCH, num_workers=workers, **options)
    while True:
        yield from (batch["sample_id"] for batch in loader)
        yield None


def ours_near(folder: Path, workers: int) -> Iterator[Any]:
    """shuffle="near", for disks that prefer sequential reads."""
    return ours(folder, workers, shuffle="near")


def ours_one_thread(folder: Path, workers: int) -> Iterator[Any]:
    """One decoding thread."""
    return ours(folder, workers, threads=1, prefetch=0)


def epochs(make: Callable[[], Any]) -> Iterator[Any]:
    """The ids of each batch, None after each epoch, endlessly."""
    while True:
        yield from (batch["sample_id"] for batch in make())
        yield None


def web(folder: Path, workers: int) -> Iterator[Any]:
    """Shards permuted, shuffle buffer of 400."""
    import webdataset

    def sample(members: dict[str, Any]) -> dict[str, Any]:
        images = {name: decode(members[f"{name}.jpg"]) for name in IMAGES}
        return {**json.loads(members["json"]), **images}

    tars = [str(path) for path in sorted((folder / "tars").glob("*.tar"))]
    data = webdataset.WebDataset(
        tars, shardshuffle=FILES, nodesplitter=webdataset.split_by_node,
        workersplitter=webdataset.split_by_worker,
    ).shuffle(400).map(sample)  # fmt: skip
    loader = torch.utils.data.DataLoader(data, BATCH, num_workers=workers)
    return epochs(lambda: loader)


def mds(folder: Path, workers: int) -> Iterator[Any]:
    """Its own full shuffle."""
    from streaming import StreamingDataset

    class Decoded(StreamingDataset):
        def __getitem__(self, at: int) -> dict[str, Any]:
            row = super().__getitem__(at)
            return {**row["json"], **{name: decode(row[name]) for name in IMAGES}}

    data = Decoded(local=str(folder / "mds"), shuffle=True, batch_size=BATCH)
    loader = torch.utils.data.DataLoader(data, BATCH, num_workers=workers)
    return epochs(lambda: loader)


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{name: decode(row[name]["bytes"]) for name in IMAGES}}


def _features() -> Any:
    from datasets import Image

    return {name: Image(decode=False) for name in IMAGES}


def hf_map(folder: Path, workers: int) -> Iterator[Any]:
    """Full shuffle by torch's sampler over the memory-mapped table."""
    from datasets import load_dataset

    files = sorted(str(p) for p in (folder / "shards/data/pairs").glob("*.parquet"))
    data = load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "hf"))
    data = data.select_columns([*SCALARS, *IMAGES])
    for name, feature in _features().items():
        data = data.cast_column(name, feature)
    data = data.with_transform(
        lambda rows: {
            k: [decode(v["bytes"]) for v in column] if k in IMAGES else column
            for k, column in rows.items()
        }
    )
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=workers)
    return epochs(lambda: loader)


def hf_stream(folder: Path, workers: int) -> Iterator[Any]:
    """Files permuted, shuffle buffer of 400."""
    from datasets import load_dataset

    files = sorted(str(p) for p in (folder / "shards/data/pairs").glob("*.parquet"))
    data = load_dataset("parquet", data_files=files, split="train", streaming=True)
    data = data.select_columns([*SCALARS, *IMAGES])
    for name, feature in _features().items():
        data = data.cast_column(name, feature)
    data = data.shuffle(seed=0, buffer_size=400).map(_decoded)
    loader = torch.utils.data.DataLoader(data, BATCH, num_workers=workers)
    return epochs(lambda: loader)


CASES: dict[str, tuple[Callable[..., Iterator[Any]], str | None]] = {
    "ours, 2 threads": (ours, None),
    "ours, near": (ours_near, None),
    "ours, 1 thread": (ours_one_thread, None),
    "WebDataset": (web, "webdataset"),
    "MDS": (mds, "streaming"),
    "HF datasets, map": (hf_map, "datasets"),
    "HF datasets, streaming": (hf_stream, "datasets"),
}
ONLY_WORKERS = {"ours, near": [0], "ours, 1 thread": [0]}
"""Cases that run only with these numbers of workers."""


# ---------------------------------------------------------------- measuring


def pss_mb(pids: list[int]) -> float:
    """Memory of processes in MB; shared pages count once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def process_tree(pid: int) -> list[int]:
    """A process and its descendants."""
    pids = [pid]
    for parent in pids:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            pids += [int(child) for child in task.read_text(encoding="ascii").split()]
    return pids


def cpu_seconds() -> float:
    """CPU time of this process and its children so far."""
    ticks = 0
    for pid in process_tree(os.getpid()):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        own = pid == os.getpid()  # also counts its terminated children
        ticks += sum(map(int, fields[11 : 15 if own else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def watch_memory(done: threading.Event, peak: list[float]) -> None:
    """Record the peak memory of this process and its children."""
    while not done.wait(0.3):
        peak[0] = max(peak[0], pss_mb(process_tree(os.getpid())))


def run_case(folder: Path, name: str, workers: int) -> dict[str, Any]:
    """One epoch of one case, without its first batches (warm-up)."""
    import pyarrow.parquet  # noqa: F401  (memory is counted above torch and pyarrow)

    torch.set_num_threads(1)
    before = pss_mb([os.getpid()])
    done, peak = threading.Event(), [0.0]
    watcher = threading.Thread(target=watch_memory, args=(done, peak))
    watcher.start()
    stream = CASES[name][0](folder, workers)
    ids: list[str] = []
    start = spent = warm = 0.0
    for batch in stream:
        if batch is None:
            break
        ids += batch
        if not start and len(ids) >= WARM:
            start, spent, warm = time.perf_counter(), cpu_seconds(), len(ids)
    seconds = time.perf_counter() - start
    spent = cpu_seconds() - spent
    done.set()
    watcher.join()
    counted = len(ids) - warm
    places = np.array([int(i[-6:]) for i in ids])
    return {
        "rate": counted / seconds, "cpu_ms": 1000 * spent / counted, "unique": len(set(ids)),
        "peak_mb": peak[0] - before,
        "rank": float(abs(np.corrcoef(np.arange(len(places)), places)[0, 1])),
    }  # fmt: skip


def _bound_part(files: list[bytes], seconds: Any) -> None:
    start, spent = time.perf_counter(), time.process_time()
    for k in range(0, len(files), BATCH):
        pixels = np.stack([simplejpeg.decode_jpeg(f, "RGB") for f in files[k : k + BATCH]])
        torch.from_numpy(pixels)
    seconds.put((time.perf_counter() - start, time.process_time() - spent))


def bound() -> dict[str, float]:
    """Only decode and stack, in two processes: samples (two images) per second, CPU ms each."""
    images = [image(k) for k in range(DISTINCT)]
    context = multiprocessing.get_context("fork")
    seconds = context.Queue()
    part = [images[k % DISTINCT] for k in range(N // 2)]
    processes = [context.Process(target=_bound_part, args=(part, seconds)) for _ in range(2)]
    for process in processes:
        process.start()
    taken = [seconds.get() for _ in processes]
    for process in processes:
        process.join()
    wall, spent = (sum(values) / 2 for values in zip(*taken, strict=True))
    return {"rate": len(part) / wall, "cpu_ms": 1000 * spent / (len(part) / 2)}


def measured(arguments: list[str]) -> Any:
    """A measurement in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loader", *arguments],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rounds(folder: Path, count: int) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """All cases once per round, in a new order each time, each with its upper bound."""
    cases = [
        (name, workers)
        for name, (_, library) in CASES.items()
        if library is None or find_spec(library)
        for workers in ONLY_WORKERS.get(name, [0, 1, 2])
    ]
    results: dict[tuple[str, int], list[dict[str, Any]]] = {case: [] for case in cases}
    for k in range(count):
        order = random.Random(k).sample(cases, len(cases))
        limits = [measured(["--bound"])]
        for name, workers in order:
            result = measured(["--case", name, "--workers", str(workers), "--folder", str(folder)])
            limits.append(measured(["--bound"]))
            limit_of_case = {
                f"bound_{unit}": (limits[-1][unit] + limits[-2][unit]) / 2
                for unit in ("rate", "cpu_ms")
            }
            results[name, workers].append(result | limit_of_case)
            share = result["rate"] / limit_of_case["bound_rate"]
            print(f"{name}, workers {workers}: {share:.0%} of the bound", file=sys.stderr)
        rates = [limit["rate"] for limit in limits]
        print(f"round {k + 1}: bound {min(rates):.0f} to {max(rates):.0f}", file=sys.stderr)
        print(table(results), file=sys.stderr, flush=True)
    return results


def table(cases: dict[tuple[str, int], list[dict[str, Any]]]) -> str:
    """Medians over the rounds."""
    lines = [
        "| case | workers | samples/s | of the bound | CPU ms per sample | bound / case | "
        "peak MB over torch + pyarrow | rank correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, workers), results in cases.items():
        assert all(r["unique"] == N for r in results), (name, workers, results[0]["unique"])
        rate, share, spent, spared, peak, rank = (
            statistics.median(values)
            for values in (
                [r["rate"] for r in results],
                [r["rate"] / r["bound_rate"] for r in results],
                [r["cpu_ms"] for r in results],
                [r["bound_cpu_ms"] / r["cpu_ms"] for r in results],
                [r["peak_mb"] for r in results],
                [r["rank"] for r in results],
            )
        )
        lines.append(
            f"| {name} | {workers} | {rate:.0f} | {share:.0%} | {spent:.2f} | {spared:.0%} | "
            f"{peak:.0f} | {rank:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the data, run the rounds, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--bound", action="store_true")
    given = parser.parse_args()
    if given.bound:
        print(json.dumps(bound()))
        return
    if given.case:
        print(json.dumps(run_case(given.folder, given.case, given.workers)))
        return
    missing = [lib for _, lib in CASES.values() if lib and not find_spec(lib)]
    for library in sorted(set(missing)):
        print(f"skipped, not installed: {library}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "shards").exists():
            write_all(folder)
        print(table(rounds(folder, given.rounds)))


if __name__ == "__main__":
    main()
